from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.records import Malformed, Record, parse_distance, parse_ride

SHANGHAI = ZoneInfo("Asia/Shanghai")


def parsed(**fields: str) -> Record:
    usual = {"trip_id": "t", "rider_id": "r", "bike_id": "b", "started_at": "2024-05-06T08:00:00",
             "ended_at": "2024-05-06T08:20:00", "distance_m": "3000"}  # fmt: skip
    return parse_ride(**(usual | fields), zone=SHANGHAI)


@pytest.mark.parametrize("text", ["0", "3.5", "3000", "1e3", "-0", "+7", "999999999999", "1e-15", ".5"])
def test_distances_are_exact_decimals(text: str):
    assert parse_distance(text) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "NaN", "inf", "-inf", "1e400", "-1", "-0.1", "１００", "1,000", "1_000", "0x10", "12 m", "1e-16", "1e12",
     "1000000000000", "9" * 10_000, "1\x00"],
)  # fmt: skip
def test_what_is_no_distance_is_malformed(text: str):
    with pytest.raises(Malformed, match="track_distance_m"):
        parse_distance(text)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-05-06T08:00:00", datetime(2024, 5, 6, 0, tzinfo=UTC)),
        ("2024-05-06 08:00", datetime(2024, 5, 6, 0, tzinfo=UTC)),
        ("2024-05-06T08:00:00Z", datetime(2024, 5, 6, 8, tzinfo=UTC)),
        ("2024-05-06T08:00:00.250+02:00", datetime(2024, 5, 6, 6, 0, 0, 250_000, tzinfo=UTC)),
    ],
)
def test_times_are_naive_of_the_zone_or_say_their_own(text: str, instant: datetime):
    assert parsed(started_at=text, ended_at="2024-05-07T00:00:00Z").started_at == instant


def test_the_day_is_that_of_the_zone():
    assert parsed(started_at="2024-05-05T16:00:00Z").day == date(2024, 5, 6)


@pytest.mark.parametrize("field", ["trip_id", "rider_id", "bike_id", "started_at", "ended_at"])
@pytest.mark.parametrize("text", ["", "  ", "a\x00b", "\udcff", "x" * 129])
def test_a_field_that_cannot_be_read_is_named(field: str, text: str):
    with pytest.raises(Malformed, match=field):
        parsed(**{field: text})


@pytest.mark.parametrize(
    "text", ["2024-05-06", "2024-13-01T00:00:00", "2024-02-30T00:00:00", "２０２４-05-06T08:00:00", "1714982400",
             "24:00", "0001-01-01T00:00:00", "2024-05-06T25:00:00", "2024-05-06T08:00:00+99:00"],
)  # fmt: skip
def test_what_is_no_time_is_malformed(text: str):
    with pytest.raises(Malformed, match="started_at"):
        parsed(started_at=text)


def test_a_ride_cannot_end_before_it_began():
    with pytest.raises(Malformed, match="ended_at"):
        parsed(ended_at="2024-05-06T07:59:59")


@given(st.tuples(*[st.text(max_size=30)] * 6))
def test_nothing_but_malformed_is_ever_raised(fields: tuple[str, ...]):
    names = ("trip_id", "rider_id", "bike_id", "started_at", "ended_at", "distance_m")
    with contextlib.suppress(Malformed):
        parsed(**dict(zip(names, fields, strict=True)))
