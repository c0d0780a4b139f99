"""Stock, budgets and limits by day and week, hours for redeeming: to the last one, and given back where it was taken
from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec import UNSET

from marketplace import chart, clock, redemptions
from marketplace.errors import Invalid, Refused
from marketplace.expiry import expire
from marketplace.identity import persons
from marketplace.identity.stores import MemoryStore
from marketplace.offers import catalogue
from marketplace.offers.lifecycle import LiveOffer
from marketplace.offers.terms import Limits, Windows, change_from, check_whole, new_terms
from marketplace.offers.usage import Usage
from marketplace.offers.view import OfferView
from marketplace.offers.windows import next_opening
from marketplace.registry import EmbeddedRegistry
from tests.builders import (
    REAL_NAMES,
    a_campaign,
    a_key,
    a_lot,
    a_person,
    a_resident,
    a_till,
    an_id_number,
    an_offer,
    balance,
    cancel,
    edited,
    redeem,
    redeemed,
    reverse,
    signed_in,
    verify,
)

MONDAY, SATURDAY, SUNDAY = "2027-01-04", "2027-01-09", "2027-01-10"


@contextmanager
def on(day: str, hour: str = "09:00") -> Iterator[datetime]:
    """Within the block it is `hour` of `day` in Shanghai."""
    instant = datetime.fromisoformat(f"{day}T{hour}").replace(tzinfo=clock.SHANGHAI)
    with clock.travelled(instant - clock.now()):
        yield instant


async def refused(resident: UUID, offer: OfferView, code: str) -> dict[str, Any]:
    """Why `resident` is refused `offer`, with the facts; the catalogue says the same."""
    with pytest.raises(Refused) as refusal:
        await redeem(resident, offer)
    shown = await catalogue.public_offer(offer.id, resident=resident)
    assert (refusal.value.code, shown.eligible, shown.reasons) == (code, False, [code])
    assert shown.resets == ({code: refusal.value.facts["resets_at"]} if refusal.value.facts else {})
    return refusal.value.facts


BY_DAY = {
    "stock": ({"stock_per_day": 2}, "sold_out_today"),
    "uses": ({"limits": Limits(per_resident_per_day=2)}, "limit_reached_today"),
    "budget": ({"budget_per_day_fen": 2_000}, "budget_exhausted_today"),
}
BY_WEEK = {"uses": ({"limits": Limits(per_resident_per_week=2)}, "limit_reached_this_week")}
IN_TOTAL = {
    "stock": ({"stock_total": 2}, "sold_out"),
    "uses": ({"per_resident_limit": 2}, "limit_reached"),
    "budget": ({"budget_fen": 2_000}, "budget_exhausted"),
}
ALL = [*BY_DAY.values(), *BY_WEEK.values(), *IN_TOTAL.values()]
LOWERED = {
    "sold_out_today": {"stock_per_day": 1}, "limit_reached_today": {"limits": {"per_resident_per_day": 1}},
    "budget_exhausted_today": {"budget_per_day_fen": 1_000}, "sold_out": {"stock_total": 1},
    "limit_reached_this_week": {"limits": {"per_resident_per_week": 1}}, "limit_reached": {"per_resident_limit": 1},
    "budget_exhausted": {"budget_fen": 1_000},
}  # fmt: skip
RAISED = {
    "sold_out_today": {"stock_per_day": 3}, "limit_reached_today": {"limits": {"per_resident_per_day": 3}},
    "budget_exhausted_today": {"budget_per_day_fen": 3_000}, "sold_out": {"stock_total": 3},
    "limit_reached_this_week": {"limits": {"per_resident_per_week": 3}}, "limit_reached": {"per_resident_limit": 3},
    "budget_exhausted": {"budget_fen": 3_000},
}  # fmt: skip
LIFTED = {
    "sold_out_today": {"stock_per_day": None}, "limit_reached_today": {"limits": None},
    "budget_exhausted_today": {"budget_per_day_fen": None}, "sold_out": {"stock_total": None},
    "limit_reached_this_week": {"limits": None}, "limit_reached": {"per_resident_limit": None},
    "budget_exhausted": {"budget_fen": None},
}  # fmt: skip


async def a_coupon_of_ten(**limits: Any) -> OfferView:
    """An offer of 10 yuan off."""
    stock, limit = limits.pop("stock_total", None), limits.pop("per_resident_limit", None)
    return await an_offer(kind="cash_coupon", benefit={"amount_fen": 1_000}, coupon_valid_days=60, stock=stock,
                          limit=limit, **limits)  # fmt: skip


# ------------------------------------------------------------------ how much
@pytest.mark.parametrize(("limits", "code"), ALL)
async def test_every_limit_admits_as_many_as_it_says_and_not_one_more(
    database: str, limits: dict[str, Any], code: str
) -> None:
    offer, resident = await a_coupon_of_ten(**limits), await a_resident()
    with on(MONDAY):
        for _ in range(2):
            await redeem(resident, offer)
        await refused(resident, offer, code)


@pytest.mark.parametrize(("limits", "code"), BY_DAY.values())
async def test_a_limit_of_a_day_begins_anew_at_midnight_in_shanghai(
    database: str, limits: dict[str, Any], code: str
) -> None:
    offer, resident = await a_coupon_of_ten(**limits), await a_resident()
    with on(MONDAY, "23:59:30"):
        for _ in range(2):
            await redeem(resident, offer)
        facts = await refused(resident, offer, code)
    assert facts["resets_at"] == datetime.fromisoformat("2027-01-04T16:00:00+00:00")
    with on("2027-01-05", "00:00"):
        for _ in range(2):
            await redeem(resident, offer)
        await refused(resident, offer, code)


async def test_a_limit_of_a_day_begins_anew_while_the_total_persists(database: str) -> None:
    offer = await a_coupon_of_ten(
        stock_per_day=2, stock_total=3, per_resident_limit=3, limits=Limits(per_resident_per_day=2),
        budget_per_day_fen=2_000, budget_fen=3_000,
    )  # fmt: skip
    resident = await a_resident()
    with on(MONDAY):
        for _ in range(2):
            await redeem(resident, offer)
    with on("2027-01-05"):
        await redeem(resident, offer)
        shown = await catalogue.public_offer(offer.id, resident=resident)
    assert shown.reasons == ["sold_out", "limit_reached", "budget_exhausted"]
    assert (shown.stock_left, shown.stock_left_today, shown.resets) == (0, 0, {})


async def test_a_week_begins_on_monday_in_shanghai(database: str) -> None:
    offer, resident = (
        await a_coupon_of_ten(limits=Limits(per_resident_per_week=1)),
        await a_resident(),
    )
    with on(MONDAY, "00:00"):
        await redeem(resident, offer)
    with on(SUNDAY, "23:59:30"):
        facts = await refused(resident, offer, "limit_reached_this_week")
    assert facts["resets_at"] == datetime.fromisoformat("2027-01-10T16:00:00+00:00")
    with on("2027-01-11", "00:00"):
        await redeem(resident, offer)
        await refused(resident, offer, "limit_reached_this_week")


async def test_a_monday_and_its_week_are_counted_apart(database: str) -> None:
    offer = await a_coupon_of_ten(limits=Limits(per_resident_per_day=1, per_resident_per_week=2))
    resident = await a_resident()
    with on(MONDAY):
        await redeem(resident, offer)
        await refused(resident, offer, "limit_reached_today")
    with on("2027-01-05"):
        await redeem(resident, offer)
    with on("2027-01-06"):
        await refused(resident, offer, "limit_reached_this_week")


@pytest.mark.parametrize(("limits", "code"), ALL)
async def test_raising_lowering_and_lifting_a_cap_rewrite_nothing(
    database: str, limits: dict[str, Any], code: str
) -> None:
    offer, resident = await a_coupon_of_ten(**limits), await a_resident()
    with on(MONDAY):
        first, _ = await redeemed(offer, resident)
        await redeem(resident, offer)
        await refused(resident, offer, code)
        await edited(offer, **RAISED[code])
        await redeem(resident, offer)
        await refused(resident, offer, code)
        await edited(offer, **LOWERED[code])
        await refused(resident, offer, code)
        await cancel(resident, first)
        await refused(resident, offer, code)  # two are out, one may be
        await edited(offer, **LIFTED[code])
        await redeem(resident, offer)


@pytest.mark.parametrize(("limits", "code"), [*BY_DAY.values(), *BY_WEEK.values()])
async def test_another_resident_is_bound_by_stock_and_budget_and_not_by_anothers_uses(
    database: str, limits: dict[str, Any], code: str
) -> None:
    offer, one, other = await a_coupon_of_ten(**limits), await a_resident(), await a_resident()
    with on(MONDAY):
        for _ in range(2):
            await redeem(one, offer)
        if "limits" in limits:
            await redeem(other, offer)
        else:
            await refused(other, offer, code)


async def test_an_offer_without_limits_counts_nothing(database: str) -> None:
    offer, resident = await a_coupon_of_ten(), await a_resident()
    await redeem(resident, offer)
    today = clock.day_name(clock.local_day(clock.now()))
    for account in (
        chart.stock(offer.id, today),
        chart.uses(offer.id, resident, today),
        chart.promised(offer.id),
    ):
        assert (await balance(account)).counted == 0


# ------------------------------------------------------------------ money
async def test_a_budget_that_the_next_coupon_would_overshoot_refuses_it_whole(database: str) -> None:
    offer = await a_coupon_of_ten(
        budget_fen=2_500, stock_total=10, per_resident_limit=10, limits=Limits(per_resident_per_day=10)
    )
    resident = await a_resident()
    await redeem(resident, offer)
    await redeem(resident, offer)
    await refused(resident, offer, "budget_exhausted")
    assert (await balance(chart.promised(offer.id))).counted == 2_000
    assert (await balance(chart.stock(offer.id))).counted == 2
    assert (await balance(chart.uses(offer.id, resident))).counted == 2


async def test_a_benefit_of_no_value_uses_no_budget(database: str) -> None:
    offer = await an_offer(benefit={"item": "帆布袋", "value_fen": 0}, budget_fen=1, budget_per_day_fen=1)
    for _ in range(3):
        await redeem(await a_resident(), offer)
    assert (await balance(chart.promised(offer.id))).counted == 0


async def test_the_offers_budget_binds_beside_the_campaigns(database: str) -> None:
    campaign = await a_campaign(10_000)
    offer = await a_coupon_of_ten(campaign=campaign, budget_fen=2_000)
    resident = await a_resident()
    await redeem(resident, offer)
    await redeem(resident, offer)
    await refused(resident, offer, "budget_exhausted")


async def test_what_the_till_does_not_give_goes_back_to_the_budget_of_its_day(database: str) -> None:
    offer = await a_coupon_of_ten(budget_fen=3_000, budget_per_day_fen=1_000)
    till, resident = await a_till(of=offer), await a_resident()
    with on(MONDAY):
        _, code = await redeemed(offer, resident)
        await refused(resident, offer, "budget_exhausted_today")
    with on("2027-01-05"):
        await redeem(resident, offer)
        await verify(till, code, bill_fen=400)
    monday = chart.promised(offer.id, clock.day_name(datetime.fromisoformat(MONDAY).date()))
    assert (await balance(monday)).counted == 400
    assert (await balance(chart.promised(offer.id))).counted == 1_400


async def test_a_coupon_that_took_nothing_off_gives_all_of_its_budget_back(database: str) -> None:
    offer = await a_coupon_of_ten(budget_fen=1_000)
    till, resident = await a_till(of=offer), await a_resident()
    _, code = await redeemed(offer, resident)
    await verify(till, code, bill_fen=0)
    await redeem(resident, offer)


async def test_a_verification_is_undone_only_while_the_budget_can_promise_it_again(database: str) -> None:
    offer = await a_coupon_of_ten(budget_fen=2_000)
    till, resident = await a_till(of=offer), await a_resident()
    coupons = [(await redeemed(offer, resident))[1] for _ in range(2)]
    given = [await verify(till, code, bill_fen=500) for code in coupons]
    await redeem(resident, offer)  # 500 + 500 given, 1,000 promised again

    with pytest.raises(Refused, match="budget_exhausted"):
        await reverse(till, given[0]["id"])

    assert (await balance(chart.promised(offer.id))).counted == 2_000


async def test_undoing_a_verification_promises_the_whole_face_value_again(database: str) -> None:
    offer = await a_coupon_of_ten(budget_fen=1_000, budget_per_day_fen=1_000, stock_per_day=1)
    till, resident = await a_till(of=offer), await a_resident()
    _, code = await redeemed(offer, resident)
    given = await verify(till, code, bill_fen=300)
    await reverse(till, given["id"])
    assert (await balance(chart.promised(offer.id))).counted == 1_000
    assert (await verify(till, code, bill_fen=5_000))["discount_fen"] == 1_000


async def test_lowering_a_cap_does_not_keep_a_till_from_undoing_a_mistake(database: str) -> None:
    offer = await a_coupon_of_ten(budget_fen=3_000, stock_total=3, per_resident_limit=3)
    till, resident = await a_till(of=offer), await a_resident()
    coupons = [(await redeemed(offer, resident))[1] for _ in range(3)]
    given = await verify(till, coupons[0], bill_fen=5_000)
    await edited(offer, budget_fen=1_000, stock_total=1, per_resident_limit=1)
    await reverse(till, given["id"])
    assert (await balance(chart.promised(offer.id))).counted == 3_000


# ------------------------------------------------------------------ giving back
@pytest.mark.parametrize(("limits", "code"), [*BY_DAY.values(), *BY_WEEK.values()])
async def test_a_cancelled_coupon_gives_back_to_the_period_that_it_was_taken_in(
    database: str, limits: dict[str, Any], code: str
) -> None:
    offer, resident = await a_coupon_of_ten(**limits), await a_resident()
    with on(MONDAY):
        first, _ = await redeemed(offer, resident)
        second, _ = await redeemed(offer, resident)
        await cancel(resident, first)
        await redeem(resident, offer)
        await refused(resident, offer, code)
    with on("2027-01-11"):
        for _ in range(2):
            await redeem(resident, offer)
        await cancel(resident, second)  # of the week before
        await refused(resident, offer, code)


async def test_an_expired_coupon_gives_back_to_the_day_that_it_was_taken_on(database: str) -> None:
    offer = await an_offer(
        kind="cash_coupon", benefit={"amount_fen": 1_000}, coupon_valid_days=1, stock_per_day=1,
        budget_per_day_fen=1_000, budget_fen=1_000, limits=Limits(1, 1),
    )  # fmt: skip
    one, other = await a_resident(), await a_resident()
    with on(MONDAY):
        await redeem(one, offer)
    with on("2027-01-06"):
        await refused(other, offer, "budget_exhausted")
        await expire(EmbeddedRegistry())
        await redeem(other, offer)
        shown = await catalogue.public_offer(offer.id, resident=one)
    assert shown.reasons == ["sold_out_today", "budget_exhausted", "budget_exhausted_today"]


async def test_a_limit_of_a_day_takes_one_double_tap_once(database: str) -> None:
    offer, resident = await a_coupon_of_ten(stock_per_day=5, budget_per_day_fen=5_000), await a_resident()
    key = a_key(resident)
    assert await redeem(resident, offer, key) == await redeem(resident, offer, key)
    shown = await catalogue.public_offer(offer.id)
    assert shown.stock_left_today == 4


# ------------------------------------------------------------------ the person
async def test_limits_of_day_and_week_follow_the_verified_person_to_another_phone(database: str) -> None:
    store, number = MemoryStore(), an_id_number()
    offer = await a_coupon_of_ten(limits=Limits(per_resident_per_day=1, per_resident_per_week=2))
    _, mine = await a_person("13811110001", number, store=store, available_g=1_000)
    await redeem(mine, offer)

    _, new = await signed_in("13811110002", store=store)
    _, back = await persons.recover(
        resident=new.id, name="张三", id_number=number, real_names=REAL_NAMES, store=store
    )

    assert back.id == mine
    await refused(back.id, offer, "limit_reached_today")


async def test_who_becomes_a_verified_person_has_used_what_they_used_before(database: str) -> None:
    store = MemoryStore()
    offer = await a_coupon_of_ten(limits=Limits(per_resident_per_week=1))
    _, person = await signed_in("13811110003", store=store)
    await a_lot(person.id, 1_000)
    await redeem(person.id, offer)
    await persons.verify(
        resident=person.id, name="张三", id_number=an_id_number(), real_names=REAL_NAMES, store=store
    )
    await refused(person.id, offer, "limit_reached_this_week")


# ------------------------------------------------------------------ hours for redeeming
LATE = Windows(weekdays=(6,), hours=(("22:00", "02:00"),))


@pytest.mark.parametrize(
    ("day", "hour", "opens"),
    [
        (SATURDAY, "21:59", f"{SATURDAY}T22:00"), (SUNDAY, "02:00", "2027-01-16T22:00"),
        (SUNDAY, "22:30", "2027-01-16T22:00"), (SATURDAY, "01:00", f"{SATURDAY}T22:00"),
    ],
)  # fmt: skip
async def test_outside_the_hours_for_redeeming_nobody_can_and_is_told_when(
    database: str, day: str, hour: str, opens: str
) -> None:
    offer, resident = await a_coupon_of_ten(redeem_windows=LATE), await a_resident()
    with on(day, hour):
        facts = await refused(resident, offer, "outside_redeem_hours")
    assert facts["resets_at"] == datetime.fromisoformat(opens).replace(tzinfo=clock.SHANGHAI)


@pytest.mark.parametrize(
    ("day", "hour"),
    [(SATURDAY, "22:00"), (SATURDAY, "23:59"), (SUNDAY, "00:00"), (SUNDAY, "01:59")],
)
async def test_within_the_hours_for_redeeming_past_midnight_too_everybody_can(
    database: str, day: str, hour: str
) -> None:
    offer, resident = await a_coupon_of_ten(redeem_windows=LATE), await a_resident()
    with on(day, hour):
        assert (await catalogue.public_offer(offer.id, resident=resident)).eligible is True
        await redeem(resident, offer)


async def test_hours_for_redeeming_are_no_hours_for_use(database: str) -> None:
    offer, resident = await a_coupon_of_ten(redeem_windows=LATE), await a_resident()
    with on(SATURDAY, "22:30"):
        _, code = await redeemed(offer, resident)
    with on("2027-01-12", "12:00"):
        assert (await verify(await a_till(of=offer), code))["discount_fen"] == 1_000


async def test_the_same_key_answers_after_the_hours_for_redeeming_are_over(database: str) -> None:
    offer, resident = await a_coupon_of_ten(redeem_windows=LATE), await a_resident()
    with on(SATURDAY, "22:30"):
        first = await redeem(resident, offer, a_key(resident))
    with on(SUNDAY, "03:00"):
        assert await redeem(resident, offer, a_key(resident)) == first


async def test_hours_that_were_lifted_elsewhere_are_lifted_here(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer, resident = await a_coupon_of_ten(redeem_windows=LATE), await a_resident()
    with on(MONDAY):
        stale = [await redemptions.live_terms(offer.id)]
        fresh = redemptions.live_terms

        async def read_too_early(of: UUID) -> LiveOffer:
            return stale.pop() if stale else await fresh(of)

        monkeypatch.setattr(redemptions, "live_terms", read_too_early)
        await edited(offer, redeem_windows=None)
        await redeem(resident, offer)


def test_the_next_opening_is_the_earliest_of_all_windows() -> None:
    noon = datetime.fromisoformat(f"{MONDAY}T12:00").replace(tzinfo=clock.SHANGHAI)
    both = Windows(hours=(("18:00", "20:00"), ("10:00", "14:00")))
    assert next_opening(both, noon) == noon + timedelta(hours=6)
    assert next_opening(both, noon + timedelta(hours=9)) == noon + timedelta(hours=22)
    assert next_opening(Windows(weekdays=(1,)), noon) == noon + timedelta(days=6, hours=12)


# ------------------------------------------------------------------ how far they have come
async def test_the_publisher_sees_how_far_each_limit_of_a_live_offer_has_come(database: str) -> None:
    campaign = await a_campaign(9_000)
    offer = await a_coupon_of_ten(
        campaign=campaign, stock_total=10, stock_per_day=4, budget_fen=8_000, budget_per_day_fen=4_000
    )
    till = await a_till(of=offer)
    with on(MONDAY):
        _, code = await redeemed(offer)
        await redeem(await a_resident(), offer)
        await verify(till, code, bill_fen=700)
    with on("2027-01-05"):
        await redeem(await a_resident(), offer)
        usage = (await catalogue.publisher_offer(publisher=offer.publisher.id, offer=offer.id)).usage

    tomorrow = datetime.fromisoformat("2027-01-05T16:00:00+00:00")
    assert usage == [
        Usage(limit="stock_total", used=3, held=2, cap=10, resets_at=None),
        Usage(limit="stock_per_day", used=1, held=1, cap=4, resets_at=tomorrow),
        Usage(limit="budget_fen", used=2_700, held=2_000, cap=8_000, resets_at=None),
        Usage(limit="budget_per_day_fen", used=1_000, held=1_000, cap=4_000, resets_at=tomorrow),
        Usage(limit="campaign_budget_fen", used=2_700, held=2_000, cap=9_000, resets_at=None),
    ]


async def test_residents_are_not_shown_a_publishers_budget(database: str) -> None:
    offer = await a_coupon_of_ten(budget_fen=5_000, budget_per_day_fen=1_000)
    shown = await catalogue.public_offer(offer.id, resident=await a_resident())
    listed = (await catalogue.live_offers()).items[0]
    for one in (shown, listed):
        assert [one.budget_fen, one.budget_per_day_fen, one.usage] == [UNSET] * 3


# ------------------------------------------------------------------ terms
def test_a_budget_must_be_enough_for_one_coupon_and_needs_a_bound() -> None:
    given = {"kind": "cash_coupon", "title": "券", "price_g": 1, "benefit": {"amount_fen": 1_000}}
    terms = new_terms(change_from(given | {"budget_fen": 999, "budget_per_day_fen": 1_000}))
    assert check_whole(terms) == [("budget_fen", "below_face_value")]
    boundless = given | {"kind": "discount", "benefit": {"off_bp": 1_000}, "budget_per_day_fen": 1_000}
    assert check_whole(new_terms(change_from(boundless))) == [("benefit.cap_fen", "required")]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"stock_per_day": 0}, "stock_per_day"),
        ({"budget_fen": -1}, "budget_fen"),
        ({"budget_per_day_fen": 1.5}, "budget_per_day_fen"),
        ({"limits": {"per_resident_per_day": 0}}, "limits.per_resident_per_day"),
        ({"limits": {"per_resident_per_year": 1}}, "limits.per_resident_per_year"),
        ({"redeem_windows": {"hours": [["9:00", "10:00"]]}}, "redeem_windows.hours.0.0"),
        ({"redeem_windows": {"weekdays": [8]}}, "redeem_windows.weekdays.0"),
        ({"redeem_windows": {"hours": [["10:00", "10:00"]]}}, "redeem_windows"),
        ({"redeem_windows": {"min_bill_fen": 1}}, "redeem_windows.min_bill_fen"),
    ],
)  # fmt: skip
def test_a_limit_that_cannot_be_meant_is_refused_at_its_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as wrong:
        change_from(given)
    assert [error.field for error in wrong.value.errors] == [field]


async def test_a_budget_of_a_campaigns_money_is_only_lowered_once_approved(database: str) -> None:
    offer = await a_coupon_of_ten(
        campaign=await a_campaign(9_000), budget_fen=3_000, budget_per_day_fen=2_000
    )
    await edited(offer, budget_fen=2_000)
    for raised in ({"budget_fen": 2_500}, {"budget_fen": None}, {"budget_per_day_fen": 2_001}):
        with pytest.raises(Invalid) as wrong:
            await edited(offer, **raised)
        assert wrong.value.errors == ((next(iter(raised)), "cannot_raise"),)
    own = await a_coupon_of_ten(budget_fen=3_000)
    await edited(own, budget_fen=None)
