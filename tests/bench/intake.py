"""The intake figures: rides by the import command, and by the channel API in calls of a thousand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from secrets import token_hex
from typing import Any

from incentives.channels import open_channel
from incentives.tripfile import COLUMNS
from marketplace import clock, residents
from marketplace.identity.tokens import Principal, issue_token
from tests.bench import world
from tests.bench.redeeming import Bench
from tests.bench.running import command, load, ours

CHANNEL = "bikes"
RIDERS, FILE_ROWS, CALLS, A_CALL, CONNECTIONS = 20_000, 100_000, 50, 1_000, 2


async def measure(bench: Bench, database: str) -> dict[str, Any]:
    """Records per second, either way, of riders who are linked; then the audit."""
    bench.say("activity intake")
    url = await bench.cluster.empty(database)
    async with world.opened(url, bench.home):
        await open_channel(key=CHANNEL, name="单车", methodology="bike-wuhan")
        riders = [f"rider-{n:05d}" for n in range(RIDERS)]
        for start in range(0, RIDERS, world.AT_ONCE):
            await residents.enrol(riders[start : start + world.AT_ONCE], channel=CHANNEL)
        token = await issue_token(Principal("channel", CHANNEL))
    imported = _import(bench, url)
    with ours(url, bench.home) as server:
        seen = load({
            "kind": "calls", "port": server.port, "clients": CONNECTIONS, "seconds": 600, "due": "201",
            "path": f"/api/v1/channels/{CHANNEL}/activities", "token": token, "run": token_hex(8),
            "bodies": list(_bodies()),
        })  # fmt: skip
    if command("audit", url=url, home=bench.home).answer is None:
        raise RuntimeError("the audit did not end")
    return {
        "import_per_second": imported,
        "api_per_second": round(CALLS * A_CALL / seen["seconds"], 1),
        "call_p50_ms": seen["p50_ms"],
    }


def _import(bench: Bench, url: str) -> float:
    file = bench.home / "trips.csv"
    with file.open("w", encoding="utf-8") as lines:
        lines.write(",".join(COLUMNS) + "\n")
        for ride in _rides(FILE_ROWS, from_day=400):
            lines.write(",".join(ride.values()) + "\n")
    told = command("import-trips", str(file), "--channel", CHANNEL, url=url, home=bench.home)
    if told.answer is None or told.answer["credited"] != FILE_ROWS:
        raise RuntimeError(f"not every ride was credited: {told}")
    file.unlink()
    return round(FILE_ROWS / told.seconds, 1)


def _bodies() -> Iterator[str]:
    rides = list(_rides(CALLS * A_CALL, from_day=300))
    for start in range(0, len(rides), A_CALL):
        records = [ride | {"track_distance_m": 3_000} for ride in rides[start : start + A_CALL]]
        yield json.dumps({"records": records})


def _rides(number: int, *, from_day: int) -> Iterator[dict[str, str]]:
    """Good rides of twenty minutes and three kilometres: each rider takes one a day, beginning `from_day` days ago."""
    first = clock.local_day(clock.now()) - timedelta(days=from_day)
    for n in range(number):
        rider = n % RIDERS
        begun = datetime.combine(first + timedelta(days=n // RIDERS), time(8), clock.SHANGHAI) + timedelta(
            seconds=rider % 3_600
        )
        yield {
            "trip_id": f"trip-{from_day}-{n:07d}", "rider_id": f"rider-{rider:05d}", "bike_id": f"bike-{rider:05d}",
            "started_at": begun.isoformat(), "ended_at": (begun + timedelta(minutes=20)).isoformat(),
            "track_distance_m": "3000",
        }  # fmt: skip
