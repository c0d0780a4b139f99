"""Batches of consumption records into the registry."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec

from marketplace import clock, db, ledger
from marketplace.chart import CONSUMPTION, RETIRED
from marketplace.errors import Unavailable
from marketplace.lots import Slice, lock_open_lots, record_slices, spend
from marketplace.registry import Receipt, Registry, Retirement

BATCH: Final = 500
LEASE: Final = timedelta(minutes=5)  # of the first attempt; each later one is given twice as long
LONGEST_LEASE: Final = timedelta(hours=2)
MAX_ATTEMPTS: Final = 20  # with these leases more than a day: so long a registry may be down
ANSWER_SECONDS: Final = 60


class Settled(msgspec.Struct, frozen=True):
    """How many consumption records are in each state after a run; `recorded` counts those of this run."""

    recorded: int
    pending: int
    unknown: int
    rejected: int
    dead: int


class Count(msgspec.Struct, frozen=True):
    """The consumption records in one state, and their grams."""

    state: str
    records: int
    amount_g: int


async def counts() -> list[Count]:
    """Consumption records by state."""
    rows = await db.fetch(
        """SELECT state, count(*) AS records, sum(amount_g)::bigint AS amount_g FROM consumption_record
           GROUP BY state ORDER BY state"""
    )
    return [Count(**row) for row in rows]


async def settle(registry: Registry, *, everything: bool) -> Settled:
    """Send what is due to the registry and record its receipts.

    `everything` takes also records that a till could still reverse, which closes their reversal.
    """
    recorded = 0
    while batch := await _claim(everything=everything):
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                receipts = await registry.retire([retirement for retirement, _ in batch])
        except (TimeoutError, OSError, Unavailable):
            await _close(batch, state="unknown", fault="no_answer")
            break
        recorded += await _record(batch, receipts)
    left = {count.state: count.records for count in await counts()}
    waiting = left.get("pending", 0) + left.get("sending", 0)
    return Settled(recorded, waiting, left.get("unknown", 0), left.get("rejected", 0), left.get("dead", 0))


Claimed = tuple[Retirement, int]  # with the number of the attempt, which fences late writes off


async def _claim(*, everything: bool) -> list[Claimed]:
    """Lease the next records and give them serials, in the order of capture."""
    now = clock.now()
    async with db.transaction():
        rows = await db.fetch(
            """SELECT c.id, c.resident, c.amount_g, c.attempts, p.registry_account AS counterparty
               FROM consumption_record c JOIN publisher p ON p.id = c.publisher
               WHERE (c.state = 'pending' AND ($1 OR c.settle_after <= $2))
                  OR (c.state IN ('sending', 'unknown') AND c.leased_until < $2)
               ORDER BY c.captured_at, c.id LIMIT $3 FOR NO KEY UPDATE OF c SKIP LOCKED""",
            everything, now, BATCH,
        )  # fmt: skip
        if not rows:
            return []
        slices = await _serials(rows)
        await db.execute(
            """UPDATE consumption_record SET state = 'sending', attempts = attempts + 1,
                   leased_until = $2::timestamptz + least($3::interval * power(2, attempts), $4::interval)
               WHERE id = ANY($1)""",
            [row["id"] for row in rows], now, LEASE, LONGEST_LEASE,
        )  # fmt: skip
        pseudonyms = await db.fetch(
            "SELECT id, registry_account FROM resident WHERE id = ANY($1)", [row["resident"] for row in rows]
        )
    accounts = {row["id"]: row["registry_account"] for row in pseudonyms}
    return [
        (
            Retirement(
                id=row["id"], account=accounts[row["resident"]], counterparty=row["counterparty"],
                purpose="incentive_redemption", serials=tuple(sorted(slices[row["id"]])),
            ),
            row["attempts"] + 1,
        )
        for row in rows
    ]  # fmt: skip


async def _serials(records: Sequence[db.Row]) -> dict[UUID, list[tuple[int, int]]]:
    """The serials of each record; those that have none yet get them from the residents' oldest lots."""
    known = await db.fetch(
        """SELECT consumption, lower(serials) AS start, upper(serials) AS stop FROM serial_range
           WHERE consumption = ANY($1)""",
        [record["id"] for record in records],
    )
    serials: dict[UUID, list[tuple[int, int]]] = {}
    for row in known:
        serials.setdefault(row["consumption"], []).append((row["start"], row["stop"]))
    new = [record for record in records if record["id"] not in serials]
    lots = await lock_open_lots({record["resident"] for record in new})
    slices: list[Slice] = []
    for record in new:
        cut = spend(lots[record["resident"]], record["amount_g"], consumption=record["id"])
        serials[record["id"]] = [piece.serials for piece in cut]
        slices += cut
    await record_slices(slices)
    return serials


async def _record(batch: Sequence[Claimed], receipts: dict[UUID, Receipt]) -> int:
    """Write the receipts of a batch, and move its grams to `retired`; answers how many were recorded."""
    now = clock.now()
    done = [(retirement, attempt) for retirement, attempt in batch if _is_for(retirement, receipts)]
    async with db.transaction():
        rows = await db.fetch(
            """UPDATE consumption_record c
               SET state = 'recorded', leased_until = NULL, fault = NULL, receipt = r.receipt, recorded_at = $4
               FROM unnest($1::uuid[], $2::integer[], $3::jsonb[]) AS r (id, attempt, receipt)
               WHERE c.id = r.id AND c.attempts = r.attempt AND c.state = 'sending'
               RETURNING c.id, c.redemption, c.amount_g""",
            [retirement.id for retirement, _ in done],
            [attempt for _, attempt in done],
            [_shown(receipts[retirement.id]) for retirement, _ in done],
            now,
        )
        await ledger.apply([
            ledger.Group(
                legs=[ledger.Transfer(debit=CONSUMPTION, credit=RETIRED, amount=row["amount_g"], kind="settle",
                                      subject=row["redemption"], refusal="unavailable")],
                at=now,
            )
            for row in rows
        ])  # fmt: skip
    refused = [(retirement, attempt) for retirement, attempt in batch if not _is_for(retirement, receipts)]
    if refused:
        await _close(refused, state="rejected", fault="not_recorded")
    return len(rows)


def _is_for(retirement: Retirement, receipts: dict[UUID, Receipt]) -> bool:
    """Whether there is a receipt for all of it: one for another amount is none."""
    receipt = receipts.get(retirement.id)
    return receipt is not None and receipt.amount_g == retirement.amount_g


async def _close(batch: Sequence[Claimed], *, state: str, fault: str) -> None:
    """Leave a batch in `state`; what has been tried too often is dead and waits for an operator."""
    await db.execute(
        """UPDATE consumption_record c
           SET state = CASE WHEN c.attempts >= $5 THEN 'dead' ELSE $3 END, fault = $4
           FROM unnest($1::uuid[], $2::integer[]) AS b (id, attempt)
           WHERE c.id = b.id AND c.attempts = b.attempt AND c.state = 'sending'""",
        [retirement.id for retirement, _ in batch],
        [attempt for _, attempt in batch],
        state, fault, MAX_ATTEMPTS,
    )  # fmt: skip


def _shown(receipt: Receipt) -> dict[str, str | int]:
    return {
        "id": str(receipt.id),
        "amount_g": receipt.amount_g,
        "recorded_at": receipt.recorded_at.isoformat().replace("+00:00", "Z"),
    }
