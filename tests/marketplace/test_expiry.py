"""What runs out by time: coupons give back what they held; lots lapse, of what is available and no more."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from marketplace import clock, db
from marketplace.expiry import GRACE, Expired, expire
from marketplace.registry import EmbeddedRegistry
from marketplace.settlement import settle
from marketplace.wallets import wallet_of
from tests.builders import (
    a_lot,
    a_resident,
    a_till,
    an_offer,
    available_g,
    cancel,
    redeem,
    redeemed,
    status_of,
    verify,
)

REGISTRY = EmbeddedRegistry()
SOON = timedelta(days=10)
AFTER_SOON = timedelta(days=11)
NOTHING = Expired(coupons=0, lots=0, lapsed_g=0)


async def a_resident_with_a_lot_due_soon(amount_g: int) -> UUID:
    resident = await a_resident(available_g=0)
    await a_lot(resident, amount_g, expires_at=clock.now() + SOON)
    return resident


async def figures(resident: UUID) -> tuple[int, int, int, int, int]:
    wallet = await wallet_of(resident)
    return wallet.available_g, wallet.held_g, wallet.consumed_g, wallet.expired_g, wallet.earned_g


async def test_a_lot_lapses_when_it_is_due_and_not_before(database: str) -> None:
    resident = await a_resident_with_a_lot_due_soon(500)
    await a_lot(resident, 300, expires_at=clock.now() + timedelta(days=100))
    assert await expire(REGISTRY) == NOTHING
    with clock.travelled(AFTER_SOON):
        assert await expire(REGISTRY) == Expired(coupons=0, lots=1, lapsed_g=500)
        assert await expire(REGISTRY) == NOTHING
    assert await figures(resident) == (300, 0, 0, 500, 800)


async def test_what_lapsed_is_told_to_the_registry(database: str) -> None:
    await a_resident_with_a_lot_due_soon(500)
    with clock.travelled(AFTER_SOON):
        await expire(REGISTRY)
    entry = await db.fetch_row("SELECT * FROM registry_entry WHERE kind = 'expire'")
    assert entry is not None
    assert (entry["amount_g"], entry["purpose"], entry["counterparty"]) == (500, "expiry", None)


async def test_held_grams_do_not_lapse(database: str) -> None:
    resident = await a_resident_with_a_lot_due_soon(500)
    offer = await an_offer(price_g=200)
    _, code = await redeemed(offer, resident)
    with clock.travelled(AFTER_SOON):
        assert (await expire(REGISTRY)).lapsed_g == 300
        assert await figures(resident) == (0, 200, 0, 300, 500)
        await verify(await a_till(of=offer), code)
        assert (await expire(REGISTRY)).lapsed_g == 0
        await settle(REGISTRY, everything=True)
        assert await figures(resident) == (0, 0, 200, 300, 500)


async def test_captured_grams_that_have_no_serials_yet_do_not_lapse(database: str) -> None:
    resident = await a_resident_with_a_lot_due_soon(500)
    await redeem(resident, await an_offer(kind="donation", price_g=200))
    with clock.travelled(AFTER_SOON):
        assert (await expire(REGISTRY)).lapsed_g == 300
        assert (await settle(REGISTRY, everything=True)).recorded == 1
    assert await figures(resident) == (0, 0, 200, 300, 500)


async def test_settled_grams_are_not_counted_twice(database: str) -> None:
    resident = await a_resident_with_a_lot_due_soon(500)
    await redeem(resident, await an_offer(kind="donation", price_g=200))
    await settle(REGISTRY, everything=True)
    with clock.travelled(AFTER_SOON):
        assert (await expire(REGISTRY)).lapsed_g == 300
    assert await figures(resident) == (0, 0, 200, 300, 500)


async def test_grams_given_back_after_their_lot_lapsed_stay_usable_for_the_grace(database: str) -> None:
    resident = await a_resident_with_a_lot_due_soon(500)
    redemption, _ = await redeemed(await an_offer(price_g=200, coupon_valid_days=30), resident)
    with clock.travelled(AFTER_SOON):
        await expire(REGISTRY)
        await cancel(resident, redemption)
        assert (await expire(REGISTRY)).lapsed_g == 0
        assert await available_g(resident) == 200
    with clock.travelled(AFTER_SOON + GRACE - timedelta(minutes=1)):
        assert (await expire(REGISTRY)).lapsed_g == 0
    with clock.travelled(AFTER_SOON + GRACE + timedelta(minutes=1)):
        assert (await expire(REGISTRY)).lapsed_g == 200
    assert await figures(resident) == (0, 0, 0, 500, 500)


async def test_taking_and_cancelling_again_does_not_renew_the_grace(database: str) -> None:
    resident = await a_resident_with_a_lot_due_soon(500)
    offer = await an_offer(price_g=200, coupon_valid_days=30)
    redemption, _ = await redeemed(offer, resident)
    with clock.travelled(AFTER_SOON):
        await expire(REGISTRY)
        await cancel(resident, redemption)
    with clock.travelled(AFTER_SOON + GRACE - timedelta(minutes=2)):
        again, _ = await redeemed(offer, resident)
        await cancel(resident, again)
        assert (await expire(REGISTRY)).lapsed_g == 0
    with clock.travelled(AFTER_SOON + GRACE + timedelta(minutes=1)):
        assert (await expire(REGISTRY)).lapsed_g == 200


async def test_grams_of_a_coupon_that_expired_unused_have_the_grace_too(database: str) -> None:
    resident = await a_resident_with_a_lot_due_soon(500)
    redemption, _ = await redeemed(await an_offer(price_g=200, coupon_valid_days=15), resident)
    with clock.travelled(timedelta(days=17)):
        assert await expire(REGISTRY) == Expired(coupons=1, lots=1, lapsed_g=300)
        assert await status_of(redemption) == "expired"
        await redeem(resident, await an_offer(price_g=200))
    assert await figures(resident) == (0, 200, 0, 300, 500)


async def test_grams_given_back_before_their_lot_is_due_have_no_grace(database: str) -> None:
    resident = await a_resident_with_a_lot_due_soon(500)
    redemption, _ = await redeemed(await an_offer(price_g=200), resident)
    await cancel(resident, redemption)
    with clock.travelled(AFTER_SOON):
        assert (await expire(REGISTRY)).lapsed_g == 500


async def test_every_due_coupon_is_expired_however_many(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketplace.expiry._BATCH", 2)
    resident, offer = await a_resident(), await an_offer(coupon_valid_days=1)
    for _ in range(7):
        await redeem(resident, offer)
    with clock.travelled(timedelta(days=2)):
        assert (await expire(REGISTRY)).coupons == 7
        assert (await expire(REGISTRY)).coupons == 0
    assert await available_g(resident) == 5_000


async def test_the_lots_of_many_residents_lapse_in_one_run(database: str) -> None:
    residents = [await a_resident_with_a_lot_due_soon(100 + n) for n in range(5)]
    with clock.travelled(AFTER_SOON):
        assert await expire(REGISTRY) == Expired(coupons=0, lots=5, lapsed_g=510)
    assert [await available_g(resident) for resident in residents] == [0] * 5
