"""The judgement of rides, pure: checks, then overlap, then the daily cap, in the order that `bike-wuhan` prescribes."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from incentives.methodologies import Checks, Methodology, quantify
from incentives.rides import Ride

CREDITED = "credited"
CAPPED = "capped"
MALFORMED = "malformed"
TOO_SHORT = "too_short"
TOO_FAST = "too_fast"
TOO_LONG = "too_long"
OVERLAPPING = "overlapping"
OVER_DAILY_CAP = "over_daily_cap"
UNKNOWN_RIDER = "unknown_rider"
NOT_IN_FORCE = "not_in_force"
DUPLICATE = "duplicate"

VALID = (CREDITED, CAPPED, OVER_DAILY_CAP)
"""The outcomes of rides that occupy their time: a later one may not overlap them."""

_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_PER_HOUR = 3_600_000_000


class Judgement(NamedTuple):
    """What became of one record: `credited`, `capped`, or why it was refused, and the grams."""

    outcome: str
    amount_g: int


def fault(ride: Ride, checks: Checks) -> str | None:
    """Why `ride` by itself does not count: too_short, too_fast, too_long, in that order; or None.

    A ride exactly at a limit counts.
    """
    duration = ride.ended_at - ride.started_at
    if checks.min_duration_seconds is not None and duration < timedelta(seconds=checks.min_duration_seconds):
        return TOO_SHORT
    if checks.min_distance_m is not None and ride.distance_m < checks.min_distance_m:
        return TOO_SHORT
    if checks.max_speed_m_per_hour is not None:
        metres, per = ride.distance_m.as_integer_ratio()
        elapsed = duration // _MICROSECOND
        if metres * _MICROSECONDS_PER_HOUR > checks.max_speed_m_per_hour * elapsed * per:
            return TOO_FAST
    if checks.max_duration_seconds is not None and duration > timedelta(seconds=checks.max_duration_seconds):
        return TOO_LONG
    return None


class Timetable:
    """The valid rides of each resident. They are disjoint, since one that overlaps is never taken up."""

    def __init__(self, rides: Iterable[tuple[UUID, datetime, datetime]] = ()) -> None:
        self._taken: defaultdict[UUID, list[tuple[datetime, datetime]]] = defaultdict(list)
        for resident, started_at, ended_at in rides:
            insort(self._taken[resident], (started_at, ended_at))

    def overlaps(self, resident: UUID, started_at: datetime, ended_at: datetime) -> bool:
        """Whether the half-open interval meets one that is taken."""
        taken = self._taken[resident]
        # They are disjoint: the last that begins before this one ends is also the last of them to end.
        before = bisect_left(taken, (ended_at,)) - 1
        return before >= 0 and taken[before][1] > started_at

    def take(self, resident: UUID, started_at: datetime, ended_at: datetime) -> None:
        """Take up a valid ride."""
        insort(self._taken[resident], (started_at, ended_at))


class Bench:
    """Judges rides one after the other, knowing what was judged before: the valid rides, and the grams of each day."""

    def __init__(self, *, timetable: Timetable, earned_g: dict[tuple[UUID, date], int]) -> None:
        self._timetable = timetable
        self._earned_g = earned_g

    def judge(self, ride: Ride, *, resident: UUID, methodology: Methodology) -> Judgement:
        """The outcome of the next ride of `resident`. Callers keep the order (started_at, trip_id)."""
        checks = methodology.checks
        if reason := fault(ride, checks):
            return Judgement(reason, 0)
        if checks.no_overlap:
            if self._timetable.overlaps(resident, ride.started_at, ride.ended_at):
                return Judgement(OVERLAPPING, 0)
            self._timetable.take(resident, ride.started_at, ride.ended_at)
        grams = quantify(methodology, kilometres(ride))
        return self._within_cap(grams, (resident, ride.day), methodology.caps.daily_g)

    def _within_cap(self, grams: int, day: tuple[UUID, date], cap_g: int | None) -> Judgement:
        earned_g = self._earned_g.get(day, 0)
        if cap_g is None or earned_g + grams <= cap_g:
            outcome, amount_g = CREDITED, grams
        else:
            amount_g = max(cap_g - earned_g, 0)
            outcome = CAPPED if amount_g else OVER_DAILY_CAP
        self._earned_g[day] = earned_g + amount_g
        return Judgement(outcome, amount_g)


def kilometres(ride: Ride) -> Decimal:
    """The distance in the unit of the factor, exactly."""
    return ride.distance_m.scaleb(-3)
