"""How far an offer's stock and budgets have come, for those who run it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from marketplace import ledger
from marketplace.campaigns.money import budgets_of
from marketplace.offers.limits import offer_counters, resets_at
from marketplace.offers.terms import Terms

Limit = Literal["stock_total", "stock_per_day", "budget_fen", "budget_per_day_fen", "campaign_budget_fen"]


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """One limit: its `cap`, what is `used` of it, and how much of that is `held` by coupons that may still come back.

    Units for stock, fen for budgets. `used` is above a cap that was lowered. What resets does so at `resets_at`.
    """

    limit: Limit
    used: int
    held: int
    cap: int
    resets_at: datetime | None


async def usage_of(offers: Mapping[UUID, Terms], *, at: datetime) -> dict[UUID, list[Usage]]:
    """What each of `offers` has used of its limits at the instant `at`; also of its campaign's budget."""
    counters = {offer: offer_counters(offer, terms, at=at) for offer, terms in offers.items()}
    campaigns = {terms.funding.campaign for terms in offers.values() if terms.funding.campaign is not None}
    accounts = [counter.account.id for each in counters.values() for counter in each]
    balances = await ledger.balances(accounts) if accounts else {}
    budgets = await _budgets_of(campaigns) if campaigns else {}
    usage = {}
    for offer, terms in offers.items():
        usage[offer] = [
            Usage(limit=counter.limit, used=balances[counter.account.id].counted,  # type: ignore[arg-type]
                  held=balances[counter.account.id].credits_pending, cap=counter.cap,
                  resets_at=resets_at(counter.refusal, terms, at=at))
            for counter in counters[offer]
        ]  # fmt: skip
        if terms.funding.campaign is not None:
            usage[offer].append(budgets[terms.funding.campaign])
    return usage


async def _budgets_of(campaigns: Collection[UUID]) -> dict[UUID, Usage]:
    """Campaigns' budgets: what was put in, and what of it is spent or held."""
    return {
        campaign: Usage(limit="campaign_budget_fen", used=budget.spent_fen + budget.reserved_fen,
                        held=budget.reserved_fen, cap=budget.funded_fen, resets_at=None)
        for campaign, budget in (await budgets_of(campaigns)).items()
    }  # fmt: skip
