"""The counts behind a dashboard: what is added up, what is live still, and what was seen, hour by hour."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, time
from typing import Any, Final, NamedTuple
from uuid import UUID

from marketplace import clock, db
from marketplace.errors import NotFound
from merchants.periods import Span
from merchants.rollup import COUNTED, COUNTS, NOWHERE

Counts = Counter[str]


class Asked(NamedTuple):
    """Whose numbers, of which offer alone if any; and from when on they are counted live."""

    publisher: UUID
    offer: UUID | None
    live_since: datetime | None  # None: nothing is added up yet
    late: datetime | None  # what is added up from here on is not to be used


_NAMES: Final = ", ".join(COUNTS)
_SUMS: Final = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in COUNTS)
_OF: Final = "publisher = $1 AND ($5::uuid IS NULL OR offer = $5)"
_HOURS_IN: Final = "hour >= $2 AND hour < $3 AND hour < coalesce($4::timestamptz, 'infinity')"
_HOURS: Final = f"SELECT hour, {_SUMS} FROM insight_hour WHERE {_OF} AND {_HOURS_IN} GROUP BY hour"  # noqa: S608
_EACH: Final = f"SELECT hour, offer, store, {_NAMES} FROM insight_hour WHERE {_OF} AND {_HOURS_IN}"  # noqa: S608
# By whole days until the last midnight ($6), and by the hour since.
_LONG: Final = f"""
    FROM (SELECT offer, store, {_NAMES} FROM insight_day
          WHERE {_OF} AND day >= $2 AND day < $6 AND day < coalesce($4::timestamptz, 'infinity')
          UNION ALL
          SELECT offer, store, {_NAMES} FROM insight_hour
          WHERE {_OF} AND {_HOURS_IN} AND hour >= $6) AS long"""  # noqa: S608
_PAIRS: Final = f"SELECT offer, store, {_SUMS} {_LONG} GROUP BY offer, store"
_TOTAL: Final = f"SELECT {_SUMS} {_LONG}"
_LIVE: Final = f"SELECT * FROM ({COUNTED}) AS live WHERE $4::uuid IS NULL OR offer = $4"  # noqa: S608  (of constants)
_SEEN_EACH: Final = """
    SELECT hour, offer, exposures, details FROM insight_seen
    WHERE publisher = $1 AND hour >= $2 AND hour < $3 AND ($4::uuid IS NULL OR offer = $4)"""
_SEEN: Final = f"""
    SELECT hour, offer, coalesce(sum(exposures), 0)::bigint AS exposures, coalesce(sum(details), 0)::bigint AS details
    FROM ({_SEEN_EACH}) AS seen GROUP BY GROUPING SETS ((hour), (offer))"""  # noqa: S608
_SEEN_TOTAL: Final = f"""
    SELECT coalesce(sum(exposures), 0)::bigint AS exposures, coalesce(sum(details), 0)::bigint AS details
    FROM ({_SEEN_EACH}) AS seen"""  # noqa: S608


async def require_own(*, publisher: UUID, offer: UUID | None) -> None:
    """Raises NotFound unless `offer` is the publisher's, or None."""
    if not await db.fetch_value(f"SELECT {_OWN}", publisher, offer):
        raise NotFound


_OWN: Final = "$2::uuid IS NULL OR EXISTS (SELECT FROM offer WHERE id = $2 AND publisher = $1)"


@asynccontextmanager
async def one_snapshot() -> AsyncIterator[None]:
    """All that the block reads is of one moment."""
    async with db.transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


async def asked_for(publisher: UUID, offer: UUID | None) -> Asked:
    """Raises NotFound unless `offer` is the publisher's, or None."""
    row = await db.fetch_row(
        f"""SELECT (SELECT folded_until FROM insight_horizon) AS folded_until,
                   (SELECT date_trunc('day', min(since), 'Asia/Shanghai') FROM late_event WHERE publisher = $1) AS late,
                   {_OWN} AS own""",  # noqa: S608
        publisher, offer,
    )  # fmt: skip
    assert row is not None
    if not row["own"]:
        raise NotFound
    folded_until, late = row["folded_until"], row["late"]
    since = folded_until if folded_until is None or late is None else min(folded_until, late)
    return Asked(publisher, offer, since, late)


