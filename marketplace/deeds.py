"""The trail of what operators did: who, what, to what, why, when, in which request. It only ever grows.

A deed is written in the transaction of what was done, by `record_deed`, or as a row of the ledger's group. It names
things by their ids; the only words in it are the operator's own reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from marketplace import clock, db, ledger
from marketplace.errors import FieldError, Invalid
from marketplace.ids import new_id

MAX_REASON_LENGTH: Final = 500
_COLUMNS: Final = (
    "id",
    "actor",
    "deed",
    "object_kind",
    "object",
    "city",
    "reason",
    "request_id",
    "created_at",
)
_RELATION: Final = ledger.Relation("operator_deed", _COLUMNS, rank=3)


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the trail; `operator` is the login of who did it, None where it was done at the command line."""

    id: UUID
    actor: str
    operator: str | None
    deed: str
    object_kind: str
    object: UUID
    city: str | None
    reason: str | None
    request_id: str | None
    created_at: datetime


def stated(reason: str) -> str:
    """The reason of a deed as it is kept: 1 to 500 characters. Raises Invalid."""
    kept = reason.strip()
    if not kept or len(kept) > MAX_REASON_LENGTH or "\x00" in kept:
        raise Invalid(FieldError("reason", "invalid" if kept else "required"))
    return kept


async def record_deed(
    *, actor: str, deed: str, object_kind: str, object_id: UUID, city: str | None = None, reason: str | None = None,
) -> None:  # fmt: skip
    """Inside the transaction of what was done: its line of the trail. Operators of `city` read it too."""
    await db.insert_many(
        "operator_deed", _COLUMNS, [_row(actor, deed, object_kind, object_id, city, reason, clock.now())]
    )


def deed_row(
    *, actor: str, deed: str, object_kind: str, object_id: UUID, at: datetime, city: str | None = None,
    reason: str | None = None,
) -> ledger.Insert:  # fmt: skip
    """The same as a row of a group of transfers."""
    return ledger.Insert(_RELATION, _row(actor, deed, object_kind, object_id, city, reason, at))


def _row(
    actor: str,
    deed: str,
    object_kind: str,
    object_id: UUID,
    city: str | None,
    reason: str | None,
    at: datetime,
) -> tuple[Any, ...]:
    request = structlog.contextvars.get_contextvars().get("request_id")
    return new_id(), actor, deed, object_kind, object_id, city, reason, request, at


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """Which deeds are looked for: everything that is given has to be so. `until` is outside."""

    city: str | None = None
    actor: str | None = None
    deed: str | None = None
    object: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


async def deeds(sought: Sought, *, limit: int, before: UUID | None = None) -> Sequence[Deed]:
    """Up to `limit` deeds, newest first, from `before` on."""
    rows = await db.fetch(
        """SELECT d.id, d.actor, o.login AS operator, d.deed, d.object_kind, d.object, d.city, d.reason, d.request_id,
                  d.created_at
           FROM operator_deed d LEFT JOIN operator o ON 'operator:' || o.id = d.actor
           WHERE ($1::text IS NULL OR d.city = $1) AND ($2::text IS NULL OR d.actor = $2)
             AND ($3::text IS NULL OR d.deed = $3) AND ($4::uuid IS NULL OR d.object = $4)
             AND ($5::timestamptz IS NULL OR d.created_at >= $5) AND ($6::timestamptz IS NULL OR d.created_at < $6)
             AND ($7::uuid IS NULL OR d.id < $7)
           ORDER BY d.id DESC LIMIT $8""",
        sought.city, sought.actor, sought.deed, sought.object, sought.since, sought.until, before, limit,
    )  # fmt: skip
    return [Deed(**row) for row in rows]


async def kinds_of_deeds() -> list[str]:
    """Every kind of deed that was ever done, in the order of the alphabet."""
    rows = await db.fetch("SELECT DISTINCT deed FROM operator_deed ORDER BY deed")
    return [row["deed"] for row in rows]


__all__ = [
    "MAX_REASON_LENGTH",
    "Deed",
    "Sought",
    "deed_row",
    "deeds",
    "kinds_of_deeds",
    "record_deed",
    "stated",
]
