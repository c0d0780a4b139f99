from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from incentives import crediting
from incentives.activities import activities_of
from incentives.judging import Bench, Judgement
from incentives.records import Record
from marketplace import db, lots, residents
from marketplace.errors import Invalid, NotFound
from tests.incentives.trips import CHANNEL, a_channel, a_ride, many_rides

pytestmark = pytest.mark.usefixtures("database")


async def credited(rides: list[Record], *, channel: str = CHANNEL, enrol: bool = True) -> list[Judgement]:
    find = residents.enrol if enrol else residents.linked
    found = await find({ride.subject for ride in rides}, channel=channel)
    return await crediting.credit_records(
        rides, channel=channel, methodology=await crediting.methodology_of(channel), residents=found
    )


async def wallet_g(resident: UUID) -> int:
    return await db.fetch_value(
        "SELECT coalesce(sum(amount_g), 0)::bigint FROM lot WHERE resident = $1", resident
    )


async def the_resident(rider: str = "rider", *, channel: str = CHANNEL) -> UUID:
    return (await residents.linked([rider], channel=channel))[rider]


async def test_a_ride_becomes_a_lot_of_its_grams():
    await a_channel()
    assert await credited([a_ride(distance_m="3000.5")]) == [("credited", 279)]

    lot = await db.fetch_row("SELECT * FROM lot")
    record = await db.fetch_row("SELECT * FROM activity_record")

    assert lot is not None
    assert record is not None
    assert (lot["record"], lot["amount_g"], lot["vintage"], lot["city"]) == (
        record["id"],
        279,
        2024,
        "420100",
    )
    assert (record["factor"], str(record["quantity"]), record["day"]) == (
        "93.3 g/km",
        "3.0005",
        date(2024, 5, 6),
    )


async def test_answers_stand_in_the_order_given_and_are_judged_in_order_of_time():
    await a_channel()
    later, earlier = a_ride(trip_id="a", after_seconds=600), a_ride(trip_id="b")
    assert [judgement.outcome for judgement in await credited([later, earlier])] == [
        "overlapping",
        "credited",
    ]


async def test_a_trip_pays_once_for_ever():
    await a_channel()
    twice = [a_ride(), a_ride(after_seconds=5_000)]
    assert [judgement.outcome for judgement in await credited(twice)] == ["credited", "duplicate"]
    assert [judgement.outcome for judgement in await credited(twice)] == ["duplicate", "duplicate"]


async def test_a_trip_that_was_refused_is_a_duplicate_later():
    await a_channel()
    await credited([a_ride(distance_m="10")])
    assert await credited([a_ride(distance_m="3000")]) == [("duplicate", 0)]


async def test_the_rides_of_someone_unknown_are_not_kept_and_count_once_they_are_known():
    await a_channel()
    assert await credited([a_ride()], enrol=False) == [("unknown_rider", 0)]
    assert await credited([a_ride()]) == [("credited", 279)]


async def test_a_ride_before_the_methodology_took_effect_is_not_kept():
    await a_channel()
    old = a_ride(after_seconds=-20 * 365 * 86_400)
    assert await credited([old]) == [("not_in_force", 0)]
    assert await db.fetch_value("SELECT count(*) FROM activity_record") == 0


async def test_rides_credited_before_count_for_overlap_whichever_came_first():
    await a_channel()
    await credited([a_ride(trip_id="stored", after_seconds=3_600)])
    around = [
        a_ride(trip_id="over its end", after_seconds=4_000),
        a_ride(trip_id="over its beginning", after_seconds=2_500),
        a_ride(trip_id="over all of it", after_seconds=3_000, lasting_seconds=10_000),
        a_ride(trip_id="up to it", after_seconds=2_400),
        a_ride(trip_id="from its end", after_seconds=4_800),
    ]
    for ride in around:
        expected = "overlapping" if ride.record_id.startswith("over") else "credited"
        assert [judgement.outcome for judgement in await credited([ride])] == [expected], ride.record_id


async def test_the_grams_of_the_day_count_across_calls():
    await a_channel()
    far = [
        a_ride(trip_id=str(n), after_seconds=3_600 * n, lasting_seconds=3_000, distance_m="10000")
        for n in range(3)
    ]
    assert [await credited([ride]) for ride in far] == [
        [("credited", 933)],
        [("capped", 567)],
        [("over_daily_cap", 0)],
    ]
    assert await wallet_g(await the_resident()) == 1_500


async def test_two_channels_of_one_resident_share_day_and_time():
    await a_channel()
    other = await a_channel("other-bikes")
    await credited([a_ride()])
    await residents.link(resident=await the_resident(), channel=other, subject="same person")
    ride = a_ride(trip_id="elsewhere", rider_id="same person", after_seconds=600)
    assert [judgement.outcome for judgement in await credited([ride], channel=other)] == ["overlapping"]


