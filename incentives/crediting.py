"""Crediting 登记: records of a channel are judged, stored and credited, a batch in one transaction.

Every record of a known resident is stored, the refused ones too, so that the same record later is a `duplicate`. What
was credited stays: records that came earlier count for overlap and for the daily cap. The residents' wallets are locked
before anything is read, so two batches with the same resident are judged one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from incentives.judging import (
    DUPLICATE,
    NOT_IN_FORCE,
    UNKNOWN_RIDER,
    UNKNOWN_SUBJECT,
    VALID,
    Bench,
    Judgement,
    Timetable,
)
from incentives.methodologies import DAY_SECONDS, Methodology, in_force, shipped
from incentives.records import Record
from marketplace import clock, db, lots
from marketplace.errors import FieldError, Invalid, NotFound, Unavailable
from marketplace.ids import new_id

LOT_LIFE_YEARS: Final = 5
"""How long a credited lot lasts, to the end of that day. Hubei has published no rule: this is the programme's."""

MAX_ATTEMPTS: Final = 5
_LONGEST: Final = timedelta(seconds=DAY_SECONDS)  # records that may not overlap are shorter
_TRY_AGAIN = (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError)
_COLUMNS = (
    "id", "channel", "source_id", "resident", "methodology", "methodology_version", "factor", "started_at", "ended_at",
    "day", "quantity", "outcome", "amount_g", "received_at",
)  # fmt: skip

Keep = Callable[[Sequence[Judgement]], Awaitable[None]]


class _Judged(NamedTuple):
    """A record that is stored, with what became of it."""

    id: UUID
    record: Record
    resident: UUID
    methodology: Methodology
    judgement: Judgement


async def methodology_of(channel: str) -> Methodology:
    """The latest version of the methodology that quantifies the records of `channel`; all have their shape and unit.

    Raises NotFound for an unknown channel, Invalid when its methodology is none of those that ship.
    """
    key: str | None = await db.fetch_value("SELECT methodology FROM channel WHERE key = $1", channel)
    if key is None:
        raise NotFound
    if key not in shipped():
        raise Invalid(FieldError("channel", "methodology_unsupported"))
    return shipped()[key][-1]


async def credit_records(
    records: Sequence[Record],
    *,
    channel: str,
    methodology: Methodology,
    residents: dict[str, UUID],
    keep: Keep | None = None,
) -> list[Judgement]:
    """Judge and credit `records` in one transaction, in the order (started_at, record_id); answers in the order given.

    Each is quantified by the version of `methodology` in force on its day. `residents` says whose a subject's records
    are; those of others are `unknown_rider` or `unknown_subject`. `keep` is called with the answer before the commit,
    for a caller who stores it with the effect. Raises Unavailable when other writers of the same records do not let it
    through.
    """
    for attempt in range(MAX_ATTEMPTS):
        try:
            async with db.transaction():
                answer = await _credit(records, channel=channel, methodology=methodology, residents=residents)
                if keep is not None:
                    await keep(answer)
                return answer
        except _TRY_AGAIN as error:  # the same record in another batch, under another resident: judge afresh
            if attempt == MAX_ATTEMPTS - 1:
                raise Unavailable(what="database") from error
            await asyncio.sleep(0.02 * 2**attempt)
    raise AssertionError("unreachable")


async def _credit(
    records: Sequence[Record], *, channel: str, methodology: Methodology, residents: dict[str, UUID]
) -> list[Judgement]:
    concerned = {residents[record.subject] for record in records if record.subject in residents}
    await lots.lock_wallets(concerned)
    known = await _known([record.record_id for record in records], channel=channel)
    bench = await _bench(records, methodology=methodology, residents=residents)
    unknown = UNKNOWN_RIDER if methodology.record == "ride" else UNKNOWN_SUBJECT
    version_on = cache(lambda day: in_force(methodology.key, day))

    answer: dict[int, Judgement] = {}
    judged: list[_Judged] = []
    for place in sorted(range(len(records)), key=lambda n: (records[n].started_at, records[n].record_id)):
        record = records[place]
        resident = residents.get(record.subject)
        version = version_on(record.day)
        if record.record_id in known:
            answer[place] = Judgement(DUPLICATE, 0)
        elif resident is None:
            answer[place] = Judgement(unknown, 0)
        elif version is None:
            answer[place] = Judgement(NOT_IN_FORCE, 0)
        else:
            known.add(record.record_id)
            answer[place] = bench.judge(record, resident=resident, methodology=version)
            judged.append(_Judged(new_id(), record, resident, version, answer[place]))
    await _store(judged, channel=channel)
    return [answer[place] for place in range(len(records))]


