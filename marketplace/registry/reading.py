"""What the registry shows: an account's holdings and operations, and retirements without persons or serials."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from marketplace import db
from marketplace.errors import NotFound


class Holdings(msgspec.Struct, frozen=True, kw_only=True):
    """An account, by its pseudonym: all in grams."""

    id: UUID
    issued_g: int
    retired_g: int
    expired_g: int
    held_g: int


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of an account."""

    id: UUID
    kind: str
    purpose: str
    amount_g: int
    batch: dict[str, Any]
    recorded_at: datetime


class PublicRetirement(msgspec.Struct, frozen=True, kw_only=True):
    """A retirement as anyone may see it."""

    id: UUID
    purpose: str
    amount_g: int
    recorded_at: datetime


async def holdings(account: UUID) -> Holdings:
    """What `account` was issued, and what became of it. Raises NotFound."""
    rows = await db.fetch(
        "SELECT kind, sum(amount_g)::bigint AS grams FROM registry_entry WHERE account = $1 GROUP BY kind",
        account,
    )
    if not rows:
        raise NotFound
    grams = {row["kind"]: row["grams"] for row in rows}
    issued, retired, expired = (grams.get(kind, 0) for kind in ("issue", "retire", "expire"))
    return Holdings(
        id=account,
        issued_g=issued,
        retired_g=retired,
        expired_g=expired,
        held_g=issued - retired - expired,
    )


async def operations(account: UUID, *, limit: int, after: UUID | None = None) -> list[Operation]:
    """The entries of `account` in the order of their ids, after the one with the id `after`."""
    rows = await db.fetch(
        """SELECT id, kind, purpose, amount_g, batch, recorded_at FROM registry_entry
           WHERE account = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3""",
        account, after, limit,
    )  # fmt: skip
    return [Operation(**row) for row in rows]


async def retirement(entry: UUID) -> PublicRetirement:
    """One retirement. Raises NotFound."""
    with db.replica():
        row = await _retirement(entry)
    row = row or await _retirement(
        entry
    )  # an entry never changes, but one that was made just now may not be there yet
    if row is None:
        raise NotFound
    return PublicRetirement(**row)


async def _retirement(entry: UUID) -> db.Row | None:
    return await db.fetch_row(
        "SELECT id, purpose, amount_g, recorded_at FROM registry_entry WHERE id = $1 AND kind = 'retire'",
        entry,
    )
