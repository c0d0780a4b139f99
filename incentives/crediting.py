"""Crediting 登记: rides of a channel are judged, stored and credited, a batch in one transaction.

Every ride of a known resident is stored, the refused ones too, so that the same trip later is a `duplicate`. What
was credited stays: rides that came earlier count for overlap and for the daily cap. The residents' wallets are locked
before anything is read, so two batches with the same resident are judged one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from incentives.cycling import (
    DUPLICATE,
    NOT_IN_FORCE,
    UNKNOWN_RIDER,
    VALID,
    Bench,
    Judgement,
    Timetable,
    kilometres,
)
from incentives.methodologies import Methodology, in_force, shipped
from incentives.rides import Ride
from marketplace import clock, db, lots
from marketplace.errors import FieldError, Invalid, NotFound, Unavailable
from marketplace.ids import new_id

LOT_LIFE_YEARS: Final = 5
"""How long a credited lot lasts, to the end of that day. Hubei has published no rule: this is the programme's."""

MAX_ATTEMPTS: Final = 5
_LONGEST_RIDE: Final = timedelta(days=1)  # no methodology takes rides as long as this
_TRY_AGAIN = (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError)
_COLUMNS = (
    "id", "channel", "source_id", "resident", "methodology", "methodology_version", "factor", "started_at", "ended_at",
    "day", "quantity", "outcome", "amount_g", "received_at",
)  # fmt: skip

Keep = Callable[[Sequence[Judgement]], Awaitable[None]]


class _Judged(NamedTuple):
    """A ride that is stored, with what became of it."""

    id: UUID
    ride: Ride
    resident: UUID
    methodology: Methodology
    judgement: Judgement


async def ride_methodology(channel: str) -> str:
    """The methodology that quantifies the rides of `channel`.

    Raises NotFound for an unknown channel, Invalid when its methodology does not measure kilometres.
    """
    key: str | None = await db.fetch_value("SELECT methodology FROM channel WHERE key = $1", channel)
    if key is None:
        raise NotFound
    versions = shipped().get(key, ())
    if not versions or any(version.unit != "km" for version in versions):
        raise Invalid(FieldError("channel", "methodology_unsupported"))
    return key


async def credit_rides(
    rides: Sequence[Ride],
    *,
    channel: str,
    methodology: str,
    residents: dict[str, UUID],
    keep: Keep | None = None,
) -> list[Judgement]:
    """Judge and credit `rides` in one transaction, in the order (started_at, trip_id); answers in the order given.

    `residents` says whose a rider's rides are; rides of others are `unknown_rider`. `keep` is called with the answer
    before the commit, for a caller who stores it with the effect. Raises Unavailable when other writers of the same
    trips do not let it through.
    """
    for attempt in range(MAX_ATTEMPTS):
        try:
            async with db.transaction():
                answer = await _credit(rides, channel=channel, methodology=methodology, residents=residents)
                if keep is not None:
                    await keep(answer)
                return answer
        except _TRY_AGAIN as error:  # the same trip in another batch, under another rider: judge afresh
            if attempt == MAX_ATTEMPTS - 1:
                raise Unavailable(what="database") from error
            await asyncio.sleep(0.02 * 2**attempt)
    raise AssertionError("unreachable")


async def _credit(
    rides: Sequence[Ride], *, channel: str, methodology: str, residents: dict[str, UUID]
) -> list[Judgement]:
    concerned = {residents[ride.rider_id] for ride in rides if ride.rider_id in residents}
    await lots.lock_wallets(concerned)
    known = await _known_trips([ride.trip_id for ride in rides], channel=channel)
    bench = await _bench(rides, methodology=methodology, residents=residents)

    answer: dict[int, Judgement] = {}
    judged: list[_Judged] = []
    for place in sorted(range(len(rides)), key=lambda n: (rides[n].started_at, rides[n].trip_id)):
        ride = rides[place]
        resident = residents.get(ride.rider_id)
        version = in_force(methodology, ride.day)
        if ride.trip_id in known:
            answer[place] = Judgement(DUPLICATE, 0)
        elif resident is None:
            answer[place] = Judgement(UNKNOWN_RIDER, 0)
        elif version is None:
            answer[place] = Judgement(NOT_IN_FORCE, 0)
        else:
            known.add(ride.trip_id)
            answer[place] = bench.judge(ride, resident=resident, methodology=version)
            judged.append(_Judged(new_id(), ride, resident, version, answer[place]))
    await _store(judged, channel=channel)
    return [answer[place] for place in range(len(rides))]


async def _known_trips(trips: list[str], *, channel: str) -> set[str]:
    rows = await db.fetch(
        "SELECT source_id FROM activity_record WHERE channel = $1 AND source_id = ANY($2)", channel, trips
    )
    return {row["source_id"] for row in rows}


async def _bench(rides: Sequence[Ride], *, methodology: str, residents: dict[str, UUID]) -> Bench:
    """A bench that knows what is stored of the residents around the times and on the days of `rides`."""
    spans: dict[UUID, tuple[datetime, datetime]] = {}
    days: set[tuple[UUID, date]] = set()
    for ride in rides:
        if (resident := residents.get(ride.rider_id)) is not None:
            first, last = spans.get(resident, (ride.started_at, ride.ended_at))
            spans[resident] = min(first, ride.started_at), max(last, ride.ended_at)
            days.add((resident, ride.day))
    valid = await db.fetch(
        """SELECT a.resident, a.started_at, a.ended_at
           FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) AS span (resident, earliest, latest)
           JOIN activity_record a ON a.resident = span.resident AND a.methodology = $4
                AND a.started_at > span.earliest - $5::interval AND a.started_at < span.latest
           WHERE a.ended_at > span.earliest AND a.outcome = ANY($6)""",
        list(spans), [span[0] for span in spans.values()], [span[1] for span in spans.values()],
        methodology, _LONGEST_RIDE, list(VALID),
    )  # fmt: skip
    earned = await db.fetch(
        """SELECT a.resident, a.day, sum(a.amount_g)::bigint AS earned_g
           FROM unnest($1::uuid[], $2::date[]) AS wanted (resident, day)
           JOIN activity_record a ON a.resident = wanted.resident AND a.day = wanted.day AND a.methodology = $3
           GROUP BY a.resident, a.day""",
        [resident for resident, _ in days], [day for _, day in days], methodology,
    )  # fmt: skip
    return Bench(
        timetable=Timetable((row["resident"], row["started_at"], row["ended_at"]) for row in valid),
        earned_g={(row["resident"], row["day"]): row["earned_g"] for row in earned},
    )


async def _store(judged: Sequence[_Judged], *, channel: str) -> None:
    now = clock.now()
    await db.insert_many(
        "activity_record",
        _COLUMNS,
        [
            (it.id, channel, it.ride.trip_id, it.resident, it.methodology.key, it.methodology.version,
             it.methodology.factor_text, it.ride.started_at, it.ride.ended_at, it.ride.day, kilometres(it.ride),
             it.judgement.outcome, it.judgement.amount_g, now)
            for it in judged
        ],
    )  # fmt: skip
    expires_at = lot_expiry(now)
    await lots.credit([
        lots.Credit(
            resident=it.resident, record=it.id, methodology=it.methodology.key,
            methodology_version=it.methodology.version, vintage=it.ride.day.year, city=it.methodology.city,
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
