"""A publisher is suspended while residents redeem and tills verify; two operators decide at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest

from marketplace import clock, suspensions
from marketplace.errors import ChutanError
from marketplace.identity.operators import add_operator, change_city, operators, remove_operator
from marketplace.matters import open_matters, standing_of
from tests.builders import (
    a_resident,
    a_till,
    an_offer,
    available_g,
    code_of,
    held_g,
    redeemed,
    status_of,
    verify,
)

pytestmark = pytest.mark.usefixtures("database")


async def suspended(publisher: UUID, coupons_out: str = "given_back") -> None:
    await suspensions.suspend(publisher=publisher, coupons_out=coupons_out, reason="查实", actor="operator:1")  # type: ignore[arg-type]


@pytest.mark.parametrize("turn", range(4))
async def test_whatever_is_redeemed_around_a_suspension_is_given_back_or_was_never_taken(turn):
    offer = await an_offer(stock=100)
    residents = [await a_resident() for _ in range(12)]
    attempts = [redeemed(offer, resident) for resident in residents]
    attempts.insert(turn * 3, suspended(offer.publisher.id))

    outcomes = await asyncio.gather(*attempts, return_exceptions=True)

    assert {code_of(outcome) for outcome in outcomes} <= {"ok", "offer_not_live"}
    await suspensions.give_back_due()
    with clock.travelled(timedelta(minutes=20)):
        await suspensions.give_back_due()
        await suspensions.give_back_due()
    assert not (await standing_of(offer.publisher.id)).giving_back
    assert (await open_matters(offer.publisher.id)).coupons_out == 0
    assert [(await available_g(one), await held_g(one)) for one in residents] == [(5_000, 0)] * 12


@pytest.mark.parametrize("turn", range(4))
async def test_of_a_verification_and_the_giving_back_one_wins_each_coupon(turn):
    offer, till = await an_offer(), None
    till = await a_till(of=offer)
    residents = [await a_resident() for _ in range(8)]
    coupons = [await redeemed(offer, resident) for resident in residents]

    async def give_back() -> int:
        await suspended(offer.publisher.id)
        return await suspensions.give_back_due()

    attempts = [verify(till, code) for _, code in coupons]
    attempts.insert(turn * 2, give_back())
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    given_back = outcomes.pop(turn * 2)

    states = [await status_of(redemption) for redemption, _ in coupons]
    assert Counter(states) == Counter(
        {"verified": [code_of(o) for o in outcomes].count("ok"), "cancelled": given_back}
    )
    assert {code_of(o) for o in outcomes} <= {"ok", "publisher_suspended", "coupon_cancelled"}
    for state, resident in zip(states, residents, strict=True):
        assert await available_g(resident) == (4_900 if state == "verified" else 5_000)


async def test_of_operators_who_suspend_at_once_one_is_heard():
    publisher = (await an_offer()).publisher.id
    outcomes = await asyncio.gather(*(suspended(publisher, "kept") for _ in range(5)), return_exceptions=True)
    assert Counter(map(code_of, outcomes)) == {"ok": 1, "publisher_suspended": 4}


async def test_of_operators_who_reinstate_and_close_at_once_one_is_heard():
    publisher = (await an_offer()).publisher.id
    await suspended(publisher, "kept")
    outcomes = await asyncio.gather(
        suspensions.reinstate(publisher=publisher, reason="整改", actor="operator:1"),
        suspensions.close(publisher=publisher, reason="注销", actor="operator:2"),
        return_exceptions=True,
    )
    assert Counter(map(code_of, outcomes)) == {"ok": 1, "publisher_not_suspended": 1}
    assert (await standing_of(publisher)).status in ("active", "closed")


async def test_operators_who_all_step_down_at_once_leave_one_with_the_province():
    ids = [await add_operator(login=f"op{n}", name="运营", password="long enough") for n in range(4)]
    outcomes = await asyncio.gather(
        *(remove_operator(operator=one, actor="t") for one in ids[:2]),
        *(change_city(operator=one, city="420100", actor="t") for one in ids[2:]),
        return_exceptions=True,
    )
    assert Counter(o.code if isinstance(o, ChutanError) else o for o in outcomes) == {
        None: 3,
        "last_operator": 1,
    }
    assert [one.city for one in await operators()].count(None) == 1
