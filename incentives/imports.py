"""The import of a file of trips: staged in the database, ordered there, judged and credited in batches.

A resident's records are judged in the order (started_at, trip_id). What one resident earns does not hang on another, so
that residents stand one after the other in a few lanes, which run at the same time, and a batch touches few wallets.
Memory stays flat whatever the size of the file. A run that broke off is started again with the same file: what it had
credited is found as duplicates.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
from asyncpg.pool import PoolConnectionProxy

from incentives.crediting import credit_records, methodology_of
from incentives.judging import CAPPED, CREDITED, DUPLICATE, MALFORMED, Judgement
from incentives.methodologies import Methodology, shipped
from incentives.records import Record
from incentives.tripfile import Fault, rides_in
from marketplace import clock, db, residents
from marketplace.errors import FieldError, Invalid

MAX_FAULTS_KEPT: Final = 1_000
STAGED_AT_ONCE: Final = 5_000
ENROLLED_AT_ONCE: Final = 5_000
CREDITED_AT_ONCE: Final = 2_000
LANES: Final = 2

_STAGE = """
    CREATE TEMP TABLE staged_trip (
        line bigint, record_id text COLLATE "C", subject text, started_at timestamptz, ended_at timestamptz,
        day date, quantity numeric
    );
    CREATE TEMP TABLE ordered_trip (LIKE staged_trip, holder text, repeated boolean)
"""
_STAGED = ("line", "record_id", "subject", "started_at", "ended_at", "day", "quantity")
# A trip is repeated when an earlier line of the file (in the order of judging) has its id and will be stored.
_ORDER = """
    INSERT INTO ordered_trip
    SELECT t.*, coalesce(l.resident::text, t.subject), coalesce(bool_or(l.resident IS NOT NULL AND t.day >= $2) OVER (
               PARTITION BY t.record_id ORDER BY t.started_at, t.line ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
           ), false)
    FROM staged_trip t
    LEFT JOIN channel_link l ON l.channel = $1 AND l.subject = t.subject AND l.ended_at IS NULL
"""
# Held, so that no transaction stays open over the import; lines break ties.
_LANE = """
    DECLARE lane_{lane} CURSOR WITH HOLD FOR
    SELECT repeated, record_id, subject, started_at, ended_at, day, quantity FROM ordered_trip
    WHERE (hashtext(holder) & 2147483647) % {lanes} = {lane} ORDER BY holder, started_at, record_id, line
"""

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
    Raises NotFound for an unknown channel, Invalid for one without rides or a file without the columns, OSError.
    """
    methodology = await methodology_of(channel)
    if methodology.record != "ride":
        raise Invalid(FieldError("channel", "methodology_unsupported"))
    report, counted = ImportReport(), Counter[str]()
    async with _staging() as stage:
        for rows in _chunks(rides_in(path, zone), STAGED_AT_ONCE):
            await _stage(stage, rows, report, progress)
        if enrol:
            await _enrol(stage, channel)
        await stage.execute(_ORDER, channel, shipped()[methodology.key][0].effective_from)
        turn = asyncio.Lock()  # of the staging connection

        for number in range(LANES):
            await stage.execute(_LANE.format(lane=number, lanes=LANES))

        async def lane(number: int) -> None:
            while batch := await _next(stage, number, turn):
                judged = await _credited(batch, channel=channel, methodology=methodology)
                _count(judged, report, counted)
                progress(len(batch))

        await _together([lane(number) for number in range(LANES)])
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
                    "CLOSE ALL; DROP TABLE IF EXISTS staged_trip, ordered_trip; RESET statement_timeout"
                )


async def _stage(
    stage: _Connection,
    rows: list[tuple[int, Record] | Fault],
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
            line, record = row
            good.append((line, *record))
    report.read += len(rows)
    if good:
        await stage.copy_records_to_table("staged_trip", columns=list(_STAGED), records=good)
    progress(len(rows) - len(good))
    await asyncio.sleep(0)


async def _enrol(stage: _Connection, channel: str) -> None:
    """A resident, linked, for each rider of the file that has none."""
    await stage.execute("DECLARE rider CURSOR WITH HOLD FOR SELECT DISTINCT subject FROM staged_trip")
    while riders := await stage.fetch(f"FETCH {ENROLLED_AT_ONCE} FROM rider"):
        await residents.enrol([row["subject"] for row in riders], channel=channel)


async def _next(stage: _Connection, lane: int, turn: asyncio.Lock) -> list[tuple[bool, Record]]:
    """The next batch of a lane: records, and whether each repeats an earlier one."""
    async with turn:
        rows = await stage.fetch(f"FETCH {CREDITED_AT_ONCE} FROM lane_{lane}")
    return [(repeated, Record(*fields)) for repeated, *fields in rows]


async def _credited(
    batch: list[tuple[bool, Record]], *, channel: str, methodology: Methodology
) -> list[Judgement]:
    records = [record for repeated, record in batch if not repeated]
    holders = await residents.linked({record.subject for record in records}, channel=channel)
    judged = await credit_records(records, channel=channel, methodology=methodology, residents=holders)
    return judged + [Judgement(DUPLICATE, 0)] * (len(batch) - len(records))


async def _together(works: Sequence[Coroutine[None, None, None]]) -> None:
    """Run `works` to the end; when one fails, the others are stopped first."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _count(judged: list[Judgement], report: ImportReport, counted: Counter[str]) -> None:
    counted.update(judgement.outcome for judgement in judged)
    report.grams += sum(judgement.amount_g for judgement in judged)


def _chunks(
    rows: Iterator[tuple[int, Record] | Fault], size: int
) -> Iterator[list[tuple[int, Record] | Fault]]:
    while chunk := list(islice(rows, size)):
        yield chunk
