"""Races for what a day, a budget or a shared limit still has: exactly as many win as there is for."""

from __future__ import annotations

from collections import Counter

from marketplace import chart, clock, ledger
from marketplace.offers import shared_limits
from marketplace.offers.shared_limits import LimitChange, NewLimit, Owner
from marketplace.offers.terms import Limits
from tests.builders import (
    a_campaign,
    a_publisher,
    a_resident,
    a_till,
    an_offer,
    balance,
    cancel,
    edited,
    held_g,
    redeem,
    redeemed,
    verify,
)
from tests.races.test_redemption_races import at_once, outcomes


async def test_the_last_unit_of_the_day_is_sold_once(database: str) -> None:
    offer = await an_offer(price_g=100, stock_per_day=1, stock=9)
    residents = [await a_resident() for _ in range(12)]
    results = await at_once(*(redeem(resident, offer) for resident in residents))
    assert outcomes(results) == {"ok": 1, "sold_out_today": 11}
    assert Counter([await held_g(resident) for resident in residents]) == {100: 1, 0: 11}
    assert (await balance(chart.stock(offer.id))).counted == 1


async def test_a_budget_for_three_promises_three(database: str) -> None:
    offer = await an_offer(kind="cash_coupon", benefit={"amount_fen": 1_000}, budget_per_day_fen=3_999)
    residents = [await a_resident() for _ in range(20)]
    async with ledger.batching():
        results = await at_once(*(redeem(resident, offer) for resident in residents))
    assert outcomes(results) == {"ok": 3, "budget_exhausted_today": 17}
    today = clock.day_name(clock.local_day(clock.now()))
    assert (await balance(chart.promised(offer.id, today))).counted == 3_000


async def test_one_resident_who_tries_all_offers_of_a_limit_at_once_gets_one(database: str) -> None:
    publisher = await a_publisher(stores=["光谷店"])
    offers = [await an_offer(publisher=publisher, stock=50) for _ in range(5)]
    caps = NewLimit(name="早餐券", offers=tuple(offer.id for offer in offers), per_resident_per_day=1)
    await shared_limits.create_limit(Owner(publisher=publisher), caps, actor="test")
    resident = await a_resident()
    results = await at_once(*(redeem(resident, offer) for offer in offers * 4))
    assert outcomes(results) == {"ok": 1, "shared_limit_reached_today": 19}
    assert await held_g(resident) == 100
    assert sum([(await balance(chart.stock(offer.id))).counted for offer in offers]) == 1


async def test_one_resident_with_a_limit_a_week_gets_no_more_in_one_batch(database: str) -> None:
    offer, resident = await an_offer(limits=Limits(per_resident_per_week=2), stock=50), await a_resident()
    async with ledger.batching():
        results = await at_once(*(redeem(resident, offer) for _ in range(20)))
    assert outcomes(results) == {"ok": 2, "limit_reached_this_week": 18}


async def test_limits_that_change_while_many_redeem_are_never_passed(database: str) -> None:
    """Whoever is judged is judged by a cap that stood then: the audit that follows every test goes through them all."""
    publisher = await a_publisher(stores=["光谷店"])
    offers = [await an_offer(publisher=publisher, stock_per_day=30) for _ in range(2)]
    ids = tuple(offer.id for offer in offers)
    owner = Owner(publisher=publisher)
    limit = await shared_limits.create_limit(
        owner, NewLimit(name="合并", offers=ids, per_resident=3), actor="test"
    )
    residents = [await a_resident() for _ in range(8)]
    changes = [
        shared_limits.edit_limit(owner, limit.id, LimitChange(per_resident=cap), actor="test") for cap in (1, 4, 2)
    ]  # fmt: skip
    async with ledger.batching():
        results = await at_once(
            *(redeem(resident, offer) for resident in residents for offer in offers * 4),
            *changes,
            edited(offers[0], stock_per_day=5),
            edited(offers[1], stock_per_day=7),
        )
    assert set(outcomes(results)) <= {"ok", "shared_limit_reached", "sold_out_today"}
    today = clock.day_name(clock.local_day(clock.now()))
    for offer in offers:
        assert (await balance(chart.stock(offer.id, today))).counted <= 30
    for resident in residents:
        assert (await balance(chart.shared_uses(limit.id, resident))).counted <= 4


async def test_publishers_and_campaigns_change_limits_over_the_same_offers_without_a_deadlock(
    database: str,
) -> None:
    publisher, campaign = await a_publisher(stores=["光谷店"]), await a_campaign(100_000)
    offers = [await an_offer(publisher=publisher, kind="cash_coupon", campaign=campaign) for _ in range(4)]
    ids = tuple(offer.id for offer in offers)
    new = [NewLimit(name=f"{n}", offers=ids[:: 1 if n % 2 else -1], per_resident=9) for n in range(8)]
    owners = [Owner(publisher=publisher), Owner(campaign=campaign)]
    residents = [await a_resident() for _ in offers]
    results = await at_once(
        *(shared_limits.create_limit(owner, one, actor="test") for one in new for owner in owners),
        *(redeem(resident, offer) for resident, offer in zip(residents, offers, strict=True)),
    )
    assert outcomes(results) == {"ok": 20}


async def test_of_cancel_and_verify_one_decides_what_the_budget_keeps(database: str) -> None:
    offer = await an_offer(
        kind="cash_coupon", benefit={"amount_fen": 1_000}, budget_fen=1_000, stock_per_day=1
    )
    resident, till = await a_resident(), await a_till(of=offer)
    redemption, code = await redeemed(offer, resident)
    results = await at_once(cancel(resident, redemption), verify(till, code, bill_fen=300))
    won = "cancelled" if results[0] == {"id": str(redemption), "status": "cancelled"} else "verified"
    kept = (await balance(chart.promised(offer.id))).counted
    assert (won, kept) in {("cancelled", 0), ("verified", 300)}
    assert sum(isinstance(result, Exception) for result in results) == 1