async def by_time_and_place(
    asked: Asked, span: Span
) -> tuple[dict[datetime, Counts], dict[tuple[UUID, UUID], Counts]]:
    """The counts of `span`, which begins at midnight, by hour, and by offer with store."""
    hours: defaultdict[datetime, Counts] = defaultdict(Counter)
    pairs: defaultdict[tuple[UUID, UUID], Counts] = defaultdict(Counter)
    for row in await db.fetch(_HOURS, *_where(asked, span)):
        hours[row["hour"]].update(_counts(row))
    for row in await db.fetch(_PAIRS, *_where(asked, span), _last_midnight(span)):
        pairs[row["offer"], row["store"]].update(_counts(row))
    for row in await _live(asked, span):
        hours[row["hour"]].update(_counts(row))
        pairs[row["offer"], row["store"]].update(_counts(row))
    for row in await db.fetch(_SEEN, asked.publisher, span.start, span.end, asked.offer):
        if row["hour"] is not None:
            hours[row["hour"]].update(_seen(row))
        else:
            pairs[row["offer"], NOWHERE].update(_seen(row))
    return hours, pairs


async def total(asked: Asked, span: Span) -> Counts:
    """The counts of `span`, which begins at midnight, together."""
    counts: Counts = Counter()
    for row in [
        *await db.fetch(_TOTAL, *_where(asked, span), _last_midnight(span)),
        *await _live(asked, span),
    ]:
        counts.update(_counts(row))
    for row in await db.fetch(_SEEN_TOTAL, asked.publisher, span.start, span.end, asked.offer):
        counts.update(_seen(row))
    return counts


async def by_all(asked: Asked, span: Span) -> dict[tuple[datetime, UUID, UUID], Counts]:
    """The counts of `span` by hour, offer and store."""
    found: defaultdict[tuple[datetime, UUID, UUID], Counts] = defaultdict(Counter)
    for row in [*await db.fetch(_EACH, *_where(asked, span)), *await _live(asked, span)]:
        found[row["hour"], row["offer"], row["store"]].update(_counts(row))
    for row in await db.fetch(_SEEN_EACH, asked.publisher, span.start, span.end, asked.offer):
        found[row["hour"], row["offer"], NOWHERE].update(_seen(row))
    return found


async def stamp(publisher: UUID) -> tuple[Any, ...]:
    """What changes whenever something happens at `publisher`, for little work; it may change without, too."""
    row = await db.fetch_row(
        """WITH since AS (SELECT coalesce((SELECT folded_until FROM insight_horizon), '-infinity') AS at)
           SELECT s.at,
                  (SELECT count(*) FROM redemption r WHERE r.publisher = $1 AND r.created_at >= s.at),
                  (SELECT count(*) FROM redemption r WHERE r.publisher = $1 AND r.closed_at >= s.at
                                                       AND r.status IN ('cancelled', 'expired')),
                  (SELECT count(*) FROM store t JOIN verification v ON v.store = t.id
                   WHERE t.publisher = $1 AND v.verified_at >= s.at),
                  (SELECT count(*) FROM store t JOIN verification v ON v.store = t.id
                   WHERE t.publisher = $1 AND v.reversed_at >= s.at),
                  (SELECT sum(exposures + details) FROM insight_seen e
                   WHERE e.publisher = $1 AND e.hour >= date_trunc('hour', s.at, 'UTC')),
                  (SELECT max(id) FROM late_event l WHERE l.publisher = $1)
           FROM since s""",
        publisher,
    )
    assert row is not None
    return tuple(row)


async def _live(asked: Asked, span: Span) -> list[db.Row]:
    """What is not added up yet, counted where it is written."""
    since = span.start if asked.live_since is None else max(span.start, asked.live_since)
    if since >= span.end:
        return []
    return await db.fetch(_LIVE, asked.publisher, since, span.end, asked.offer)


def _where(asked: Asked, span: Span) -> tuple[Any, ...]:
    return (asked.publisher, span.start, span.end, asked.late, asked.offer)


def _last_midnight(span: Span) -> datetime:
    return datetime.combine(clock.local_day(span.end), time(), clock.SHANGHAI)


def _counts(row: db.Row) -> dict[str, int]:
    return {name: row[name] for name in COUNTS}


def _seen(row: db.Row) -> dict[str, int]:
    return {"exposures": row["exposures"], "details": row["details"]}
