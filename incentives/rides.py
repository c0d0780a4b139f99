"""A ride as a channel reports it, and how its fields are read: strictly, exactly, and without ever failing the rest."""

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


class Ride(NamedTuple):
    """One ride whose fields are sound. Times are instants; `day` is that of `started_at` in the import's time zone."""

    trip_id: str
    rider_id: str
    started_at: datetime
    ended_at: datetime
    day: date
    distance_m: Decimal


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
) -> Ride:
    """Read one record's text fields. Naive times are of `zone`. Raises Malformed, naming the field."""
    trip, rider = _identifier(trip_id, "trip_id"), _identifier(rider_id, "rider_id")
    _identifier(bike_id, "bike_id")
    started, ended = _instant(started_at, "started_at", zone), _instant(ended_at, "ended_at", zone)
    if ended < started:
        raise Malformed("ended_at: before started_at")
    distance = parse_distance(distance_m)
    try:
        day = started.astimezone(zone).date()
    except OverflowError as error:
        raise Malformed("started_at") from error
    return Ride(trip, rider, started, ended, day, distance)


def parse_distance(text: str) -> Decimal:
    """Metres as an exact decimal of at most 12 whole digits and 15 decimals. Raises Malformed."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        raise Malformed("track_distance_m")
    distance = Decimal(text)
    exponent = distance.as_tuple().exponent
    if distance < 0 or distance.adjusted() >= MAX_WHOLE_DIGITS or int(exponent) < -MAX_DECIMALS:
        raise Malformed("track_distance_m")
    return abs(distance)  # "-0" is no negative distance


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
