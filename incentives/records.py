"""Activity records as channels report them, and how their fields are read: strictly, exactly, without failing the rest.

A methodology says which of two shapes its records have: a ride, or a quantity in its unit. Read, both are a `Record`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

MAX_ID_CHARACTERS = 128
MAX_WHOLE_DIGITS = 12
MAX_DECIMALS = 15  # with the whole digits fewer than 28, so that shifting the point stays exact

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
)


class Record(NamedTuple):
    """One record whose fields are sound. `quantity` is in the methodology's unit, exact: kilometres of a ride.

    Times are instants; `day` is that of `started_at` in the record's own time zone.
    """

    record_id: str
    subject: str
    started_at: datetime
    ended_at: datetime
    day: date
    quantity: Decimal


class Malformed(Exception):
    """A field is missing or cannot be read; the message names the field."""


def parse_ride(
    *,
    trip_id: str,
    rider_id: str,
    bike_id: str,
    started_at: str,
    ended_at: str,
    distance_m: str,
    zone: ZoneInfo,
) -> Record:
    """Read the text fields of a ride. Naive times are of `zone`. Raises Malformed, naming the field."""
    trip, rider = _identifier(trip_id, "trip_id"), _identifier(rider_id, "rider_id")
    _identifier(bike_id, "bike_id")
    started, ended, day = _period(started_at, ended_at, zone)
    return Record(trip, rider, started, ended, day, parse_distance(distance_m).scaleb(-3))


def parse_quantity(
    *,
    record_id: str,
    subject: str,
    started_at: str,
    ended_at: str,
    quantity: str,
    whole: bool,
    zone: ZoneInfo,
) -> Record:
    """Read the text fields of a quantity, which must be a `whole` number where its unit is counted.

    An empty `ended_at` is `started_at`; naive times are of `zone`. Raises Malformed, naming the field.
    """
    record, holder = _identifier(record_id, "record_id"), _identifier(subject, "subject")
    started, ended, day = _period(started_at, ended_at or started_at, zone)
    amount = _amount(quantity, "quantity")
    if whole and amount % 1:
        raise Malformed("quantity: not a whole number")
    return Record(record, holder, started, ended, day, amount)


def parse_distance(text: str) -> Decimal:
    """Metres as an exact decimal of at most 12 whole digits and 15 decimals. Raises Malformed."""
    return _amount(text, "track_distance_m")


def _amount(text: str, field: str) -> Decimal:
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        raise Malformed(field)
    amount = Decimal(text)
    exponent = amount.as_tuple().exponent
    if amount < 0 or amount.adjusted() >= MAX_WHOLE_DIGITS or int(exponent) < -MAX_DECIMALS:
        raise Malformed(field)
    return abs(amount)  # "-0" is not negative


def _period(started_at: str, ended_at: str, zone: ZoneInfo) -> tuple[datetime, datetime, date]:
    started, ended = _instant(started_at, "started_at", zone), _instant(ended_at, "ended_at", zone)
    if ended < started:
        raise Malformed("ended_at: before started_at")
    try:
        return started, ended, started.astimezone(zone).date()
    except OverflowError as error:
        raise Malformed("started_at") from error


def _identifier(text: str, field: str) -> str:
    text = text.strip()
    if not 1 <= len(text) <= MAX_ID_CHARACTERS or "\x00" in text:
        raise Malformed(field)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:  # bytes that were no UTF-8
            raise Malformed(field) from error
    return text


def _instant(text: str, field: str, zone: ZoneInfo) -> datetime:
    text = text.strip()
    if not _TIME.fullmatch(text):
        raise Malformed(field)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Malformed(field) from error
