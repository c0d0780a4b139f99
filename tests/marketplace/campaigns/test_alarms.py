"""The guard of budgets: told at 70, 90 and 100 percent, once a crossing, and a model of a whole campaign."""

from __future__ import annotations

from uuid import UUID

import pytest

from marketplace import db
from marketplace.campaigns import ending, reading, trail
from marketplace.campaigns.alarms import level, watch_budgets
from marketplace.campaigns.funding import fund
from marketplace.campaigns.money import Budget
from tests.builders import a_campaign, a_resident, an_offer, cancel, redeem, redeemed


async def alarms(campaign: UUID) -> list[int]:
    await watch_budgets()
    events = reversed(await trail.events_of(campaign))
    return [event.facts["percent"] for event in events if event.event == "alarm"]


async def test_each_level_is_told_once_when_it_is_crossed(database: str) -> None:
    campaign = await a_campaign(10_000)
    offer = await an_offer(kind="cash_coupon", benefit={"amount_fen": 1_000}, campaign=campaign)
    told = []
    for _ in range(10):
        await redeem(await a_resident(), offer)
        told.append(await alarms(campaign))
    assert told == [[]] * 6 + [[70]] * 2 + [[70, 90], [70, 90, 100]]
    assert await alarms(campaign) == [70, 90, 100]


async def test_a_coupon_to_and_fro_is_one_alarm_and_a_real_second_crossing_another(database: str) -> None:
    campaign = await a_campaign(10_000)
    large = await an_offer(kind="cash_coupon", benefit={"amount_fen": 6_900}, campaign=campaign)
    small = await an_offer(kind="cash_coupon", benefit={"amount_fen": 100}, campaign=campaign)
    first, second = await a_resident(), await a_resident()
    most, _ = await redeemed(large, first)
    for _ in range(2):
        one, _ = await redeemed(small, second)
        assert await alarms(campaign) == [70]
        await cancel(second, one)
        assert await alarms(campaign) == [70]
    await cancel(first, most)
    assert await alarms(campaign) == [70]
    await redeem(first, large)
    await redeem(second, small)
    assert await alarms(campaign) == [70, 70]


async def test_a_budget_that_pays_no_coupon_more_is_used_up_and_a_top_up_mends_it(database: str) -> None:
    campaign = await a_campaign(1_900)
    offer = await an_offer(kind="cash_coupon", benefit={"amount_fen": 1_000}, campaign=campaign)
    await redeem(await a_resident(), offer)
    assert await alarms(campaign) == [70, 90, 100]
    assert (await reading.campaign(campaign)).exhausted
    await fund(campaign, 10_000)
    assert await alarms(campaign) == [70, 90, 100]
    shown = await reading.campaign(campaign)
    assert (shown.exhausted, shown.alarm_percent) == (False, 0)


async def test_the_publishers_in_it_are_told_too(database: str) -> None:
    campaign = await a_campaign(1_000)
    offer = await an_offer(kind="cash_coupon", benefit={"amount_fen": 1_000}, campaign=campaign)
    await redeem(await a_resident(), offer)
    await watch_budgets()
    rows = await db.fetch("SELECT publisher, kind, subject, facts FROM publisher_event ORDER BY id")
    assert [(row["publisher"], row["kind"], row["subject"], row["facts"]["percent"]) for row in rows] == [
        (offer.publisher.id, "campaign.alarm", campaign, percent) for percent in (70, 90, 100)
    ]


async def test_a_campaign_without_money_or_that_has_ended_is_no_alarm(database: str) -> None:
    empty, ended = await a_campaign(0), await a_campaign(1_000)
    await an_offer(kind="cash_coupon", campaign=empty)
    await ending.end_campaign(ended, actor="test")
    assert await watch_budgets() == 0


@pytest.mark.parametrize(
    ("left", "smallest", "told", "now"),
    [(31, 1, 0, 0), (30, 1, 0, 70), (10, 1, 70, 90), (0, None, 90, 100), (60, 61, 0, 100), (35, 1, 70, 70),
     (36, 1, 70, 0), (14, 1, 100, 90), (5, 1, 100, 100)],
)  # fmt: skip
def test_a_level_stands_until_the_use_is_five_points_below(
    left: int, smallest: int | None, told: int, now: int
) -> None:
    assert level(Budget(100, 100 - left, 0, left), smallest, told=told) == now
