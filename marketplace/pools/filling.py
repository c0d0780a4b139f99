"""Codes into a pool: sealed, each once, and counted by the ledger in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from marketplace import chart, clock, db, ledger
from marketplace.ids import new_id
from marketplace.pools.alarm import settle_alarm
from marketplace.pools.lines import Line, numbered
from marketplace.pools.opening import open_pool
from marketplace.pools.sealing import fingerprint, sealed_code
from marketplace.pools.uploads import open_upload

Fault = tuple[int, str]


class PoolReport(msgspec.Struct, frozen=True):
    """What became of an upload: how many codes are new, and the lines (from 1) that were refused, with why."""

    added: int
    refused: list[tuple[int, str]]


class Filled(NamedTuple):
    """How many codes were added, and the lines that were not."""

    added: int
    faults: list[Fault]


async def add_codes(
    *, publisher: UUID, offer: UUID, codes: Sequence[str], expires_at: datetime | None = None, actor: str = ""
) -> PoolReport:
    """Add `codes` to the pool of an offer of kind `code`, now; the same codes again add nothing.

    Blank, overlong and repeated lines are refused one by one. Raises NotFound, Refused `offer_has_no_pool`.
    """
    async with db.transaction():
        await open_pool(publisher=publisher, offer=offer)
        upload = await open_upload(
            publisher=publisher, offer=offer, source="sent", state="loading", lines=len(codes),
            expires_at=expires_at, actor=actor,
        )  # fmt: skip
        filled = await fill(upload, numbered(codes), offer=offer, expires_at=expires_at)
        await db.execute(
            "UPDATE code_upload SET state = 'loaded', finished_at = $2 WHERE id = $1", upload, clock.now()
        )
    return PoolReport(filled.added, filled.faults)


async def fill(upload: UUID, lines: Sequence[Line], *, offer: UUID, expires_at: datetime | None) -> Filled:
    """Add the codes of `lines` that the pool does not have, in the open transaction and under the offer's lock.

    What was not added is kept with its line. The ledger comes last, so that redemptions wait for a moment only.
    """
    faults: list[Fault] = []
    new: dict[bytes, Line] = {}
    for line in lines:
        mark = b"" if line.fault else fingerprint(offer, line.code)
        if line.fault or mark in new:
            faults.append((line.number, line.fault or "repeated"))
        else:
            new[mark] = line
    stored = await _stored(upload, new, offer=offer, expires_at=expires_at)
    faults += [(line.number, "repeated") for mark, line in new.items() if mark not in stored]
    faults.sort()
    await db.insert_many(
        "code_upload_fault", ("upload", "line", "fault"), [(upload, *fault) for fault in faults]
    )
    await db.execute(
        """UPDATE code_upload SET added = added + $2, refused = refused + $3, loaded = loaded + $2 + $3
           WHERE id = $1""",
        upload, len(stored), len(faults),
    )  # fmt: skip
    if stored:
        await _count(upload, len(stored), offer=offer)
    return Filled(len(stored), faults)


async def _stored(
    upload: UUID, new: dict[bytes, Line], *, offer: UUID, expires_at: datetime | None
) -> set[bytes]:
    """Seal and insert the codes that are not there; answers their fingerprints."""
    ids = [new_id() for _ in new]
    boxes = [sealed_code(row, line.code) for row, line in zip(ids, new.values(), strict=True)]
    rows = await db.fetch(
        """INSERT INTO pool_code (id, offer, upload, fingerprint, sealed, expires_at)
           SELECT g.id, $4, $5, g.fingerprint, g.sealed, $6
           FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS g (id, fingerprint, sealed)
           ON CONFLICT ON CONSTRAINT pool_code_once DO NOTHING RETURNING fingerprint""",
        ids, list(new), boxes, offer, upload, expires_at,
    )  # fmt: skip
    return {row["fingerprint"] for row in rows}


async def _count(upload: UUID, added: int, *, offer: UUID) -> None:
    await ledger.apply(
        [
            ledger.Group(
                legs=[
                    ledger.Transfer(
                        debit=chart.UNITS, credit=chart.pool(offer), amount=added, kind="fill",
                        refusal="unavailable", subject=upload,
                    )
                ],
                at=clock.now(),
            )
        ]
    )  # fmt: skip
    await settle_alarm(offer)
