"""What happened is found once each, whatever the order in which it was committed."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import msgspec
import pytest

from marketplace import clock, db, expiry
from marketplace.offers import lifecycle
from marketplace.pools import set_alarm
from marketplace.registry import EmbeddedRegistry
from merchants import webhooks
from merchants.webhooks.events import SHAPES
from merchants.webhooks.finding import find
from merchants.webhooks.selling_out import watch_stock
from tests.builders import (
    a_draft,
    a_publisher,
    a_resident,
    a_till,
    an_offer,
    cancel,
    redeemed,
    reverse,
    verify,
)
from tests.merchants.webhooks.receiver import an_endpoint, messages

URL = "https://shop.example.com/hook"


async def found() -> list[str]:
    """The kinds of all events that are found by now, in the order of what happened."""
    await find()
    return [row["kind"] for row in await db.fetch("SELECT kind FROM webhook_event ORDER BY at, id")]


@pytest.fixture
async def offer(database):
    return await an_offer(kind="cash_coupon", benefit={"amount_fen": 500})


async def test_a_redemptions_life_is_told_once_each(offer):
    endpoint = await an_endpoint(offer.publisher.id, URL)
    till = await a_till(of=offer)
    _, code = await redeemed(offer)
    verified = await verify(till, code, bill_fen=1_800)
    assert await found() == ["redemption.created", "redemption.verified"]
    await reverse(till, verified["id"])
    resident = await a_resident()
    redemption, _ = await redeemed(offer, resident)
    await cancel(resident, redemption)
    told = ["redemption.created", "redemption.verified", "redemption.reversed", "redemption.created",
            "redemption.cancelled"]  # fmt: skip
    assert await found() == told
    assert await found() == told
    with clock.travelled(timedelta(days=400)):
        await expiry.expire(EmbeddedRegistry())
        assert await found() == [*told, "redemption.expired"]
    assert len(await messages(offer.publisher.id, endpoint.id)) == 6


async def test_an_offers_life_is_told(database):
    publisher = await a_publisher(stores=["光谷店"])
    await an_endpoint(publisher, URL)
    offer = await an_offer(publisher=publisher)
    await lifecycle.pause(publisher=publisher, offer=offer.id, actor="test")
    await lifecycle.resume(publisher=publisher, offer=offer.id, actor="test")
    await lifecycle.end(publisher=publisher, offer=offer.id, actor="test")
    other = await a_draft(publisher)
    await lifecycle.submit(publisher=publisher, offer=other.id, actor="test")
    await lifecycle.reject(offer=other.id, reason="图片不清楚", actor="test")
    assert await found() == [
        "offer.approved", "offer.paused", "offer.resumed", "offer.ended", "offer.rejected",
    ]  # fmt: skip
    reason = await db.fetch_value(
        "SELECT facts ->> 'reason' FROM webhook_event WHERE kind = 'offer.rejected'"
    )
    assert reason == "图片不清楚"


async def test_that_little_or_nothing_is_left_is_told_once_until_there_is_more(database):
    publisher = await a_publisher(stores=["光谷店"])
    await an_endpoint(publisher, URL)
    codes = await an_offer(publisher=publisher, kind="code", codes=["A", "B"])
    await set_alarm(publisher=publisher, offer=codes.id, alarm_at=1)
    one = await an_offer(publisher=publisher, stock=1)
    await redeemed(codes)
    resident = await a_resident()
    redemption, _ = await redeemed(one, resident)
    for _ in range(2):
        await watch_stock()
    assert sorted(await found()) == [
        "offer.approved", "offer.approved", "offer.sold_out", "pool.low", "redemption.created", "redemption.created",
    ]  # fmt: skip
    await cancel(resident, redemption)
    await watch_stock()
    await redeemed(one)
    await watch_stock()
    assert (await found()).count("offer.sold_out") == 2


async def test_every_message_is_of_the_shape_that_is_described_and_names_no_person(database):
    publisher = await a_publisher(stores=["光谷店"])
    await an_endpoint(publisher, URL)
    offer = await an_offer(publisher=publisher, kind="cash_coupon", stock=2)
    till, resident = await a_till(of=offer), await a_resident()
    verified = await verify(till, (await redeemed(offer, resident))[1], bill_fen=1_800)
    await redeemed(offer, resident)
    await watch_stock()
    await reverse(till, verified["id"])
    codes = await an_offer(publisher=publisher, kind="code", codes=["A"])
    await set_alarm(publisher=publisher, offer=codes.id, alarm_at=1)
    await find()
    rows = await db.fetch("SELECT kind, facts FROM webhook_event")
    residents = [str(row["id"]) for row in await db.fetch("SELECT id FROM resident")]
    codes = [row["code"] for row in await db.fetch("SELECT code FROM coupon WHERE code ~ '^[0-9]+$'")]
    assert {row["kind"] for row in rows} == {
        "redemption.created", "redemption.verified", "redemption.reversed", "offer.approved", "pool.low",
        "offer.sold_out",
    }  # fmt: skip
    for row in rows:
        msgspec.convert(row["facts"], SHAPES[row["kind"]])
        written = json.dumps(row["facts"])
        assert not any(secret in written for secret in (*residents, *codes))


async def test_what_happened_before_an_endpoint_was_there_is_not_told_to_it(offer):
    await redeemed(offer)
    first = await an_endpoint(offer.publisher.id, URL)
    await redeemed(offer)
    second = await an_endpoint(offer.publisher.id, URL)
    await redeemed(offer)
    await find()
    counts = [len(await messages(offer.publisher.id, one.id)) for one in (first, second)]
    assert counts == [2, 1]


async def test_an_endpoint_gets_the_kinds_that_it_asked_for_and_anothers_nothing(offer):
    mine = await an_endpoint(offer.publisher.id, URL, "redemption.cancelled")
    stranger = await a_publisher()
    theirs = await an_endpoint(stranger, URL)
    resident = await a_resident()
    redemption, _ = await redeemed(offer, resident)
    await cancel(resident, redemption)
    await find()
    assert [one.kind for one in await messages(offer.publisher.id, mine.id)] == ["redemption.cancelled"]
    assert await messages(stranger, theirs.id) == []
    assert await messages(stranger, mine.id) == []


async def test_what_is_committed_after_later_things_is_found_all_the_same(offer):
    await an_endpoint(offer.publisher.id, URL)
    await redeemed(offer)
    open_, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with db.transaction():
            await db.execute(
                "UPDATE offer SET status = status WHERE id = $1", offer.id
            )  # it has a number by now
            await db.execute(
                """INSERT INTO offer_event (id, offer, event, actor, created_at)
                   VALUES (gen_random_uuid(), $1, 'paused', 'test', $2)""",
                offer.id, clock.now(),
            )  # fmt: skip
            open_.set()
            await go_on.wait()

    late = asyncio.create_task(slow())
    await open_.wait()
    await find()
    for _ in range(3):
        await find()
    horizon = await db.fetch_row("SELECT found_until, next_at FROM webhook_horizon")
    assert horizon["found_until"] < clock.now() - timedelta(seconds=59)
    go_on.set()
    await late
    assert await found() == ["redemption.created", "offer.paused"]


async def test_the_horizon_waits_for_whoever_began_before_it(offer):
    await an_endpoint(offer.publisher.id, URL)
    await db.execute("INSERT INTO webhook_horizon (found_until) VALUES (now() - interval '1 hour')")
    open_, go_on = asyncio.Event(), asyncio.Event()

    async def writing() -> None:
        async with db.transaction():
            await db.execute("UPDATE offer SET status = status WHERE id = $1", offer.id)
            open_.set()
            await go_on.wait()

    async def horizon() -> timedelta:
        age: timedelta = await db.fetch_value("SELECT now() - found_until FROM webhook_horizon")
        return age

    writer = asyncio.create_task(writing())
    await open_.wait()
    for _ in range(3):
        await find()
    assert await horizon() > timedelta(minutes=59)
    go_on.set()
    await writer
    await find()
    await find()
    assert await horizon() < timedelta(minutes=2)


async def test_what_is_written_about_a_time_long_ago_is_noted_and_found(offer):
    await an_endpoint(offer.publisher.id, URL)
    for _ in range(3):
        await find()
    await db.execute("UPDATE webhook_horizon SET found_until = now(), next_at = NULL, next_xid = NULL")
    since = await db.fetch_value("SELECT min(created_at) FROM webhook_endpoint")
    await db.execute("ALTER TABLE webhook_endpoint DISABLE TRIGGER USER")
    await db.execute("UPDATE webhook_endpoint SET created_at = $1", since - timedelta(hours=3))
    await db.execute("ALTER TABLE webhook_endpoint ENABLE TRIGGER USER")
    with clock.travelled(-timedelta(hours=2)):  # a server whose clock was put back
        await redeemed(offer)
    assert await db.fetch_value("SELECT count(*) FROM late_happening") == 1
    assert "redemption.created" in await found()
    assert await db.fetch_value("SELECT count(*) FROM late_happening") == 0


async def test_without_the_note_it_would_be_lost(offer):
    await an_endpoint(offer.publisher.id, URL)
    await find()
    await db.execute(
        "UPDATE webhook_horizon SET found_until = now() + interval '1 minute', next_at = NULL, next_xid = NULL"
    )
    await redeemed(offer)
    assert await found() == []


async def test_several_processes_find_everything_once(offer):
    await an_endpoint(offer.publisher.id, URL)
    residents = [await a_resident() for _ in range(12)]

    async def looking() -> None:
        for _ in range(15):
            await find()
            await asyncio.sleep(0)

    await asyncio.gather(looking(), looking(), *(redeemed(offer, resident) for resident in residents))
    assert await found() == ["redemption.created"] * 12


def test_every_kind_has_a_shape():
    assert tuple(SHAPES) == webhooks.KINDS
