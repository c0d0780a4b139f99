"""Trips for tests: single ones with defaults, and files of many from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from incentives.records import Record
from incentives.tripfile import COLUMNS
from marketplace import clock, db

CHANNEL = "bike-share"
MORNING = datetime(2024, 5, 6, 0, 0, tzinfo=UTC)  # 8 in the morning in Wuhan


def a_ride(
    *,
    trip_id: str = "trip",
    rider_id: str = "rider",
    after_seconds: float = 0,
    lasting_seconds: float = 1_200,
    distance_m: str = "3000",
) -> Record:
    """A good ride of twenty minutes and three kilometres, unless told otherwise."""
    started = MORNING + timedelta(seconds=after_seconds)
    ended = started + timedelta(seconds=lasting_seconds)
    return Record(trip_id, rider_id, started, ended, clock.local_day(started), Decimal(distance_m).scaleb(-3))


def row(ride: Record) -> str:
    """The ride as a line of a file, in naive Shanghai time."""
    times = [
        t.astimezone(clock.SHANGHAI).replace(tzinfo=None).isoformat()
        for t in (ride.started_at, ride.ended_at)
    ]
    return ",".join([ride.record_id, ride.subject, "bike", *times, f"{ride.quantity.scaleb(3):f}"])


def a_file(folder: Path, rides: Iterable[Record | str]) -> Path:
    """A file of trips; a string stands for a line as it is."""
    path = folder / "trips.csv"
    lines = [",".join(COLUMNS), *(ride if isinstance(ride, str) else row(ride) for ride in rides)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def many_rides(*, seed: int, count: int, riders: int) -> list[Record]:
    """Rides within a week, with overlaps, fragments and days over the cap among them; no order."""
    chance = random.Random(seed)
    return [
        a_ride(
            trip_id=f"{chance.getrandbits(64):016x}",
            rider_id=f"rider-{chance.randrange(riders)}",
            after_seconds=chance.randrange(7 * 86_400),
            lasting_seconds=chance.choice((30, 600, 1_800, 5_400, 22_000)),
            distance_m=str(chance.randrange(0, 12_000)),
        )
        for _ in range(count)
    ]


async def a_channel(key: str = CHANNEL, *, methodology: str = "bike-wuhan") -> str:
    """A channel of rides."""
    await db.execute(
        "INSERT INTO channel (key, name, methodology, created_at) VALUES ($1, $1, $2, $3)",
        key,
        methodology,
        clock.now(),
    )
    return key