async def test_batches_of_one_resident_at_the_same_time_keep_the_cap():
    await a_channel()
    rides = [
        a_ride(trip_id=str(n), after_seconds=3_600 * n, lasting_seconds=3_000, distance_m="10000")
        for n in range(6)
    ]
    await residents.enrol(["rider"], channel=CHANNEL)

    answers = await asyncio.gather(*(credited([ride]) for ride in rides))

    assert Counter(answer[0].outcome for answer in answers) == {
        "credited": 1,
        "capped": 1,
        "over_daily_cap": 4,
    }
    assert await wallet_g(await the_resident()) == 1_500


async def test_without_the_lock_the_cap_would_be_broken(monkeypatch: pytest.MonkeyPatch):
    """The negative control: it is the lock, taken before reading, that keeps the cap."""
    await a_channel()
    await residents.enrol(["rider"], channel=CHANNEL)
    read, both = crediting._bench, asyncio.Barrier(2)

    async def read_together(*arguments: Any, **named: Any) -> Bench:
        bench = await read(*arguments, **named)
        await both.wait()
        return bench

    async def no_lock(_: Collection[UUID]) -> None:
        pass

    monkeypatch.setattr(crediting, "_bench", read_together)
    monkeypatch.setattr(lots, "lock_wallets", no_lock)
    rides = [
        a_ride(trip_id=str(n), after_seconds=4_000 * n, lasting_seconds=3_000, distance_m="16000")
        for n in (0, 1)
    ]

    answers = await asyncio.gather(*(credited([ride]) for ride in rides))

    assert answers == [[("credited", 1_492)], [("credited", 1_492)]]


async def test_the_same_trips_at_the_same_time_under_different_riders_pay_once():
    await a_channel()
    ours = [a_ride(trip_id=str(n), rider_id="a", after_seconds=2_000 * n) for n in range(5)]
    theirs = [ride._replace(subject="b") for ride in reversed(ours)]
    await residents.enrol(["a", "b"], channel=CHANNEL)

    answers = await asyncio.gather(*(credited(rides) for rides in (ours, theirs) * 2))

    assert Counter(judgement.outcome for answer in answers for judgement in answer) == {
        "credited": 5,
        "duplicate": 15,
    }


async def test_a_ride_over_midnight_belongs_to_the_day_it_began():
    await a_channel()
    late = a_ride(after_seconds=16 * 3_600 - 60)  # a minute to midnight in Wuhan
    await credited([late])
    assert await db.fetch_value("SELECT day FROM activity_record") == date(2024, 5, 6)


async def test_what_fails_before_the_commit_leaves_nothing():
    await a_channel()
    known = await residents.enrol(["rider"], channel=CHANNEL)
    methodology = await crediting.methodology_of(CHANNEL)

    async def fail(_: object) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await crediting.credit_records(
            [a_ride()], channel=CHANNEL, methodology=methodology, residents=known, keep=fail
        )
    assert await db.fetch_value("SELECT count(*) FROM activity_record") == 0


async def test_a_channel_must_exist_with_a_methodology_that_ships():
    await a_channel("meter", methodology="home-power-wuhan")
    await a_channel("elsewhere", methodology="home-power-mars")
    assert (await crediting.methodology_of("meter")).unit == "kWh"
    with pytest.raises(NotFound):
        await crediting.methodology_of("nowhere")
    with pytest.raises(Invalid):
        await crediting.methodology_of("elsewhere")


async def test_a_resident_sees_every_record_the_latest_first_in_pages():
    await a_channel()
    rides = [ride._replace(subject="rider") for ride in many_rides(seed=3, count=25, riders=1)]
    same_start = [a_ride(trip_id=f"tie {n}", after_seconds=3) for n in range(5)]
    await credited(rides + same_start)
    resident = await the_resident()

    seen, before = [], None
    while page := await activities_of(resident, limit=4, before=before):
        seen += page
        before = page[-1].id

    assert len({activity.id for activity in seen}) == 30
    assert [a.started_at for a in seen] == sorted((r.started_at for r in rides + same_start), reverse=True)
    assert all((activity.reason is None) == (activity.outcome in {"credited", "capped"}) for activity in seen)
    assert {(a.methodology, a.methodology_version, a.factor) for a in seen} == {
        ("bike-wuhan", 1, "93.3 g/km")
    }


def test_a_lot_lasts_five_years_to_the_end_of_the_day():
    assert crediting.lot_expiry(datetime(2026, 11, 24, 3, tzinfo=UTC)) == datetime(
        2031, 11, 24, 16, tzinfo=UTC
    )
    assert crediting.lot_expiry(datetime(2028, 2, 29, 3, tzinfo=UTC)) == datetime(2033, 3, 1, 16, tzinfo=UTC)
    assert crediting.lot_expiry(datetime(2026, 12, 31, 17, tzinfo=UTC)) == datetime(
        2032, 1, 1, 16, tzinfo=UTC
    )
