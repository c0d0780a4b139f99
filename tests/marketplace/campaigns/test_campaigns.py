"""Campaigns of several funders: money in, what each has paid, pause, period, end, who may join."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from marketplace import clock, db, expiry
from marketplace.campaigns import ending, opening, reading, trail
from marketplace.campaigns.funding import fund
from marketplace.campaigns.joining import joinable_campaigns
from marketplace.campaigns.opening import Audience, CampaignChange, NewCampaign, NewFunder
from marketplace.errors import ChutanError, FieldError, Invalid, NotFound, Refused
from marketplace.ids import new_id
from marketplace.offers import lifecycle
from marketplace.offers.catalogue import live_offers, public_offer
from marketplace.registry import EmbeddedRegistry
from tests.builders import (
    a_draft,
    a_key,
    a_publisher,
    a_resident,
    a_till,
    an_offer,
    budget_left_fen,
    cancel,
    edited,
    payable_fen,
    redeem,
    redeemed,
    reverse,
    status_of,
    verify,
)

THREE = (
    NewFunder(name="湖北省生态环境厅", kind="province", share_bp=5_000),
    NewFunder(name="武汉市", kind="city", share_bp=3_000),
    NewFunder(name="楚商银行", kind="bank", share_bp=2_000),
)  # fmt: skip


async def of_three(amount_fen: int = 0, **more: Any) -> UUID:
    given = NewCampaign(name="低碳出行季", funders=THREE, **more)
    campaign = await opening.open_campaign(given, actor="operator:1")
    if amount_fen:
        await fund(campaign, amount_fen)
    return campaign


async def a_coupon_of(campaign: UUID, fen: int = 1_000, **more: Any) -> Any:
    return await an_offer(kind="cash_coupon", benefit={"amount_fen": fen}, campaign=campaign, **more)


async def parts(campaign: UUID, name: str) -> list[int]:
    return [getattr(funder, name) for funder in (await reading.campaign(campaign)).funders]


async def happened(campaign: UUID) -> list[str]:
    return [event.event for event in reversed(await trail.events_of(campaign))]


async def refusal_of(resident: UUID, offer: Any) -> str:
    with pytest.raises(ChutanError) as refused:
        await redeem(resident, offer)
    return refused.value.code


# ------------------------------------------------------------------ money in
async def test_all_funders_pay_in_by_their_shares_to_the_fen(database: str) -> None:
    campaign = await of_three(1_001)
    assert await parts(campaign, "funded_fen") == [501, 300, 200]
    await fund(campaign, 2)
    assert sum(await parts(campaign, "funded_fen")) == 1_003 == await budget_left_fen(campaign)


async def test_what_one_pays_in_waits_until_the_others_have_matched_it(database: str) -> None:
    campaign = await of_three()
    province, city, bank = (funder.id for funder in (await reading.campaign(campaign)).funders)
    answer = await fund(campaign, 50_000, funder=province)
    assert (answer["funded_fen"], answer["waiting_fen"]) == (1, 49_999)  # the first fen is theirs alone
    await fund(campaign, 30_000, funder=city)
    assert await budget_left_fen(campaign) == 3  # the fourth fen is the first of the bank
    await fund(campaign, 10_000, funder=bank)
    shown = await reading.campaign(campaign)
    assert (shown.budget_fen, shown.waiting_fen) == (50_003, 39_997)
    assert await parts(campaign, "funded_fen") == [25_002, 15_001, 10_000]
    assert await parts(campaign, "waiting_fen") == [24_998, 14_999, 0]


async def test_money_of_somebody_else_is_refused(database: str) -> None:
    campaign = await of_three()
    with pytest.raises(Invalid):
        await fund(campaign, 1, funder=new_id())
    with pytest.raises(NotFound):
        await fund(new_id(), 1)


async def test_the_same_payment_twice_counts_once(database: str) -> None:
    campaign, key = await of_three(), a_key("operator")
    first = await fund(campaign, 500, key=key)
    assert await fund(campaign, 500, key=key) == first
    assert await budget_left_fen(campaign) == 500
    assert await happened(campaign) == ["created", "funded"]


async def test_a_top_up_reopens_what_was_out_of_budget(database: str) -> None:
    campaign, resident = await of_three(900), await a_resident()
    offer = await a_coupon_of(campaign)
    assert await refusal_of(resident, offer) == "budget_exhausted"
    assert (await public_offer(offer.id)).budget_exhausted
    await fund(campaign, 100)
    assert not (await public_offer(offer.id)).budget_exhausted
    assert (await redeem(resident, offer))["status"] == "issued"


# ------------------------------------------------------------------ what each has paid
async def test_a_discount_is_reserved_then_spent_and_each_funder_pays_their_share_of_it(
    database: str,
) -> None:
    campaign = await of_three(10_000)
    offer = await a_coupon_of(campaign)
    _, code = await redeemed(offer)
    assert await parts(campaign, "reserved_fen") == [500, 300, 200]
    await verify(await a_till(of=offer), code, bill_fen=333)
    assert await parts(campaign, "spent_fen") == [167, 100, 66]
    assert await parts(campaign, "reserved_fen") == [0, 0, 0]
    assert await parts(campaign, "left_fen") == [4_833, 2_900, 1_934]
    assert await payable_fen(offer.publisher.id) == 333


async def test_undoing_a_verification_gives_every_funder_their_share_back(database: str) -> None:
    campaign = await of_three(10_000)
    offer = await a_coupon_of(campaign)
    till, (_, code) = await a_till(of=offer), await redeemed(offer)
    await reverse(till, (await verify(till, code, bill_fen=777))["id"])
    assert await parts(campaign, "spent_fen") == [0, 0, 0]
    assert await parts(campaign, "reserved_fen") == [500, 300, 200]


async def test_no_offer_takes_more_than_is_left_and_it_is_shown_beforehand(database: str) -> None:
    campaign = await of_three(1_500)
    dear, cheap = await a_coupon_of(campaign), await a_coupon_of(campaign, 200)
    await redeem(await a_resident(), dear)
    assert [(o.title, o.out_of_budget) for o in await reading.offers_of(campaign)] == [
        (cheap.title, False), (dear.title, True)
    ]  # fmt: skip
    assert (await public_offer(dear.id)).budget_exhausted
    assert not (await public_offer(cheap.id)).budget_exhausted


# ------------------------------------------------------------------ pause, period, end
async def test_nothing_of_a_paused_campaign_is_redeemed_and_coupons_out_are_good(database: str) -> None:
    campaign, resident = await of_three(10_000), await a_resident()
    offer = await a_coupon_of(campaign)
    _, code = await redeemed(offer)
    await opening.pause_campaign(campaign, actor="operator:1")
    assert await refusal_of(resident, offer) == "offer_not_live"
    assert [one.id for one in (await live_offers()).items] == []
    assert (await verify(await a_till(of=offer), code, bill_fen=5_000))["discount_fen"] == 1_000
    await opening.resume_campaign(campaign, actor="operator:1")
    assert (await redeem(resident, offer))["status"] == "issued"


async def test_a_campaign_is_paused_once_and_resumed_once(database: str) -> None:
    campaign = await of_three()
    with pytest.raises(Refused, match="campaign_not_in_state"):
        await opening.resume_campaign(campaign, actor="operator:1")
    await opening.pause_campaign(campaign, actor="operator:1")
    with pytest.raises(Refused, match="campaign_not_in_state"):
        await opening.pause_campaign(campaign, actor="operator:1")


async def test_the_start_instant_of_the_period_is_inside_and_the_end_instant_outside(database: str) -> None:
    starts = clock.now() + timedelta(hours=1)
    campaign = await of_three(10_000, starts_at=starts, ends_at=starts + timedelta(hours=1))
    offer, resident = await a_coupon_of(campaign), await a_resident()
    assert offer.status == "approved"
    assert await refusal_of(resident, offer) == "offer_not_started"
    state = (await reading.campaign(campaign)).status
    assert state == "upcoming"
    with clock.travelled(timedelta(hours=1, seconds=1)):
        _, code = await redeemed(offer, resident)
    with clock.travelled(timedelta(hours=2)):
        assert await refusal_of(resident, offer) == "offer_ended"
        assert (await reading.campaign(campaign)).status == "over"
        assert (await verify(await a_till(of=offer), code, bill_fen=5_000))["discount_fen"] == 1_000


async def test_a_changed_period_holds_at_once(database: str) -> None:
    campaign, resident = await of_three(10_000), await a_resident()
    offer = await a_coupon_of(campaign)
    await redeem(resident, offer)
    over = CampaignChange(ends_at=clock.now() - timedelta(seconds=1))
    await opening.edit_campaign(campaign, over, actor="operator:1")
    assert await refusal_of(resident, offer) == "offer_ended"


async def test_an_end_sends_what_is_left_home_and_coupons_out_keep_their_reservation(database: str) -> None:
    campaign = await of_three(3_001)
    offer = await a_coupon_of(campaign)
    redemption, code = await redeemed(offer)
    assert await ending.end_campaign(campaign, actor="operator:1") == 2_001
    shown = await reading.campaign(campaign)
    assert (shown.status, shown.budget_fen, shown.reserved_fen, shown.funded_fen) == (
        "ended",
        0,
        1_000,
        1_000,
    )
    assert await parts(campaign, "funded_fen") == [500, 300, 200]
    assert await refusal_of(await a_resident(), offer) == "offer_ended"
    assert (await verify(await a_till(of=offer), code, bill_fen=5_000))["discount_fen"] == 1_000
    assert await status_of(redemption) == "verified"
    assert await parts(campaign, "spent_fen") == [500, 300, 200]
    assert await happened(campaign) == ["created", "funded", "ended", "returned"]


async def test_an_end_sends_home_what_one_paid_that_nobody_matched(database: str) -> None:
    campaign = await of_three(100)
    province = (await reading.campaign(campaign)).funders[0].id
    await fund(campaign, 70, funder=province)
    assert await ending.end_campaign(campaign, actor="operator:1") == 170
    assert (await reading.campaign(campaign)).waiting_fen == 0


async def test_what_coupons_give_back_after_the_end_goes_home_once_no_undo_could_need_it(
    database: str,
) -> None:
    campaign, resident = await of_three(1_000), await a_resident()
    offer = await a_coupon_of(campaign)
    redemption, _ = await redeemed(offer, resident)
    await ending.end_campaign(campaign, actor="operator:1")
    await cancel(resident, redemption)
    assert await ending.return_what_came_back() == 0
    with clock.travelled(timedelta(minutes=16)):
        assert await ending.return_what_came_back() == 1
    shown = await reading.campaign(campaign)
    assert (shown.budget_fen, shown.funded_fen) == (0, 0)


async def test_expired_coupons_of_an_ended_campaign_go_home_too(database: str) -> None:
    campaign = await of_three(1_000)
    await redeemed(await a_coupon_of(campaign, coupon_valid_days=1))
    await ending.end_campaign(campaign, actor="operator:1")
    with clock.travelled(timedelta(days=3)):
        await expiry.expire(EmbeddedRegistry())
        with clock.travelled(timedelta(minutes=16)):
            assert await ending.return_what_came_back() == 1


async def test_what_has_ended_is_changed_no_more(database: str) -> None:
    campaign = await of_three(100)
    await ending.end_campaign(campaign, actor="operator:1")
    for verb in (
        ending.end_campaign(campaign, actor="operator:1"),
        opening.pause_campaign(campaign, actor="operator:1"),
        opening.edit_campaign(campaign, CampaignChange(name="再来一次"), actor="operator:1"),
        fund(campaign, 1),
    ):
        with pytest.raises(Refused, match="campaign_has_ended"):
            await verb


# ------------------------------------------------------------------ opening and changing one
@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"funders": (NewFunder(name="甲", share_bp=9_999),)}, FieldError("funders", "shares_not_whole")),
        ({"funders": ()}, FieldError("funders", "required")),
        ({}, FieldError("funders", "required")),
        ({"funders": tuple(NewFunder(name="甲", share_bp=5_000) for _ in range(2))}, FieldError("funders", "repeated")),
        ({"funder": "甲", "open_to": Audience(cities=("110000",))}, FieldError("open_to.cities", "unknown")),
        ({"funder": "甲", "open_to": Audience(publishers=(new_id(),))}, FieldError("open_to.publishers", "unknown")),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_campaign_is_said_at_its_field(
    database: str, given: dict[str, Any], error: FieldError
) -> None:
    with pytest.raises(Invalid) as invalid:
        await opening.open_campaign(NewCampaign(name="活动", **given), actor="operator:1")
    assert list(invalid.value.errors) == [error]


async def test_an_end_before_the_start_is_refused_when_it_is_written(database: str) -> None:
    with pytest.raises(Invalid):
        await of_three(starts_at=clock.now(), ends_at=clock.now() - timedelta(days=1))


async def test_shares_can_be_changed_until_money_came_in_and_then_stand(database: str) -> None:
    campaign = await of_three()
    one = CampaignChange(funders=(NewFunder(name="武汉市", kind="city", share_bp=10_000),))
    await opening.edit_campaign(campaign, one, actor="operator:1")
    await fund(campaign, 100)
    await opening.edit_campaign(campaign, one, actor="operator:1")
    with pytest.raises(Invalid) as invalid:
        await opening.edit_campaign(campaign, CampaignChange(funders=THREE), actor="operator:1")
    assert list(invalid.value.errors) == [FieldError("funders", "cannot_change")]


async def test_the_database_keeps_shares_whole_and_standing_and_ends_final(database: str) -> None:
    campaign = await of_three()
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="not of the whole"):
        async with db.transaction():
            await db.execute("UPDATE campaign_funder SET share_bp = 1 WHERE campaign = $1", campaign)
    await fund(campaign, 10)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="stand"):
        await db.execute("DELETE FROM campaign_funder WHERE campaign = $1", campaign)
    await ending.end_campaign(campaign, actor="operator:1")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await db.execute("UPDATE campaign SET status = 'open' WHERE id = $1", campaign)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await db.execute("DELETE FROM campaign_event WHERE campaign = $1", campaign)


# ------------------------------------------------------------------ who may join
async def test_a_campaign_is_open_to_kinds_and_cities_or_to_those_who_are_named(database: str) -> None:
    shop = await a_publisher()
    venue = await a_publisher(kind="venue", name="东湖绿道", city="420200")
    for_venues = await of_three(open_to=Audience(kinds=("venue",)))
    for_wuhan = await of_three(open_to=Audience(cities=("420100",)))
    for_one = await of_three(open_to=Audience(publishers=(venue,), kinds=("merchant",)))
    for_all = await of_three()
    assert [one.id for one in await joinable_campaigns(publisher=shop)] == [for_all, for_wuhan]
    assert [one.id for one in await joinable_campaigns(publisher=venue)] == [for_all, for_one, for_venues]


@pytest.mark.parametrize("why", ["campaign_not_for_you", "campaign_over", "unknown"])
async def test_an_offer_is_not_submitted_under_a_campaign_that_it_cannot_join(
    database: str, why: str
) -> None:
    publisher = await a_publisher(stores=["光谷店"])
    closed = await of_three(open_to=Audience(kinds=("bank",)))
    over = await of_three(ends_at=clock.now() - timedelta(days=1))
    campaign = {"campaign_not_for_you": closed, "campaign_over": over, "unknown": new_id()}[why]
    draft = await a_draft(publisher, funding={"campaign": str(campaign)})
    with pytest.raises(Invalid) as invalid:
        await lifecycle.submit(publisher=publisher, offer=draft.id, actor="test")
    assert list(invalid.value.errors) == [FieldError("funding.campaign", why)]


async def test_an_approved_offer_is_still_edited_ended_and_paused_whatever_its_campaign_does(
    database: str,
) -> None:
    campaign = await of_three(10_000)
    offer = await a_coupon_of(campaign)
    await opening.edit_campaign(
        campaign, CampaignChange(open_to=Audience(kinds=("bank",))), actor="operator:1"
    )
    await ending.end_campaign(campaign, actor="operator:1")
    assert (await edited(offer, title="新名字")).title == "新名字"
    mine = {"publisher": offer.publisher.id, "offer": offer.id, "actor": "test"}
    await lifecycle.pause(**mine)
    assert (await lifecycle.end(**mine)).status == "ended"
