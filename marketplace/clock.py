"""What time it is: UTC instants, and days as Shanghai counts them. Nobody else asks the system's clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")

_shift = timedelta()


def now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC) + _shift


def shift(by: timedelta) -> None:
    """Move this process's clock by `by` from the real one (a demonstration database only: `app.py` sees to it)."""
    global _shift  # noqa: PLW0603  (the one clock of the process)
    _shift = by


@contextmanager
def travelled(by: timedelta) -> Iterator[None]:
    """Within the block it is `by` later."""
    before = _shift
    shift(before + by)
    try:
        yield
    finally:
        shift(before)


def local_day(instant: datetime, zone: ZoneInfo = SHANGHAI) -> date:
    """The calendar day of `instant` in `zone`."""
    return instant.astimezone(zone).date()


def monday(day: date) -> date:
    """The first day of the week that `day` is in."""
    return day - timedelta(days=day.weekday())


@lru_cache(maxsize=1_024)
def day_name(day: date) -> str:
    """What a counter of `day` is told apart by."""
    return f":{day}"


@lru_cache(maxsize=1_024)
def week_name(day: date) -> str:
    """What a counter of the week that `day` is in is told apart by."""
    return f":w{monday(day)}"


def end_of_week(day: date) -> datetime:
    """24:00 in Shanghai of the Sunday after `day`, or of `day` if it is one."""
    return end_of_day(monday(day) + timedelta(days=6))


@lru_cache(maxsize=1_024)
def end_of_day(day: date) -> datetime:
    """24:00 of `day` in Shanghai: the instant at which it is over."""
    return datetime.combine(day + timedelta(days=1), time(), SHANGHAI).astimezone(UTC)
