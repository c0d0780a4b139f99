"""When an offer holds: the window of its life, and the weekdays and hours at which it may be used."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from marketplace.clock import SHANGHAI, end_of_day
from marketplace.errors import FieldError, Invalid
from marketplace.offers.benefits import SomeFen

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_YEARS: Final = range(2000, 2200)
_MINUTES_PER_DAY: Final = 24 * 60

Hour = Annotated[str, Meta(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$(?!\n)")]
Weekday = Annotated[int, Meta(ge=1, le=7)]


class Windows(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Times of the week. `weekdays` are 1 (Monday) to 7; none means all days, no `hours` means all day.

    A window of `hours` is half-open, in Shanghai; one that ends before it begins runs past midnight.
    """

    weekdays: Annotated[tuple[Weekday, ...], Meta(max_length=7)] = ()
    hours: Annotated[tuple[tuple[Hour, Hour], ...], Meta(max_length=12)] = ()

    def __post_init__(self) -> None:
        if len(set(self.weekdays)) != len(self.weekdays):
            raise ValueError("weekdays_repeated")
        if any(begin in {end, "24:00"} for begin, end in self.hours):
            raise ValueError("hours_empty")


class Conditions(Windows, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """When a coupon may be used, and over what bill."""

    min_bill_fen: SomeFen | None = None


def open_at(windows: Windows, instant: datetime) -> bool:
    """Whether `instant` is within the weekdays and hours; what runs past midnight belongs to the day it began on."""
    local = instant.astimezone(SHANGHAI)
    weekday, minute = local.isoweekday(), local.hour * 60 + local.minute
    days = windows.weekdays or range(1, 8)
    today, yesterday = weekday in days, (weekday + 5) % 7 + 1 in days
    if not windows.hours:
        return today
    for begin, end in ((_minute(begin), _minute(end)) for begin, end in windows.hours):
        last = end if begin < end else _MINUTES_PER_DAY
        if today and begin <= minute < last:
            return True
        if end < begin and yesterday and minute < end:
            return True
    return False


def next_opening(windows: Windows, instant: datetime) -> datetime:
    """The first instant after `instant` at which a window begins. UTC."""
    today = instant.astimezone(SHANGHAI).date()
    days = windows.weekdays or range(1, 8)
    begins = [time.fromisoformat(begin) for begin, _ in windows.hours] or [time()]
    candidates = (
        datetime.combine(day, begin, SHANGHAI)
        for day in (today + timedelta(days=ahead) for ahead in range(8))
        if day.isoweekday() in days
        for begin in begins
    )
    return min(begin for begin in candidates if begin > instant).astimezone(UTC)


def _minute(hour: str) -> int:
    return int(hour[:2]) * 60 + int(hour[3:])


def start_from(given: str) -> datetime:
    """The instant that a start stands for: RFC 3339, or a date, which begins at 00:00 in Shanghai. UTC."""
    day = _day(given, field="starts_at")
    return (
        datetime.combine(day, time(), SHANGHAI).astimezone(UTC) if day else _instant(given, field="starts_at")
    )


def end_from(given: str) -> datetime:
    """The instant that an end stands for: RFC 3339, or a date, which lasts through that day in Shanghai. UTC."""
    day = _day(given, field="ends_at")
    return end_of_day(day) if day else _instant(given, field="ends_at")


def _day(given: str, *, field: str) -> date | None:
    if not _DAY.fullmatch(given):
        return None
    try:
        day = date.fromisoformat(given)
    except ValueError as error:
        raise Invalid(FieldError(field, "invalid")) from error
    if day.year not in _YEARS:
        raise Invalid(FieldError(field, "out_of_range"))
    return day


def _instant(given: str, *, field: str) -> datetime:
    try:
        instant: datetime = msgspec.convert(given, Annotated[datetime, Meta(tz=True)])
    except msgspec.ValidationError as error:
        raise Invalid(FieldError(field, "invalid")) from error
    if instant.year not in _YEARS:
        raise Invalid(FieldError(field, "out_of_range"))
    return instant.astimezone(UTC)