async def _known(ids: list[str], *, channel: str) -> set[str]:
    rows = await db.fetch(
        "SELECT source_id FROM activity_record WHERE channel = $1 AND source_id = ANY($2)", channel, ids
    )
    return {row["source_id"] for row in rows}


async def _bench(records: Sequence[Record], *, methodology: Methodology, residents: dict[str, UUID]) -> Bench:
    """A bench that knows what is stored of the residents around the times and on the days of `records`."""
    spans: dict[UUID, tuple[datetime, datetime]] = {}
    days: set[tuple[UUID, date]] = set()
    for record in records:
        if (resident := residents.get(record.subject)) is not None:
            first, last = spans.get(resident, (record.started_at, record.ended_at))
            spans[resident] = min(first, record.started_at), max(last, record.ended_at)
            days.add((resident, record.day))
    return Bench(
        timetable=Timetable(await _taken(spans, methodology.key)),
        earned_g=await _earned_g(days, methodology.key),
    )


async def _taken(
    spans: dict[UUID, tuple[datetime, datetime]], methodology: str
) -> list[tuple[UUID, datetime, datetime]]:
    """The valid records that meet the residents' spans."""
    if not any(version.checks.no_overlap for version in shipped()[methodology]):
        return []
    rows = await db.fetch(
        """SELECT a.resident, a.started_at, a.ended_at
           FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS span (resident, earliest, latest)
           JOIN activity_record a ON a.resident = span.resident AND a.methodology = $4
                AND a.started_at > span.earliest - $5::interval AND a.started_at < span.latest
           WHERE a.ended_at > span.earliest AND a.outcome = ANY($6)""",
        list(spans), [span[0] for span in spans.values()], [span[1] for span in spans.values()],
        methodology, _LONGEST, list(VALID),
    )  # fmt: skip
    return [(row["resident"], row["started_at"], row["ended_at"]) for row in rows]


async def _earned_g(days: set[tuple[UUID, date]], methodology: str) -> dict[tuple[UUID, date], int]:
    """What the residents earned on those days."""
    if not any(version.caps.daily_g for version in shipped()[methodology]):
        return {}
    rows = await db.fetch(
        """SELECT a.resident, a.day, sum(a.amount_g)::bigint AS earned_g
           FROM unnest($1::uuid[], $2::date[]) AS wanted (resident, day)
           JOIN activity_record a ON a.resident = wanted.resident AND a.day = wanted.day AND a.methodology = $3
                AND a.started_at >= wanted.day - interval '14 hours'  -- a day of any zone: from +14 to -12 hours
                AND a.started_at < wanted.day + interval '36 hours'
           GROUP BY a.resident, a.day""",
        [resident for resident, _ in days], [day for _, day in days], methodology,
    )  # fmt: skip
    return {(row["resident"], row["day"]): row["earned_g"] for row in rows}


async def _store(judged: Sequence[_Judged], *, channel: str) -> None:
    now = clock.now()
    await db.insert_many(
        "activity_record",
        _COLUMNS,
        [
            (it.id, channel, it.record.record_id, it.resident, it.methodology.key, it.methodology.version,
             it.methodology.factor_text, it.record.started_at, it.record.ended_at, it.record.day, it.record.quantity,
             it.judgement.outcome, it.judgement.amount_g, now)
            for it in judged
        ],
    )  # fmt: skip
    expires_at = lot_expiry(now)
    await lots.credit([
        lots.Credit(
            resident=it.resident, record=it.id, methodology=it.methodology.key,
            methodology_version=it.methodology.version, vintage=it.record.day.year, city=it.methodology.city,
            amount_g=it.judgement.amount_g, expires_at=expires_at,
        )
        for it in judged if it.judgement.amount_g
    ])  # fmt: skip


def lot_expiry(credited_at: datetime) -> datetime:
    """When a lot credited at `credited_at` lapses: 24:00 of the same day in Shanghai, five years on."""
    day = clock.local_day(credited_at)
    year = day.year + LOT_LIFE_YEARS
    leap_day = (day.month, day.day) == (2, 29)
    return clock.end_of_day(date(year, 3, 1) if leap_day else day.replace(year=year))
