"""Redemptions: limits, stock and budgets to the last one, and everything given back when nothing came of it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from marketplace import chart, clock, redemptions
from marketplace.errors import NotFound, Refused
from marketplace.expiry import expire
from marketplace.ids import new_id
from marketplace.offers import lifecycle
from marketplace.offers.eligibility import NoRules
from marketplace.offers.lifecycle import LiveOffer
from marketplace.offers.view import OfferView
from marketplace.registry import EmbeddedRegistry
from tests.builders import (
    a_campaign,
    a_key,
    a_publisher,
    a_resident,
    a_store,
    a_till,
    an_offer,
    available_g,
    balance,
    budget_left_fen,
    cancel,
    edited,
    held_g,
    payable_fen,
    redeem,
    redeemed,
    status_of,
    taken,
    verify,
)


async def refused(resident: UUID, offer: OfferView, code: str) -> None:
    before = await available_g(resident), await held_g(resident)
    with pytest.raises(Refused) as refusal:
        await redeem(resident, offer)
    assert refusal.value.code == code
    assert (await available_g(resident), await held_g(resident)) == before


async def test_a_redemption_holds_its_price_and_gives_a_coupon(database: str) -> None:
    offer, resident = await an_offer(price_g=300, coupon_valid_days=7), await a_resident(available_g=1_000)

    answer = await redeem(resident, offer)

    assert answer["status"] == "issued"
    assert answer["price_g"] == 300
    assert len(answer["coupon"]["code"]) == 12
    last_day = clock.local_day(clock.now()) + timedelta(days=7)
    assert answer["coupon"]["expires_at"] == f"{clock.end_of_day(last_day):%Y-%m-%dT%H:%M:%S}Z"
    assert (await available_g(resident), await held_g(resident)) == (700, 300)


async def test_the_price_may_take_the_last_gram_and_not_one_more(database: str) -> None:
    offer = await an_offer(price_g=100)
    await redeem(await a_resident(available_g=100), offer)
    await refused(await a_resident(available_g=99), offer, "insufficient_reductions")
    await refused(await a_resident(available_g=0), offer, "insufficient_reductions")


# ------------------------------------------------------------------ stock
async def test_the_stock_is_sold_to_the_last_unit(database: str) -> None:
    offer, resident = await an_offer(stock=3), await a_resident()
    for _ in range(3):
        await redeem(resident, offer)
    await refused(resident, offer, "sold_out")
    assert await taken(offer) == 3


async def test_raising_the_stock_reopens_a_sold_out_offer_at_once(database: str) -> None:
    offer, resident = await an_offer(stock=1), await a_resident()
    await redeem(resident, offer)
    await refused(resident, offer, "sold_out")

    await edited(offer, stock_total=2)

    await redeem(resident, offer)
    await refused(resident, offer, "sold_out")


async def test_lowering_the_stock_below_what_is_sold_blocks_and_corrupts_nothing(database: str) -> None:
    offer, resident = await an_offer(stock=5), await a_resident()
    first, _ = await redeemed(offer, resident)
    for _ in range(2):
        await redeem(resident, offer)

    await edited(offer, stock_total=2)

    await refused(resident, offer, "sold_out")
    await cancel(resident, first)
    await refused(resident, offer, "sold_out")  # two are out, two may be
    await edited(offer, stock_total=3)
    await redeem(resident, offer)


async def test_an_unlimited_offer_counts_nothing(database: str) -> None:
    offer, resident = await an_offer(), await a_resident()
    for _ in range(5):
        await redeem(resident, offer)
    assert await taken(offer) == 0


# ------------------------------------------------------------------ limits per resident
async def test_a_resident_is_refused_after_the_limit_and_another_is_not(database: str) -> None:
    offer, one, other = await an_offer(limit=2), await a_resident(), await a_resident()
    await redeem(one, offer)
    await redeem(one, offer)
    await refused(one, offer, "limit_reached")
    await redeem(other, offer)


async def test_a_limit_is_of_one_offer(database: str) -> None:
    resident = await a_resident()
    first, second = await an_offer(limit=1), await an_offer(limit=1)
    await redeem(resident, first)
    await redeem(resident, second)


async def test_lifting_a_limit_unblocks_at_once(database: str) -> None:
    offer, resident = await an_offer(limit=1), await a_resident()
    await redeem(resident, offer)
    await refused(resident, offer, "limit_reached")
    await edited(offer, per_resident_limit=None)
    await redeem(resident, offer)


async def test_a_refusal_by_the_limit_takes_no_stock(database: str) -> None:
    offer, resident = await an_offer(limit=1, stock=5), await a_resident()
    await redeem(resident, offer)
    await refused(resident, offer, "limit_reached")
    assert await taken(offer) == 1


# ------------------------------------------------------------------ budgets
async def test_a_budget_that_would_be_overshot_refuses_the_redemption_whole(database: str) -> None:
    campaign = await a_campaign(2_500)
    offer = await an_offer(
        kind="cash_coupon", benefit={"amount_fen": 1_000}, campaign=campaign, stock=10, limit=10
    )
    resident = await a_resident()
    await redeem(resident, offer)
    await redeem(resident, offer)

    await refused(resident, offer, "budget_exhausted")

    assert await budget_left_fen(campaign) == 500
    assert await taken(offer) == 2
    assert (await balance(chart.uses(offer.id, resident))).counted == 2


async def test_a_benefit_of_no_value_uses_no_budget(database: str) -> None:
    campaign = await a_campaign(0)
    offer = await an_offer(kind="gift", benefit={"item": "帆布袋", "value_fen": 0}, campaign=campaign)
    await redeem(await a_resident(), offer)
    assert await budget_left_fen(campaign) == 0


async def test_two_offers_of_a_campaign_share_its_budget(database: str) -> None:
    campaign, resident = await a_campaign(1_000), await a_resident()
    dear = await an_offer(kind="cash_coupon", benefit={"amount_fen": 800}, campaign=campaign)
    cheap = await an_offer(kind="transit", benefit={"amount_fen": 200}, campaign=campaign)
    await redeem(resident, dear)
    await redeem(resident, cheap)
    await refused(resident, cheap, "budget_exhausted")


# ------------------------------------------------------------------ giving back
async def test_cancelling_gives_back_grams_unit_use_and_budget(database: str) -> None:
    campaign = await a_campaign(1_000)
    offer = await an_offer(kind="cash_coupon", campaign=campaign, stock=1, limit=1)
    resident = await a_resident(available_g=100)
    redemption, _ = await redeemed(offer, resident)

    assert (await cancel(resident, redemption))["status"] == "cancelled"

    assert (await available_g(resident), await held_g(resident)) == (100, 0)
    assert await budget_left_fen(campaign) == 1_000
    await redeem(resident, offer)


async def test_cancelling_twice_credits_once(database: str) -> None:
    offer, resident = await an_offer(), await a_resident(available_g=500)
    redemption, _ = await redeemed(offer, resident)
    await cancel(resident, redemption)

    with pytest.raises(Refused, match="coupon_cancelled"):
        await cancel(resident, redemption)

    assert await available_g(resident) == 500


async def test_anothers_redemption_is_not_found(database: str) -> None:
    redemption, _ = await redeemed(await an_offer())
    stranger = await a_resident()
    with pytest.raises(NotFound):
        await cancel(stranger, redemption)
    with pytest.raises(NotFound):
        await redemptions.token_of(resident=stranger, redemption=redemption)
    with pytest.raises(NotFound):
        await cancel(stranger, new_id())


async def test_a_used_coupon_cannot_be_cancelled(database: str) -> None:
    offer, resident = await an_offer(), await a_resident()
    redemption, code = await redeemed(offer, resident)
    await verify(await a_till(of=offer), code)
    with pytest.raises(Refused, match="coupon_already_used"):
        await cancel(resident, redemption)


async def test_an_expired_coupon_frees_stock_budget_and_limit_for_others(database: str) -> None:
    campaign = await a_campaign(1_000)
    offer = await an_offer(kind="cash_coupon", campaign=campaign, stock=1, limit=1, coupon_valid_days=1)
    one, other = await a_resident(available_g=100), await a_resident()
    redemption, _ = await redeemed(offer, one)
    await refused(other, offer, "sold_out")

    with clock.travelled(timedelta(days=2)):
        assert (await expire(EmbeddedRegistry())).coupons == 1
        assert await status_of(redemption) == "expired"
        await redeem(other, offer)

    assert (await available_g(one), await held_g(one)) == (100, 0)
    assert (await balance(chart.uses(offer.id, one))).counted == 0


# ------------------------------------------------------------------ what is captured at once
@pytest.mark.parametrize("kind", ["donation"])
async def test_what_is_captured_at_redemption_is_fulfilled_and_final(database: str, kind: str) -> None:
    campaign = await a_campaign(1_000)
    offer = await an_offer(kind=kind, campaign=campaign, stock=2)
    resident = await a_resident(available_g=500)

    answer = await redeem(resident, offer)

    assert answer["status"] == "fulfilled"
    assert (await available_g(resident), await held_g(resident)) == (400, 0)
    assert await payable_fen(offer.publisher.id) == offer.face_value_fen
    with pytest.raises(Refused, match="not_cancellable"):
        await cancel(resident, UUID(answer["id"]))


# ------------------------------------------------------------------ the offer's life after a redemption
async def test_a_coupon_out_survives_pausing_ending_and_editing_and_keeps_its_terms(database: str) -> None:
    publisher = await a_publisher()
    await a_store(publisher)
    offer = await an_offer(publisher=publisher, kind="cash_coupon", benefit={"amount_fen": 1_000})
    till, resident = await a_till(of=offer), await a_resident()
    coupons = [(await redeemed(offer, resident))[1] for _ in range(3)]

    await edited(offer, benefit={"amount_fen": 100}, price_g=999)
    assert (await verify(till, coupons[0], bill_fen=5_000))["discount_fen"] == 1_000

    await lifecycle.pause(publisher=publisher, offer=offer.id, actor="test")
    await refused(resident, offer, "offer_not_live")
    assert (await verify(till, coupons[1]))["discount_fen"] == 1_000

    await lifecycle.end(publisher=publisher, offer=offer.id, actor="test")
    await refused(resident, offer, "offer_ended")
    assert (await verify(till, coupons[2]))["discount_fen"] == 1_000


async def test_an_offer_is_refused_by_name_before_its_start_and_after_its_end(database: str) -> None:
    now = clock.now()
    offer = await an_offer(
        starts_at=(now + timedelta(hours=1)).isoformat(), ends_at=(now + timedelta(hours=2)).isoformat()
    )
    resident = await a_resident()
    await refused(resident, offer, "offer_not_started")
    with clock.travelled(timedelta(hours=1, seconds=5)):
        await redeem(resident, offer)
    with clock.travelled(timedelta(hours=2, seconds=5)):
        await refused(resident, offer, "offer_ended")


async def test_what_residents_never_saw_is_not_found(database: str) -> None:
    with pytest.raises(NotFound):
        await redemptions.redeem(resident=await a_resident(), offer=new_id(), key=None, eligibility=NoRules())


# ------------------------------------------------------------------ idempotency
async def test_the_same_key_redeems_once_and_answers_the_same(database: str) -> None:
    offer, resident = await an_offer(stock=5, limit=5), await a_resident()
    key = a_key(resident)

    first = await redeem(resident, offer, key)
    again = await redeem(resident, offer, key)

    assert first == again
    assert await taken(offer) == 1
    assert await held_g(resident) == 100


async def test_the_same_key_answers_even_when_the_offer_has_ended(database: str) -> None:
    offer, resident = await an_offer(), await a_resident()
    first = await redeem(resident, offer, a_key(resident))
    await lifecycle.end(publisher=offer.publisher.id, offer=offer.id, actor="test")
    assert await redeem(resident, offer, a_key(resident)) == first


async def test_the_same_key_with_another_body_is_refused_without_effect(database: str) -> None:
    offer, resident = await an_offer(), await a_resident()
    await redeem(resident, offer, a_key(resident))
    with pytest.raises(Refused, match="idempotency_key_reused"):
        await redeem(resident, offer, a_key(resident, body=b"another"))
    assert await held_g(resident) == 100


async def test_a_refused_redemption_keeps_no_key(database: str) -> None:
    offer, resident = await an_offer(stock=1), await a_resident()
    first, _ = await redeemed(offer, resident)
    with pytest.raises(Refused, match="sold_out"):
        await redeem(resident, offer, a_key(resident))
    await cancel(resident, first)
    assert (await redeem(resident, offer, a_key(resident)))["status"] == "issued"


async def test_cancelling_again_with_the_same_key_answers_the_same(database: str) -> None:
    offer, resident = await an_offer(), await a_resident()
    redemption, _ = await redeemed(offer, resident)
    first = await cancel(resident, redemption, a_key(resident))
    assert await cancel(resident, redemption, a_key(resident)) == first
    assert await available_g(resident) == 5_000


@pytest.mark.parametrize("change", ["edited", "paused"])
async def test_terms_that_changed_after_they_were_read_are_judged_afresh(
    database: str, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    offer, resident = await an_offer(price_g=300), await a_resident(available_g=1_000)
    stale = [await redemptions.live_terms(offer.id)]
    fresh = redemptions.live_terms

    async def read_too_early(of: UUID) -> LiveOffer:
        return stale.pop() if stale else await fresh(of)

    monkeypatch.setattr(redemptions, "live_terms", read_too_early)
    if change == "edited":
        await edited(offer, price_g=400)
        await redeem(resident, offer)
        assert await held_g(resident) == 400
    else:
        await lifecycle.pause(publisher=offer.publisher.id, offer=offer.id, actor="test")
        await refused(resident, offer, "offer_not_live")
