"""The till without a network, and a store's day."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from marketplace import clock, db, verifications
from marketplace.errors import Invalid, NotFound, Refused
from marketplace.offers.terms import Conditions
from marketplace.redemptions import cancel, token_of
from marketplace.till_day import last_verification, totals_of_day, verifications_of_day
from tests.builders import a_key, a_resident, a_store, a_till, an_offer, redeemed, reverse, verify

MINUTE = timedelta(minutes=1)


async def later(
    till: UUID, *, after: timedelta, ago: timedelta | None = None, **shown: Any
) -> dict[str, Any]:
    """Verify `after` some time what was scanned now, or `ago`."""
    scanned_at = clock.now()
    with clock.travelled(after):
        return await verifications.verify(
            till=till, code=shown.get("code"), token=shown.get("token"), bill_fen=None, key=shown.get("key"),
            scanned_at=scanned_at if ago is None else clock.now() - ago,
        )  # fmt: skip


async def test_a_token_scanned_without_a_network_is_good_later(database: str) -> None:
    offer, resident = await an_offer(), await a_resident()
    till = await a_till(of=offer)
    redemption, _ = await redeemed(offer, resident)
    token = (await token_of(resident=resident, redemption=redemption)).token
    with clock.travelled(timedelta(hours=3)), pytest.raises(NotFound, match="coupon_not_found"):
        await verify(till, token=token)
    with pytest.raises(NotFound, match="coupon_not_found"):  # it was stale when it was scanned
        await later(till, token=token, after=timedelta(hours=3), ago=MINUTE)

    await later(till, token=token, after=timedelta(hours=3))
    row = await db.fetch_row("SELECT scanned_at, verified_at FROM verification")
    assert (
        timedelta(hours=2, minutes=59)
        < row["verified_at"] - row["scanned_at"]
        < timedelta(hours=3, minutes=1)
    )


@pytest.mark.parametrize("ago", [timedelta(days=1, minutes=1), timedelta(minutes=-2)])
async def test_what_was_scanned_too_long_ago_or_is_to_be_is_refused(database: str, ago: timedelta) -> None:
    offer = await an_offer()
    with pytest.raises(Invalid) as wrong:
        await later(await a_till(of=offer), code=(await redeemed(offer))[1], after=timedelta(), ago=ago)
    assert wrong.value.errors == (("scanned_at", "out_of_range"),)


async def test_a_clock_that_is_a_little_ahead_scans_now(database: str) -> None:
    offer = await an_offer()
    await later(
        await a_till(of=offer), code=(await redeemed(offer))[1], after=timedelta(), ago=-timedelta(seconds=30)
    )
    assert await db.fetch_value("SELECT scanned_at = verified_at FROM verification")


async def test_the_database_holds_no_scan_of_another_day(database: str) -> None:
    offer = await an_offer()
    await verify(await a_till(of=offer), (await redeemed(offer))[1])
    for wrong in ("verified_at + interval '1 second'", "verified_at - interval '25 hours'"):
        with pytest.raises(asyncpg.CheckViolationError):
            await db.execute(f"UPDATE verification SET scanned_at = {wrong}")


async def test_hours_are_judged_by_when_it_was_scanned(database: str) -> None:
    now = clock.now().astimezone(clock.SHANGHAI)
    offer = await an_offer(conditions=Conditions(weekdays=[now.isoweekday()]))
    till, (_, code) = await a_till(of=offer), await redeemed(offer)
    with pytest.raises(Refused, match="outside_hours"):
        await later(till, code=code, after=timedelta(days=1), ago=timedelta())
    await later(till, code=code, after=timedelta(hours=23, minutes=59))


async def test_what_was_cancelled_meanwhile_is_a_conflict(database: str) -> None:
    offer, resident = await an_offer(), await a_resident()
    till = await a_till(of=offer)
    redemption, code = await redeemed(offer, resident)
    await cancel(resident=resident, redemption=redemption, key=None)
    with pytest.raises(Refused, match="coupon_cancelled"):
        await later(till, code=code, after=MINUTE)


async def test_what_was_sent_before_answers_the_same_later(database: str) -> None:
    offer = await an_offer()
    till, (_, code) = await a_till(of=offer), await redeemed(offer)
    first = await verify(till, code, key=a_key(till))
    assert await later(till, code=code, after=MINUTE, key=a_key(till)) == first


async def test_a_day_lists_what_all_tills_of_the_store_did_and_counts_what_stands(database: str) -> None:
    discount = await an_offer(kind="cash_coupon", benefit={"amount_fen": 500}, limit=None)
    gift = await an_offer(publisher=discount.publisher.id)
    till, other = await a_till(of=discount), await a_till(of=discount)
    there = await a_store(discount.publisher.id, name="汉口店")
    elsewhere, gift_there = (
        await a_till(there),
        await an_offer(publisher=discount.publisher.id, stores=[there]),
    )
    await verify(till, (await redeemed(discount))[1], bill_fen=1_200)
    await verify(other, (await redeemed(gift))[1])
    undone = await verify(other, (await redeemed(discount))[1], bill_fen=300)
    await reverse(till, undone["id"])
    await verify(elsewhere, (await redeemed(gift_there))[1])

    day = clock.local_day(clock.now())
    listed = await verifications_of_day(till=till, day=day, limit=10)
    assert [(one.kind, one.bill_fen, one.pays_fen) for one in listed] == [
        ("cash_coupon", 300, 0), ("gift", None, None), ("cash_coupon", 1_200, 700),
    ]  # fmt: skip
    assert [(one.reversed_at is None, one.reversible) for one in listed] == [
        (False, False),
        (True, True),
        (True, True),
    ]
    totals = await totals_of_day(till=till, day=day)
    assert (totals.verified, totals.reversed, totals.discount_fen) == (2, 1, 500)
    assert await verifications_of_day(till=till, day=day, limit=10, before=listed[1].id) == [listed[2]]
    assert len(await verifications_of_day(till=elsewhere, day=day, limit=10)) == 1
    assert await last_verification(till=till) == listed[2]


async def test_a_day_begins_and_ends_at_midnight_in_shanghai(database: str) -> None:
    offer = await an_offer()
    till = await a_till(of=offer)
    today = clock.local_day(clock.now())
    to_midnight = clock.end_of_day(today) - clock.now()
    codes = [(await redeemed(offer))[1] for _ in range(2)]
    for moment, code in zip((to_midnight - MINUTE, to_midnight + MINUTE), codes, strict=True):
        with clock.travelled(moment):
            await verify(till, code)
    for day in (today, today + timedelta(days=1)):
        assert (await totals_of_day(till=till, day=day)).verified == 1
        assert len(await verifications_of_day(till=till, day=day, limit=10)) == 1
