"""The import of a file of trips: staged in the database, ordered there, judged and credited in batches.

Memory stays flat whatever the size of the file. A run that broke off is started again with the same file: what it had
credited is found as duplicates.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
from asyncpg.pool import PoolConnectionProxy

from incentives.crediting import credit_rides, ride_methodology
from incentives.cycling import CAPPED, CREDITED, DUPLICATE, MALFORMED, Judgement
from incentives.rides import Ride
from incentives.tripfile import Fault, rides_in
from marketplace import clock, db, residents

MAX_FAULTS_KEPT: Final = 1_000
STAGED_AT_ONCE: Final = 5_000
CREDITED_AT_ONCE: Final = 2_000

_STAGE = """
    CREATE TEMP TABLE staged_trip (
        line bigint, trip_id text COLLATE "C", rider_id text, started_at timestamptz, ended_at timestamptz,
        day date, distance_m numeric
    ) ON COMMIT PRESERVE ROWS
"""
# Held, so that no transaction stays open over the import; the order is that of the reference, lines break ties.
_ORDER = """
    DECLARE ordered_trip CURSOR WITH HOLD FOR
    SELECT trip_id, rider_id, started_at, ended_at, day, distance_m FROM staged_trip
    ORDER BY started_at, trip_id, line
"""
_STAGED = ("line", "trip_id", "rider_id", "started_at", "ended_at", "day", "distance_m")

_Connection: TypeAlias = "PoolConnectionProxy[db.Row]"


class ImportReport(msgspec.Struct, kw_only=True):
    """What became of a file. `read` = `credited` + `capped` + `duplicates` + all `rejected`; `faults` are the first
    thousand malformed rows as (line, field)."""

    read: int = 0
    credited: int = 0
    capped: int = 0
    duplicates: int = 0
    rejected: dict[str, int] = msgspec.field(default_factory=dict)
    grams: int = 0
    faults: list[tuple[int, str]] = msgspec.field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The report as the command line prints it: without the faults."""
        whole: dict[str, Any] = msgspec.to_builtins(self)
        del whole["faults"]
        return whole


async def import_trips(
    path: Path,
    *,
    channel: str,
    enrol: bool = False,
    zone: ZoneInfo = clock.SHANGHAI,
    progress: Callable[[int], None] = lambda _: None,
) -> ImportReport:
    """Quantify and credit the trips of the CSV file at `path`; `enrol` makes a resident for each unknown rider.

    Naive times, and the days of the daily cap, are of `zone`. `progress` is told how many further rows are done.
    Raises NotFound for an unknown channel, Invalid for a file without the columns, OSError.
    """
    methodology = await ride_methodology(channel)
    report, counted = ImportReport(), Counter[str]()
    async with _staging() as stage:
        for rows in _chunks(rides_in(path, zone), STAGED_AT_ONCE):
            await _stage(stage, rows, report, progress)
        await stage.execute(_ORDER)
        while batch := await stage.fetch(f"FETCH {CREDITED_AT_ONCE} FROM ordered_trip"):
            rides = [Ride(*row.values()) for row in batch]
            riders = {ride.rider_id for ride in rides}
            find = residents.enrol if enrol else residents.linked
            judged = await credit_rides(
                rides, channel=channel, methodology=methodology, residents=await find(riders, channel=channel)
            )
            _count(judged, report, counted)
            progress(len(rides))
    report.credited, report.capped = counted.pop(CREDITED, 0), counted.pop(CAPPED, 0)
    report.duplicates = counted.pop(DUPLICATE, 0)
    report.rejected |= counted
    return report


@asynccontextmanager
async def _staging() -> AsyncIterator[_Connection]:
    """A connection of the import's own, with its staging table; no limit of time binds the sort."""
    async with db._pool().acquire() as connection:
        await connection.execute("SET statement_timeout = 0")
        await connection.execute(_STAGE)
        try:
            yield connection
        finally:
            if not connection.is_closed():
                await connection.execute(
                    "CLOSE ALL; DROP TABLE IF EXISTS staged_trip; RESET statement_timeout"
                )


async def _stage(
    stage: _Connection,
    rows: list[tuple[int, Ride] | Fault],
    report: ImportReport,
    progress: Callable[[int], None],
) -> None:
    good = []
    for row in rows:
        if isinstance(row, Fault):
            report.rejected[MALFORMED] = report.rejected.get(MALFORMED, 0) + 1
            if len(report.faults) < MAX_FAULTS_KEPT:
                report.faults.append((row.line, row.reason))
        else:
            line, ride = row
            good.append((line, *ride))
    report.read += len(rows)
    if good:
        await stage.copy_records_to_table("staged_trip", columns=list(_STAGED), records=good)
    progress(len(rows) - len(good))
    await asyncio.sleep(0)


def _count(judged: list[Judgement], report: ImportReport, counted: Counter[str]) -> None:
    counted.update(judgement.outcome for judgement in judged)
    report.grams += sum(judgement.amount_g for judgement in judged)


def _chunks(rows: Iterator[tuple[int, Ride] | Fault], size: int) -> Iterator[list[tuple[int, Ride] | Fault]]:
    while chunk := list(islice(rows, size)):
        yield chunk
