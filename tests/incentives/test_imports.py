from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from incentives import imports
from incentives.imports import ImportReport, import_trips
from incentives.judging import fault
from incentives.methodologies import in_force
from incentives.records import Record
from marketplace import db, residents
from marketplace.errors import Invalid, NotFound
from tests.incentives.trips import CHANNEL, a_channel, a_file, a_ride, many_rides

pytestmark = pytest.mark.usefixtures("database")


def expected(rides: list[Record]) -> ImportReport:
    """The reference's words, taken literally and slowly."""
    version = in_force("bike-wuhan", date(2024, 5, 6))
    assert version is not None
    report = ImportReport(read=len(rides))
    latest: dict[str, datetime] = {}
    earned: defaultdict[tuple[str, date], int] = defaultdict(int)
    for ride in sorted(rides, key=lambda ride: (ride.started_at, ride.record_id)):
        reason = fault(ride, version.checks)
        if reason is None and ride.subject in latest and ride.started_at < latest[ride.subject]:
            reason = "overlapping"
        if reason is None:
            latest[ride.subject] = max(latest.get(ride.subject, ride.ended_at), ride.ended_at)
            left, grams = 1_500 - earned[ride.subject, ride.day], int(ride.quantity * 1_000) * 933 // 10_000
            earned[ride.subject, ride.day] += min(left, grams)
            report.grams += min(left, grams)
            report.credited += grams <= left
            report.capped += 0 < left < grams
            reason = "over_daily_cap" if not left else None
        if reason is not None:
            report.rejected[reason] = report.rejected.get(reason, 0) + 1
    return report


async def test_a_file_in_any_order_is_judged_as_the_reference_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(imports, "CREDITED_AT_ONCE", 50)
    monkeypatch.setattr(imports, "STAGED_AT_ONCE", 70)
    await a_channel()
    rides = many_rides(seed=20, count=700, riders=12)
    done: list[int] = []

    report = await import_trips(a_file(tmp_path, rides), channel=CHANNEL, enrol=True, progress=done.append)

    assert report == expected(rides)
    assert set(report.rejected) == {"too_short", "too_fast", "too_long", "overlapping", "over_daily_cap"}
    assert sum(done) == report.read
    assert report.grams == await db.fetch_value("SELECT sum(amount_g)::bigint FROM lot")


async def test_a_trip_id_under_two_riders_pays_the_one_that_rode_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(imports, "CREDITED_AT_ONCE", 3)
    await a_channel()
    rides = [
        a_ride(trip_id=str(n), rider_id=f"rider {rider}", after_seconds=1_000 * n + (rider * 7 + n) % 5)
        for n in range(10)
        for rider in range(5)
    ]
    report = await import_trips(a_file(tmp_path, rides), channel=CHANNEL, enrol=True)

    stored = await db.fetch(
        """SELECT a.source_id, l.subject FROM activity_record a JOIN channel_link l ON l.resident = a.resident"""
    )
    first = {
        ride.record_id: ride.subject for ride in sorted(rides, key=lambda ride: ride.started_at, reverse=True)
    }
    assert {row["source_id"]: row["subject"] for row in stored} == first
    assert (report.read, report.duplicates) == (50, 40)


async def test_a_trip_that_was_refused_unstored_does_not_stand_in_anothers_way(tmp_path: Path):
    await a_channel()
    await residents.enrol(["known"], channel=CHANNEL)
    rides = [
        a_ride(rider_id="stranger"),
        a_ride(rider_id="known", after_seconds=-20 * 365 * 86_400),  # before the methodology
        a_ride(rider_id="known", after_seconds=60),
        a_ride(rider_id="stranger", after_seconds=120),
    ]
    report = await import_trips(a_file(tmp_path, rides), channel=CHANNEL)
    assert (report.credited, report.duplicates, report.rejected) == (
        1,
        1,
        {"unknown_rider": 1, "not_in_force": 1},
    )


async def test_trips_are_imported_for_channels_of_rides_only(tmp_path: Path):
    await a_channel("metro", methodology="metro-wuhan")
    with pytest.raises(Invalid):
        await import_trips(a_file(tmp_path, [a_ride()]), channel="metro")


async def test_the_same_file_again_credits_nothing(tmp_path: Path):
    await a_channel()
    file = a_file(tmp_path, many_rides(seed=1, count=100, riders=5))
    await import_trips(file, channel=CHANNEL, enrol=True)
    assert await import_trips(file, channel=CHANNEL) == ImportReport(read=100, duplicates=100)


async def test_a_run_that_broke_off_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(imports, "CREDITED_AT_ONCE", 30)
    await a_channel()
    rides = many_rides(seed=5, count=400, riders=4)
    file = a_file(tmp_path, rides)

    def break_off(number: int) -> None:
        if number == 30:  # credited
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        await import_trips(file, channel=CHANNEL, enrol=True, progress=break_off)
    report = await import_trips(file, channel=CHANNEL, enrol=True)

    assert 0 < report.duplicates < 400
    total = await db.fetch_value("SELECT sum(amount_g)::bigint FROM lot")
    assert total == expected(rides).grams


async def test_riders_nobody_knows_are_refused_without_enrolment(tmp_path: Path):
    await a_channel()
    report = await import_trips(a_file(tmp_path, [a_ride()]), channel=CHANNEL)
    assert report == ImportReport(read=1, rejected={"unknown_rider": 1})


async def test_bad_rows_are_counted_and_named_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(imports, "MAX_FAULTS_KEPT", 2)
    await a_channel()
    lines = [
        a_ride(trip_id="1"),
        "nonsense",
        a_ride(trip_id="2", after_seconds=9_000),
        "t,r,b,x,y,z",
        "t,r,,x,y,z",
    ]
    report = await import_trips(a_file(tmp_path, lines), channel=CHANNEL, enrol=True)
    assert (report.read, report.credited, report.rejected) == (5, 2, {"malformed": 3})
    assert report.faults == [(3, "columns"), (5, "started_at")]
    assert report.read == report.credited + report.capped + report.duplicates + sum(report.rejected.values())
    assert "faults" not in report.summary()


async def test_naive_times_are_of_the_zone_of_the_import(tmp_path: Path):
    await a_channel()
    line = "t,r,b,2024-07-01T23:30:00,2024-07-01T23:50:00,3000"
    await import_trips(
        a_file(tmp_path, [line]), channel=CHANNEL, enrol=True, zone=ZoneInfo("America/New_York")
    )
    record = await db.fetch_row("SELECT started_at, day FROM activity_record")
    assert record is not None
    assert (record["started_at"].isoformat(), record["day"]) == (
        "2024-07-02T03:30:00+00:00",
        date(2024, 7, 1),
    )


async def test_a_file_of_something_else_is_refused_and_leaves_the_connection_clean(tmp_path: Path):
    await a_channel()
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    for _ in range(3):
        with pytest.raises(Invalid):
            await import_trips(other, channel=CHANNEL)
    with pytest.raises(NotFound):
        await import_trips(other, channel="nowhere")
    await import_trips(a_file(tmp_path, [a_ride()]), channel=CHANNEL, enrol=True)


async def test_riders_without_sound_rides_are_still_enrolled_once(tmp_path: Path):
    await a_channel()
    rides = [a_ride(trip_id=str(n), distance_m="1") for n in range(3)]
    await import_trips(a_file(tmp_path, rides), channel=CHANNEL, enrol=True)
    found: list[UUID] = [row["id"] for row in await db.fetch("SELECT id FROM resident")]
    assert len(found) == 1
