"""Codes out of a pool again: those that nobody has, taken back by their publisher or run out.

They are deleted: what is not to be given out is not to be kept. The upload they came with counts them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from marketplace import chart, clock, db, ledger
from marketplace.errors import NotFound
from marketplace.pools.alarm import settle_alarm
from marketplace.pools.opening import lock_offer, open_pool
from marketplace.pools.uploads import Upload, upload_of

AT_ONCE: Final = 10_000  # codes in a transaction: redemptions of the offer wait for it
ABANDONED_HOURS: Final = 24


async def withdraw(*, publisher: UUID, upload: UUID) -> Upload:
    """Take back all codes of `upload` that nobody has, and load no more of it; what was given out is good.

    Again, it changes nothing. Its file may be uploaded anew afterwards. Raises NotFound.
    """
    offer = await db.fetch_value(
        "SELECT offer FROM code_upload WHERE id = $1 AND publisher = $2", upload, publisher
    )
    if offer is None:
        raise NotFound
    async with db.transaction():
        await open_pool(publisher=publisher, offer=offer)
        await _stop(upload)
    while await _take_out(offer, upload=upload) == AT_ONCE:
        pass
    return await upload_of(publisher=publisher, upload=upload)


async def _stop(upload: UUID) -> None:
    await db.execute(
        """UPDATE code_upload SET state = 'withdrawn', digest = NULL, fault = NULL, leased_until = NULL,
                                  finished_at = coalesce(finished_at, $2)
           WHERE id = $1 AND state <> 'withdrawn'""",
        upload, clock.now(),
    )  # fmt: skip
    await db.execute("DELETE FROM code_upload_part WHERE upload = $1", upload)


async def lapse_due() -> int:
    """Take out the codes that have expired, and drop uploads that nobody goes on with; answers how many codes."""
    now = clock.now()
    offers = await db.fetch(
        """SELECT DISTINCT offer FROM pool_code
           WHERE redemption IS NULL AND expires_at IS NOT NULL AND expires_at <= $1 LIMIT 100""",
        now,
    )
    taken = 0
    for row in offers:
        taken += await lapse(row["offer"])
    abandoned = await db.fetch(
        """SELECT id, publisher FROM code_upload
           WHERE state = 'receiving' AND created_at < $1::timestamptz - make_interval(hours => $2) LIMIT 100""",
        now, ABANDONED_HOURS,
    )  # fmt: skip
    for row in abandoned:
        await withdraw(publisher=row["publisher"], upload=row["id"])
    return taken


async def lapse(offer: UUID) -> int:
    """Take the codes of `offer` out that have expired; answers how many."""
    return await _take_out(offer, expired_at=clock.now())


async def _take_out(offer: UUID, *, upload: UUID | None = None, expired_at: datetime | None = None) -> int:
    """Delete the free codes of `upload`, or those that have expired: so many at most, counted by ledger and uploads.

    The lock of the pool's account keeps them from being given out meanwhile. Answers how many.
    """
    pool = chart.pool(offer)
    async with db.transaction():
        await lock_offer(offer)
        await ledger.open_and_lock([pool])
        rows = await db.fetch(
            """WITH gone AS (
                   DELETE FROM pool_code WHERE offer = $1 AND redemption IS NULL AND id IN (
                       SELECT id FROM pool_code
                       WHERE offer = $1 AND redemption IS NULL AND (upload = $2 OR expires_at <= $3)
                       ORDER BY expires_at, id LIMIT $4)
                   RETURNING upload)
               SELECT upload, count(*)::int AS codes FROM gone GROUP BY upload ORDER BY upload""",
            offer, upload, expired_at, AT_ONCE,
        )  # fmt: skip
        for row in rows:
            lapsed = 0 if expired_at is None else row["codes"]
            await db.execute(
                "UPDATE code_upload SET withdrawn = withdrawn + $2, lapsed = lapsed + $3 WHERE id = $1",
                row["upload"], row["codes"] - lapsed, lapsed,
            )  # fmt: skip
        if rows:
            await _count(rows, pool=pool, kind="withdraw" if expired_at is None else "lapse")
            await settle_alarm(offer)
    return sum(row["codes"] for row in rows)


async def _count(rows: list[db.Row], *, pool: ledger.Account, kind: str) -> None:
    legs = [
        ledger.Transfer(debit=pool, credit=chart.UNITS, amount=row["codes"], kind=kind, refusal="unavailable",
                        subject=row["upload"])
        for row in rows
    ]  # fmt: skip
    await ledger.apply([ledger.Group(legs=legs, at=clock.now())])
