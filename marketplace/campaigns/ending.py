"""A campaign ends: what is left goes back to its funders, what coupons hold stays for them until they are closed."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from marketplace import chart, clock, db
from marketplace.campaigns import trail
from marketplace.campaigns.funding import give_back
from marketplace.campaigns.state import lock, lock_offers, lock_open
from marketplace.redemptions import REVERSAL_WINDOW

_AT_ONCE: Final = 100  # campaigns a round


async def end_campaign(campaign: UUID, *, actor: str) -> int:
    """End it for good; answers how much went back, in fen. Raises NotFound, Refused `campaign_has_ended`.

    Nothing of it can be redeemed from then on. A redemption that was first keeps its reservation, and what that does
    not spend goes back later (`return_what_came_back`).
    """
    async with db.transaction():
        await lock_open(campaign)
        await lock_offers(campaign)
        await db.execute("UPDATE campaign SET status = 'ended' WHERE id = $1", campaign)
        await trail.keep(campaign, "ended", actor=actor)
        return await give_back(campaign, actor=actor, waiting=True)


async def return_what_came_back() -> int:
    """Of campaigns that have ended, what coupons gave back since, to the funders; answers how many campaigns that were.

    Not before it has lain for as long as a verification can be undone, which would need it again.
    """
    rows = await db.fetch(
        """SELECT c.id FROM campaign c JOIN ledger_account a ON a.id = c.budget_account
            WHERE c.status = 'ended' AND a.credits_posted - a.debits_posted - a.debits_pending > 0
            ORDER BY c.id LIMIT $1""",
        _AT_ONCE,
    )
    return sum([await _returned(row["id"]) for row in rows])


async def _returned(campaign: UUID) -> bool:
    async with db.transaction():
        await lock(campaign)
        moved_lately = await db.fetch_row(
            """SELECT 1 FROM ledger_transfer WHERE debit = $1 AND credit_limit IS NULL AND created_at > $2
               LIMIT 1""",
            chart.budget(campaign).id, clock.now() - REVERSAL_WINDOW,
        )  # fmt: skip
        return moved_lately is None and await give_back(campaign, actor="system", waiting=False) > 0
