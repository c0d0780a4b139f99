"""The alarm: told once for each time that a pool comes down to what its publisher said."""

from __future__ import annotations

from typing import Any

import pytest

from marketplace import db, pools
from marketplace.errors import Invalid
from tests.builders import an_offer, redeemed
from tests.marketplace.pools.filling import a_pool, loaded


async def events(of: Any) -> list[Any]:
    rows = await db.fetch(
        "SELECT kind, subject, facts FROM publisher_event WHERE publisher = $1 ORDER BY id", of.publisher.id
    )
    assert all((row["kind"], row["subject"]) == ("pool.low", of.id) for row in rows)
    return [(row["facts"]["left"], row["facts"]["alarm_at"]) for row in rows]


async def test_a_publisher_is_told_once_each_time_that_few_codes_are_left(database: str) -> None:
    offer = await an_offer(kind="code", codes=["A", "B", "C", "D"])
    pool = await pools.set_alarm(publisher=offer.publisher.id, offer=offer.id, alarm_at=2)
    assert (pool.alarm_at, pool.low, await events(offer)) == (2, False, [])
    told = []
    for _ in range(4):
        await redeemed(offer)
        told.append(len(await events(offer)))
    assert told == [0, 1, 1, 1]
    assert await events(offer) == [(2, 2)]
    assert await pools.low_pools([offer.id]) == {offer.id}

    await pools.add_codes(publisher=offer.publisher.id, offer=offer.id, codes=["E", "F", "G"])
    assert await pools.low_pools([offer.id]) == set()
    await redeemed(offer)
    assert await events(offer) == [(2, 2), (2, 2)]


async def test_without_a_word_of_theirs_a_publisher_is_told_that_none_is_left(database: str) -> None:
    offer = await an_offer(kind="code", codes=["A", "B"])
    await redeemed(offer)
    assert await events(offer) == []
    await redeemed(offer)
    assert await events(offer) == [(0, 0)]


async def test_an_empty_pool_that_was_never_filled_raises_no_alarm(database: str) -> None:
    offer = await a_pool()
    assert (await pools.set_alarm(publisher=offer.publisher.id, offer=offer.id, alarm_at=5)).low
    assert (await events(offer), await pools.low_pools([offer.id])) == ([], set())
    await loaded(offer, b"A\nB")
    assert await events(offer) == [], "it is as low as before"
    await loaded(offer, b"C\nD\nE\nF")
    assert await pools.low_pools([offer.id]) == set()


async def test_an_alarm_that_is_set_above_what_is_left_is_raised_at_once(database: str) -> None:
    offer = await an_offer(kind="code", codes=["A", "B", "C"])
    for alarm_at, told in ((3, 1), (4, 1), (2, 1), (3, 2)):
        await pools.set_alarm(publisher=offer.publisher.id, offer=offer.id, alarm_at=alarm_at)
        assert len(await events(offer)) == told, alarm_at


async def test_taking_codes_back_raises_the_alarm_too(database: str) -> None:
    offer = await an_offer(kind="code", codes=["A"])
    upload = await loaded(offer, b"B\nC")
    await pools.set_alarm(publisher=offer.publisher.id, offer=offer.id, alarm_at=1)
    await pools.withdraw(publisher=offer.publisher.id, upload=upload.id)
    assert await events(offer) == [(1, 1)]


@pytest.mark.parametrize("alarm_at", [-1, 1_000_001])
async def test_an_alarm_is_at_a_number_that_can_be(database: str, alarm_at: int) -> None:
    offer = await a_pool()
    with pytest.raises(Invalid):
        await pools.set_alarm(publisher=offer.publisher.id, offer=offer.id, alarm_at=alarm_at)
