"""How many codes there are: the ledger's balance of a pool, less what has expired and is about to be taken out."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

import msgspec

from marketplace import chart, clock, db, ledger


class Pool(msgspec.Struct, frozen=True):
    """How many codes an offer's pool has, how many of them nobody has yet, and when its publisher is told.

    `low` is whether no more than `alarm_at` are left.
    """

    codes: int
    given: int
    left: int
    alarm_at: int
    low: bool


async def pool_of(offer: UUID) -> Pool:
    """How full the pool of an offer is. Codes that were taken back or have expired are none of it."""
    row = await db.fetch_row(
        """SELECT coalesce(sum(u.added - u.withdrawn - u.lapsed), 0)::int AS codes,
                  (SELECT alarm_at FROM code_pool WHERE offer = $1) AS alarm_at,
                  (SELECT count(*)::int FROM pool_code WHERE offer = $1 AND redemption IS NULL AND expires_at <= $2)
                  AS overdue,
                  (SELECT credits_posted - debits_posted FROM ledger_account WHERE id = $3) AS balance
           FROM code_upload u WHERE u.offer = $1""",
        offer, clock.now(), chart.pool(offer).id,
    )  # fmt: skip
    assert row is not None
    balance, alarm_at = row["balance"] or 0, row["alarm_at"] or 0
    left = balance - row["overdue"]
    return Pool(row["codes"] - row["overdue"], row["codes"] - balance, left, alarm_at, left <= alarm_at)


async def has_codes(offer: UUID) -> bool:
    """Whether there is a code in the offer's pool, given out or not."""
    return bool(await db.fetch_value("SELECT EXISTS (SELECT 1 FROM pool_code WHERE offer = $1)", offer))


async def free_codes(offers: Collection[UUID]) -> dict[UUID, int]:
    """How many codes nobody has yet, by offer, exactly: two queries for all of them."""
    if not offers:
        return {}
    rows = await db.fetch(
        """SELECT offer, count(*) AS overdue FROM pool_code
           WHERE offer = ANY($1) AND redemption IS NULL AND expires_at <= $2 GROUP BY offer""",
        list(offers), clock.now(),
    )  # fmt: skip
    overdue = {row["offer"]: row["overdue"] for row in rows}
    balances = await ledger.balances([chart.pool(offer).id for offer in offers])
    return {
        offer: max(0, balances[chart.pool(offer).id].available - overdue.get(offer, 0)) for offer in offers
    }
