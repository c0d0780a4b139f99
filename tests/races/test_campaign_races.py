"""A campaign's money under those who want it at the same time."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

from marketplace.campaigns import ending, opening, reading
from marketplace.campaigns.alarms import watch_budgets
from marketplace.campaigns.funding import fund
from marketplace.campaigns.opening import NewCampaign, NewFunder
from marketplace.campaigns.trail import events_of
from tests.builders import a_key, a_resident, an_offer, budget_left_fen, code_of, redeem

HALVES = (NewFunder(name="甲", share_bp=5_001), NewFunder(name="乙", share_bp=4_999))


async def a_shared_campaign(budget_fen: int) -> UUID:
    campaign = await opening.open_campaign(NewCampaign(name="低碳季", funders=HALVES), actor="test")
    await fund(campaign, budget_fen)
    return campaign


async def a_coupon_of_ten(campaign: UUID) -> Any:
    return await an_offer(kind="cash_coupon", benefit={"amount_fen": 1_000}, campaign=campaign)


async def at_once(*verbs: Any) -> Counter[str]:
    return Counter(map(code_of, await asyncio.gather(*verbs, return_exceptions=True)))


async def test_of_two_who_want_the_last_fen_one_gets_it(database: str) -> None:
    campaign = await a_shared_campaign(1_000)
    offers = [await a_coupon_of_ten(campaign), await a_coupon_of_ten(campaign)]
    residents = [await a_resident() for _ in range(2)]
    outcomes = await at_once(*(redeem(r, o) for r, o in zip(residents, offers, strict=True)))
    assert outcomes == {"ok": 1, "budget_exhausted": 1}
    assert await budget_left_fen(campaign) == 0


async def test_top_ups_and_redemptions_at_once_lose_and_invent_no_fen(database: str) -> None:
    campaign = await a_shared_campaign(3_000)
    offer = await a_coupon_of_ten(campaign)
    funders = (await reading.campaign(campaign)).funders
    residents = [await a_resident() for _ in range(12)]
    outcomes = await at_once(
        *(redeem(resident, offer) for resident in residents),
        *(fund(campaign, 1_001) for _ in range(3)),
        *(fund(campaign, 700, funder=funder.id) for funder in funders for _ in range(2)),
    )
    shown = await reading.campaign(campaign)
    assert set(outcomes) <= {"ok", "budget_exhausted"}
    assert shown.funded_fen + shown.waiting_fen == 3_000 + 3 * 1_001 + 4 * 700
    assert shown.reserved_fen == (outcomes["ok"] - 7) * 1_000
    assert shown.budget_fen == shown.funded_fen - shown.reserved_fen
    assert sum(funder.left_fen for funder in shown.funders) == shown.budget_fen


async def test_the_same_top_up_many_times_at_once_counts_once(database: str) -> None:
    campaign = await a_shared_campaign(100)
    outcomes = await at_once(*(fund(campaign, 50, key=a_key("operator")) for _ in range(6)))
    assert outcomes == {"ok": 6}
    assert await budget_left_fen(campaign) == 150


async def test_a_redemption_that_was_first_keeps_its_reservation_and_one_that_was_not_is_refused(
    database: str,
) -> None:
    campaign = await a_shared_campaign(50_000)
    offer = await a_coupon_of_ten(campaign)
    residents = [await a_resident() for _ in range(16)]
    outcomes = await at_once(
        *(redeem(resident, offer) for resident in residents[:8]),
        ending.end_campaign(campaign, actor="test"),
        *(redeem(resident, offer) for resident in residents[8:]),
    )
    shown = await reading.campaign(campaign)
    assert set(outcomes) <= {"ok", "offer_ended"}
    assert shown.reserved_fen == shown.funded_fen == (outcomes["ok"] - 1) * 1_000
    assert shown.budget_fen == 0


async def test_a_campaign_ends_once_and_its_money_goes_home_once(database: str) -> None:
    campaign = await a_shared_campaign(1_001)
    outcomes = await at_once(
        *(ending.end_campaign(campaign, actor="test") for _ in range(4)), fund(campaign, 99)
    )
    assert (outcomes["ok"], outcomes["campaign_has_ended"]) in {(1, 4), (2, 3)}
    shown = await reading.campaign(campaign)
    assert (shown.funded_fen, shown.waiting_fen) == (0, 0)


async def test_of_several_who_watch_one_raises_the_alarm(database: str) -> None:
    campaign = await a_shared_campaign(1_000)
    await redeem(await a_resident(), await a_coupon_of_ten(campaign))
    await asyncio.gather(*(watch_budgets() for _ in range(4)))
    alarms = [event.facts["percent"] for event in await events_of(campaign) if event.event == "alarm"]
    assert alarms == [100, 90, 70]
