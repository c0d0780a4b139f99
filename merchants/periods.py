"""Periods that a publisher looks at: days as Shanghai counts them, and the ones before to compare with."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, get_args

import msgspec

from marketplace import clock
from marketplace.errors import FieldError, Invalid

Name = Literal["today", "7d", "30d", "90d", "custom"]
Grain = Literal["hour", "day"]
NAMES: Final[tuple[Name, ...]] = get_args(Name)
MAX_DAYS: Final = 366
_DAYS: Final = {"today": 1, "7d": 7, "30d": 30, "90d": 90}
_DAYS_BY_THE_HOUR: Final = 2


class Span(msgspec.Struct, frozen=True):
    """From `start` on, until before `end`: both at full hours."""

    start: datetime
    end: datetime


class Period(msgspec.Struct, frozen=True):
    """The days `first` to `last`, as far as they have come; `previous` is as long, and as many days earlier."""

    name: Name
    first: date
    last: date
    span: Span
    previous: Span
    grain: Grain


def period_of(name: str = "today", *, first: str = "", last: str = "") -> Period:
    """The period called `name`; a `custom` one goes from `first` to `last`, days as YYYY-MM-DD. Raises Invalid."""
    today = clock.local_day(clock.now())
    if name == "custom":
        return _period("custom", *_checked(_day(first, "from"), _day(last, "to"), today=today))
    known = next((known for known in NAMES if known == name), None)
    if known is None:
        raise Invalid(FieldError("period", "unknown"))
    return _period(known, today - timedelta(days=_DAYS[known] - 1), today)


def _day(written: str, field: str) -> date | None:
    try:
        return date.fromisoformat(written) if written else None
    except ValueError as error:
        raise Invalid(FieldError(field, "invalid")) from error


def _checked(first: date | None, last: date | None, *, today: date) -> tuple[date, date]:
    missing = [name for name, day in (("from", first), ("to", last)) if day is None]
    if first is None or last is None:
        raise Invalid(*(FieldError(name, "required") for name in missing))
    if last < first:
        raise Invalid(FieldError("to", "not_after_start"))
    if last > today or last - first >= timedelta(days=MAX_DAYS):
        raise Invalid(FieldError("to" if last > today else "from", "out_of_range"))
    return first, last


def _period(name: Name, first: date, last: date) -> Period:
    start = datetime.combine(first, time(), clock.SHANGHAI)
    this_hour = clock.now().replace(minute=0, second=0, microsecond=0)
    end = min(clock.end_of_day(last), this_hour + timedelta(hours=1))
    days = (last - first).days + 1
    back = timedelta(days=days)
    return Period(
        name=name, first=first, last=last, span=Span(start.astimezone(UTC), end),
        previous=Span(start.astimezone(UTC) - back, end - back),
        grain="hour" if days <= _DAYS_BY_THE_HOUR else "day",
    )  # fmt: skip
