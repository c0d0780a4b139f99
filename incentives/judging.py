"""The judgement of records, pure: checks, what it is worth, overlap, then the daily cap, in that order.

The order is the one that `bike-wuhan` prescribes; a check that a methodology does not name is not made.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from incentives.methodologies import Checks, Methodology, quantify
from incentives.records import Record

CREDITED = "credited"
CAPPED = "capped"
MALFORMED = "malformed"
TOO_SHORT = "too_short"
TOO_FAST = "too_fast"
TOO_LONG = "too_long"
BELOW_ONE_GRAM = "below_one_gram"
IMPLAUSIBLE = "implausible"
OVERLAPPING = "overlapping"
OVER_DAILY_CAP = "over_daily_cap"
UNKNOWN_RIDER = "unknown_rider"  # of rides
UNKNOWN_SUBJECT = "unknown_subject"  # of quantities
NOT_IN_FORCE = "not_in_force"
DUPLICATE = "duplicate"

VALID = (CREDITED, CAPPED, OVER_DAILY_CAP)
"""The outcomes of records that occupy their time: a later one may not overlap them."""

MAX_RECORD_G = 10_000_000
"""Ten tonnes: a single record that is worth more is a mistake of its channel, and no household's."""

_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_PER_HOUR = 3_600_000_000


class Judgement(NamedTuple):
    """What became of one record: `credited`, `capped`, or why it was refused, and the grams."""

    outcome: str
    amount_g: int


def fault(record: Record, checks: Checks) -> str | None:
    """Why `record` by itself does not count: too_short, too_fast, too_long, in that order; or None.

    A record exactly at a limit counts. Distance and speed are checked where the quantity is kilometres.
    """
    duration = record.ended_at - record.started_at
    if checks.min_duration_seconds is not None and duration < timedelta(seconds=checks.min_duration_seconds):
        return TOO_SHORT
    if checks.min_distance_m is not None or checks.max_speed_m_per_hour is not None:
        kilometres, per = record.quantity.as_integer_ratio()
        if checks.min_distance_m is not None and 1_000 * kilometres < checks.min_distance_m * per:
            return TOO_SHORT
        if checks.max_speed_m_per_hour is not None:
            elapsed = duration // _MICROSECOND
            if 1_000 * kilometres * _MICROSECONDS_PER_HOUR > checks.max_speed_m_per_hour * elapsed * per:
                return TOO_FAST
    if checks.max_duration_seconds is not None and duration > timedelta(seconds=checks.max_duration_seconds):
        return TOO_LONG
    return None


class Timetable:
    """The valid records of each resident. They are disjoint, since one that overlaps is never taken up."""

    def __init__(self, records: Iterable[tuple[UUID, datetime, datetime]] = ()) -> None:
        self._taken: defaultdict[UUID, list[tuple[datetime, datetime]]] = defaultdict(list)
        for resident, started_at, ended_at in records:
            insort(self._taken[resident], (started_at, ended_at))

    def overlaps(self, resident: UUID, started_at: datetime, ended_at: datetime) -> bool:
        """Whether the half-open interval meets one that is taken."""
        taken = self._taken[resident]
        # They are disjoint: the last that begins before this one ends is also the last of them to end.
        before = bisect_left(taken, (ended_at,)) - 1
        return before >= 0 and taken[before][1] > started_at

    def take(self, resident: UUID, started_at: datetime, ended_at: datetime) -> None:
        """Take up a valid record."""
        insort(self._taken[resident], (started_at, ended_at))


class Bench:
    """Judges records one after the other, knowing what was judged before: the valid ones, and the grams of each day."""

    def __init__(self, *, timetable: Timetable, earned_g: dict[tuple[UUID, date], int]) -> None:
        self._timetable = timetable
        self._earned_g = earned_g

    def judge(self, record: Record, *, resident: UUID, methodology: Methodology) -> Judgement:
        """The outcome of the next record of `resident`. Callers keep the order (started_at, record_id)."""
        checks = methodology.checks
        if reason := fault(record, checks):
            return Judgement(reason, 0)
        grams = quantify(methodology, record.quantity)
        if not 0 < grams <= MAX_RECORD_G:
            return Judgement(IMPLAUSIBLE if grams else BELOW_ONE_GRAM, 0)
        if checks.no_overlap:
            if self._timetable.overlaps(resident, record.started_at, record.ended_at):
                return Judgement(OVERLAPPING, 0)
            self._timetable.take(resident, record.started_at, record.ended_at)
        return self._within_cap(grams, (resident, record.day), methodology.caps.daily_g)

    def _within_cap(self, grams: int, day: tuple[UUID, date], cap_g: int | None) -> Judgement:
        earned_g = self._earned_g.get(day, 0)
        if cap_g is None or earned_g + grams <= cap_g:
            outcome, amount_g = CREDITED, grams
        else:
            amount_g = max(cap_g - earned_g, 0)
            outcome = CAPPED if amount_g else OVER_DAILY_CAP
        self._earned_g[day] = earned_g + amount_g
        return Judgement(outcome, amount_g)
