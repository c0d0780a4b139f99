from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.judging import Bench, Judgement, Timetable, fault
from incentives.methodologies import Methodology, in_force
from incentives.records import Record
from tests.incentives.trips import MORNING, a_ride, many_rides

RESIDENT = UUID(int=1)


def bike() -> Methodology:
    methodology = in_force("bike-wuhan", date(2024, 5, 6))
    assert methodology is not None
    return methodology


def judged(rides: list[Record], *, earned_g: int = 0) -> list[Judgement]:
    day = rides[0].day
    bench = Bench(timetable=Timetable(), earned_g={(RESIDENT, day): earned_g})
    return [bench.judge(ride, resident=RESIDENT, methodology=bike()) for ride in rides]


@pytest.mark.parametrize(
    ("ride", "reason"),
    [
        (a_ride(lasting_seconds=60, distance_m="100"), None),
        (a_ride(lasting_seconds=59.999, distance_m="100"), "too_short"),
        (a_ride(distance_m="99.999"), "too_short"),
        (a_ride(lasting_seconds=0, distance_m="100000"), "too_short"),
        (a_ride(lasting_seconds=3_600, distance_m="30000"), None),
        (a_ride(lasting_seconds=3_600, distance_m="30000.000000001"), "too_fast"),
        (a_ride(lasting_seconds=60, distance_m="500"), None),
        (a_ride(lasting_seconds=60, distance_m="501"), "too_fast"),
        (a_ride(lasting_seconds=21_600), None),
        (a_ride(lasting_seconds=21_600.000001), "too_long"),
        (a_ride(lasting_seconds=30_000, distance_m="50"), "too_short"),
        (a_ride(lasting_seconds=30_000, distance_m="900000"), "too_fast"),
    ],
)
def test_a_ride_is_checked_at_every_limit_and_in_order(ride: Record, reason: str | None):
    assert fault(ride, bike().checks) == reason


def test_the_ride_that_crosses_the_cap_is_credited_up_to_it():
    rides = [
        a_ride(trip_id=str(n), after_seconds=3_600 * n, lasting_seconds=3_000, distance_m="10000")
        for n in range(3)
    ]
    assert judged(rides) == [("credited", 933), ("capped", 567), ("over_daily_cap", 0)]


def test_a_day_that_is_filled_exactly_is_not_capped():
    rides = [a_ride(distance_m="3000"), a_ride(after_seconds=3_600)]
    assert judged(rides, earned_g=1_500 - 279) == [("credited", 279), ("over_daily_cap", 0)]


def test_the_next_day_has_a_cap_of_its_own():
    rides = [a_ride(), a_ride(after_seconds=86_400)]
    assert judged(rides, earned_g=1_500) == [("over_daily_cap", 0), ("credited", 279)]


def test_a_ride_over_the_cap_still_takes_its_time():
    rides = [a_ride(), a_ride(after_seconds=600)]
    assert judged(rides, earned_g=1_500) == [("over_daily_cap", 0), ("overlapping", 0)]


def test_overlap_is_judged_before_the_cap_and_takes_no_time_itself():
    rides = [
        a_ride(lasting_seconds=1_200),
        a_ride(after_seconds=1_199, lasting_seconds=1_200),  # overlaps the first
        a_ride(
            after_seconds=1_200, lasting_seconds=1_200
        ),  # begins as the first ends, and the second does not count
    ]
    assert [judgement.outcome for judgement in judged(rides)] == ["credited", "overlapping", "credited"]


def test_a_ride_that_is_refused_by_its_checks_takes_no_time():
    rides = [a_ride(lasting_seconds=30_000, distance_m="5000"), a_ride(after_seconds=600)]
    assert [judgement.outcome for judgement in judged(rides)] == ["too_long", "credited"]


def test_a_long_ride_over_a_stored_one_overlaps_it():
    timetable = Timetable([(RESIDENT, MORNING + timedelta(hours=1), MORNING + timedelta(hours=2))])
    assert timetable.overlaps(RESIDENT, MORNING, MORNING + timedelta(hours=3))
    assert not timetable.overlaps(RESIDENT, MORNING, MORNING + timedelta(hours=1))
    assert not timetable.overlaps(RESIDENT, MORNING + timedelta(hours=2), MORNING + timedelta(hours=3))
    assert not timetable.overlaps(UUID(int=2), MORNING, MORNING + timedelta(hours=3))


@given(st.integers(0, 2**32))
def test_in_order_overlap_is_beginning_before_the_latest_end(seed: int):
    rides = sorted(
        many_rides(seed=seed, count=60, riders=1), key=lambda ride: (ride.started_at, ride.record_id)
    )
    latest: datetime | None = None
    for ride, judgement in zip(rides, judged(rides), strict=True):
        reason = fault(ride, bike().checks)
        overlapping = reason is None and latest is not None and ride.started_at < latest
        assert (judgement.outcome == "overlapping") == overlapping
        if reason is None and not overlapping:
            latest = ride.ended_at if latest is None else max(latest, ride.ended_at)


@given(st.integers(0, 2**32))
def test_no_day_earns_more_than_its_cap(seed: int):
    rides = sorted(
        many_rides(seed=seed, count=60, riders=1), key=lambda ride: (ride.started_at, ride.record_id)
    )
    earned: dict[date, int] = {}
    for ride, judgement in zip(rides, judged(rides), strict=True):
        earned[ride.day] = earned.get(ride.day, 0) + judgement.amount_g
    assert max(earned.values()) <= 1_500
