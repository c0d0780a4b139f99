"""Campaigns' budgets: money that a funder puts in, in fen."""

from __future__ import annotations

from uuid import UUID

from marketplace import clock, db, ledger
from marketplace.chart import FUNDERS, budget
from marketplace.errors import NotFound


async def fund(
    campaign: UUID, amount_fen: int, *, key: ledger.IdempotencyKey | None = None
) -> dict[str, str | int]:
    """Add `amount_fen` to a campaign's budget, once per `key`. Raises NotFound."""
    if await db.fetch_row("SELECT 1 FROM campaign WHERE id = $1", campaign) is None:
        raise NotFound
    leg = ledger.Transfer(debit=FUNDERS, credit=budget(campaign), amount=amount_fen, kind="fund", subject=campaign,
                          refusal="unavailable")  # fmt: skip
    answer = {"id": str(campaign), "amount_fen": amount_fen}
    return dict(await ledger.submit(ledger.Group(legs=[leg], at=clock.now(), key=key, answer=answer)))
