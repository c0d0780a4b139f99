"""What is added up, with what is counted live, is what a straight count finds, whoever commits when."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from marketplace import clock, db, expiry
from marketplace.registry import EmbeddedRegistry
from merchants import rollup
from merchants.hours import asked_for, by_all, by_time_and_place, one_snapshot, total
from merchants.periods import Span
from merchants.rollup import NOWHERE, fold
from tests import builders

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EVER = Span(datetime(2026, 1, 1, tzinfo=clock.SHANGHAI), datetime(2036, 1, 1, tzinfo=clock.SHANGHAI))

Key = tuple[datetime, UUID, UUID]


async def told(publisher: UUID) -> dict[Key, Counter[str]]:
    """What the dashboard is made of."""
    async with one_snapshot():
        return await _told(publisher)


async def counted(publisher: UUID) -> dict[Key, Counter[str]]:
    """A straight count, in Python, of the redemptions and verifications themselves."""
    async with one_snapshot():
        return await _counted(publisher)


async def _told(publisher: UUID) -> dict[Key, Counter[str]]:
    asked = await asked_for(publisher, None)
    found = await by_all(asked, EVER)
    hours, pairs = await by_time_and_place(asked, EVER)
    together = added(found.values())
    assert together == added(hours.values()) == added(pairs.values()) == await total(asked, EVER)
    return {key: +counts for key, counts in found.items() if +counts or -counts}


async def _counted(publisher: UUID) -> dict[Key, Counter[str]]:
    redemptions = await db.fetch("SELECT * FROM redemption WHERE publisher = $1", publisher)
    verifications = await db.fetch(
        """SELECT v.*, r.offer, r.resident FROM verification v JOIN redemption r ON r.id = v.redemption
           WHERE r.publisher = $1""",
        publisher,
    )
    counts: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    visits: defaultdict[UUID, list[tuple[datetime, Key]]] = defaultdict(list)
    uses: defaultdict[UUID, list[datetime]] = defaultdict(list)

    def count(at: datetime, row: Any, store: UUID = NOWHERE, **what: int) -> Key:
        key = (at.replace(minute=0, second=0, microsecond=0), row["offer"], store)
        counts[key].update(what)
        return key

    for row in redemptions:
        key = count(row["created_at"], row, redeemed=1, fulfilled=row["status"] == "fulfilled")
        visits[row["resident"]].append((row["created_at"], key))
        if row["status"] == "fulfilled":
            uses[row["resident"]].append(row["closed_at"])
        if row["status"] in ("cancelled", "expired"):
            count(row["closed_at"], row, **{row["status"]: 1})
    for row in verifications:
        money = {"bill_fen": row["bill_fen"] or 0, "discount_fen": row["discount_fen"]}
        key = count(row["verified_at"], row, row["store"], verified=1, **money)
        if row["reversed_at"] is not None:
            less = {name: -amount for name, amount in money.items()}
            count(row["reversed_at"], row, row["store"], reversed=1, **less)
        else:
            visits[row["resident"]].append((row["verified_at"], key))
            uses[row["resident"]].append(row["verified_at"])
    for resident, made in visits.items():
        seen_on: set[Any] = set()
        for at, key in sorted(made):
            day = clock.local_day(at)
            if day not in seen_on and any(
                clock.local_day(use) < day and use >= at - 30 * DAY for use in uses[resident]
            ):
                counts[key].update(returned=1)
            seen_on.add(day)
    return {key: +found for key, found in counts.items() if +found or -found}


def added(some: Iterable[Counter[str]]) -> Counter[str]:
    """The counts of `some` together, those that are zero too."""
    together: Counter[str] = Counter()
    for one in some:
        together.update(one)
    return together


async def folded() -> None:
    """Everything that is settled by now is added up."""
    await fold()
    await fold()  # the first time only decides what is to be added up next


async def added_up(publisher: UUID) -> int:
    total: int = await db.fetch_value(
        "SELECT coalesce(sum(redeemed), 0) FROM insight_hour WHERE publisher = $1", publisher
    )
    return total


async def test_what_happened_is_told_before_and_after_it_is_added_up(database: str) -> None:
    offer = await builders.an_offer(kind="cash_coupon")
    at_once = await builders.an_offer(publisher=offer.publisher.id, kind="donation")
    till = await builders.a_till(of=offer)
    resident = await builders.a_resident(50_000)
    with clock.travelled(-3 * DAY):
        for _ in range(3):
            _, code = await builders.redeemed(offer, resident)
            await builders.verify(till, code, bill_fen=5_000)
        first, code = await builders.redeemed(offer, resident)
        verification = await builders.verify(till, code, bill_fen=3_000)
        await builders.reverse(till, verification["id"])
        await builders.cancel(resident, first)
        await builders.redeemed(at_once, await builders.a_resident())
    with clock.travelled(-1 * DAY):
        await builders.redeemed(offer, resident)
    await builders.redeemed(offer, resident)

    before = await told(offer.publisher.id)
    await folded()

    assert before == await told(offer.publisher.id) == await counted(offer.publisher.id)
    assert await added_up(offer.publisher.id) == 6
    together = sum(before.values(), Counter())
    assert together["redeemed"] == 7
    assert (together["verified"], together["reversed"], together["cancelled"], together["returned"]) == (
        4,
        1,
        1,
        2,
    )


async def test_somebody_else_s_numbers_are_not_among_them(database: str) -> None:
    mine, others = await builders.an_offer(), await builders.an_offer()
    with clock.travelled(-DAY):
        await builders.redeemed(others)
    await folded()

    assert await told(mine.publisher.id) == {}
    assert await told(others.publisher.id) == await counted(others.publisher.id) != {}


async def test_what_expired_while_nobody_added_up_is_told_when_it_expired(database: str) -> None:
    offer = await builders.an_offer(coupon_valid_days=1)
    with clock.travelled(-5 * DAY):
        await builders.redeemed(offer)
    await folded()
    with clock.travelled(-2 * DAY):
        await expiry.expire(EmbeddedRegistry())
    await folded()

    found = await told(offer.publisher.id)
    assert found == await counted(offer.publisher.id)
    assert sum(found.values(), Counter()) == Counter(redeemed=1, expired=1)


async def test_who_commits_late_is_counted_and_nobody_twice(database: str) -> None:
    """A transaction that began to write before the horizon moved, and one that writes about a time before it."""
    offer = await builders.an_offer()
    with clock.travelled(-DAY):
        await builders.redeemed(offer)
    slow = await asyncpg.connect(database)
    try:
        writing = slow.transaction()
        await writing.start()
        await a_redemption_of(slow, offer.id, at=clock.now() - timedelta(minutes=19, seconds=59))
        await folded()
        with clock.travelled(timedelta(minutes=-30)):
            await builders.redeemed(offer)
        await folded()
        assert await told(offer.publisher.id) == await counted(offer.publisher.id)
        await writing.commit()
    finally:
        await slow.close()
    assert await told(offer.publisher.id) == await counted(offer.publisher.id)
    assert sum((await told(offer.publisher.id)).values(), Counter())["redeemed"] == 3
    await folded()
    assert await told(offer.publisher.id) == await counted(offer.publisher.id)
    await unwritten(database)


async def test_the_horizon_waits_for_who_has_begun_to_write(database: str) -> None:
    offer = await builders.an_offer()
    with clock.travelled(-DAY):
        await builders.redeemed(offer)
    slow = await asyncpg.connect(database)
    try:
        writing = slow.transaction()
        await writing.start()
        await a_redemption_of(slow, offer.id, at=clock.now())
        await folded()
        waited = await db.fetch_value("SELECT folded_until FROM insight_horizon")
        await folded()
        assert await db.fetch_value("SELECT folded_until FROM insight_horizon") == waited
        await writing.rollback()
    finally:
        await slow.close()
    await folded()
    assert await db.fetch_value("SELECT folded_until FROM insight_horizon") > waited


async def test_a_verification_that_is_reversed_long_after_takes_back_the_returns_it_made(
    database: str,
) -> None:
    offer = await builders.an_offer(kind="cash_coupon")
    till, resident = await builders.a_till(of=offer), await builders.a_resident()
    with clock.travelled(-4 * DAY):
        _, code = await builders.redeemed(offer, resident)
        verification = await builders.verify(till, code, bill_fen=5_000)
    with clock.travelled(-2 * DAY):
        await builders.redeemed(offer, resident)
    await folded()
    assert sum((await told(offer.publisher.id)).values(), Counter())["returned"] == 1

    with clock.travelled(-4 * DAY + timedelta(minutes=10)):
        await builders.reverse(till, verification["id"])

    assert await told(offer.publisher.id) == await counted(offer.publisher.id)
    await folded()
    found = await told(offer.publisher.id)
    assert found == await counted(offer.publisher.id)
    assert sum(found.values(), Counter())["returned"] == 0


@pytest.fixture
async def hurried(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """What is a tenth of a second old is taken for settled, in the code and by the database's triggers."""
    rows = await db.fetch(
        "SELECT d FROM pg_trigger, pg_get_triggerdef(oid) d WHERE tgname LIKE '%_late' AND d LIKE '%00:20:00%'"
    )
    triggers = [row["d"] for row in rows]
    assert len(triggers) == 3
    assert all(trigger.count("'00:20:00'") == 1 for trigger in triggers)
    monkeypatch.setattr(rollup, "SETTLED_AFTER", timedelta(milliseconds=100))
    for trigger in triggers:
        replaced = trigger.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER")
        await db.execute(replaced.replace("'00:20:00'", "'00:00:00.1'"))
    yield database
    for trigger in triggers:
        await db.execute(trigger.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER"))


async def test_the_numbers_are_exact_while_many_write_and_some_add_up(hurried: str) -> None:
    """Redeeming, verifying, reversing, cancelling and adding up at once, with commits of all delays."""
    coupons = await builders.an_offer(kind="cash_coupon")
    publisher = coupons.publisher.id
    gifts = await builders.an_offer(publisher=publisher)
    till = await builders.a_till(of=coupons)
    residents = [await builders.a_resident(100_000) for _ in range(3)]
    with clock.travelled(-2 * DAY):
        for resident in residents:
            _, code = await builders.redeemed(coupons, resident)
            await builders.verify(till, code, bill_fen=2_000)

    async def come_and_go(n: int) -> None:
        for turn in range(20):
            redemption, code = await builders.redeemed([coupons, gifts][turn % 2], residents[n])
            if turn % 3 == 0:
                await builders.cancel(residents[n], redemption)
                continue
            done = await builders.verify(till, code, bill_fen=2_000)
            if turn % 4 == 1:
                await asyncio.sleep(0.15)
                await builders.reverse(till, done["id"])

    async def commit_late(chance: Random) -> None:
        connection = await asyncpg.connect(hurried)
        for _ in range(12):
            async with connection.transaction():
                at = clock.now() - timedelta(seconds=chance.random() * 0.2)
                await asyncio.sleep(chance.random() * 0.1)
                await a_redemption_of(connection, coupons.id, at=at)
                await asyncio.sleep(chance.random() * 0.3)
        await connection.close()

    async def add_up() -> None:
        while True:
            await asyncio.gather(fold(), fold())

    adding = asyncio.create_task(add_up())
    writing = [asyncio.create_task(come_and_go(n)) for n in range(3)]
    writing += [asyncio.create_task(commit_late(Random(n))) for n in range(3)]
    looked, moved = 0, set()
    while not all(writer.done() for writer in writing):
        async with one_snapshot():
            assert await _told(publisher) == await _counted(publisher)
            moved.add(await db.fetch_value("SELECT folded_until FROM insight_horizon"))
        looked += 1
    await asyncio.gather(*writing)
    adding.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await adding
    await asyncio.sleep(0.2)
    await folded()

    assert await told(publisher) == await counted(publisher)
    assert await added_up(publisher) == 3 + 60 + 36
    assert looked > 10
    assert len(moved) > 5, "the horizon has moved under the readers"
    await unwritten(hurried)


async def a_redemption_of(connection: asyncpg.Connection, offer: UUID, *, at: datetime) -> None:
    """A redemption as another process would be writing it."""
    await connection.execute(
        """INSERT INTO redemption (id, resident, offer, offer_version, publisher, status, price_g, cash_fen, created_at)
           SELECT gen_random_uuid(), r.id, v.offer, v.id, v.publisher, 'issued', 1, 0, $2
           FROM offer_version v, resident r WHERE v.offer = $1 LIMIT 1""",
        offer, at,
    )  # fmt: skip


async def unwritten(url: str) -> None:
    """Without the redemptions that were written past the ledger, which the audit would find."""
    connection = await asyncpg.connect(url)
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(
        "DELETE FROM redemption r WHERE NOT EXISTS (SELECT FROM ledger_transfer t WHERE t.subject = r.id)"
    )
    await connection.close()
