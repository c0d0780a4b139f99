from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.tripfile import MAX_LINE_CHARACTERS, Fault, rides_in
from marketplace.clock import SHANGHAI
from marketplace.errors import Invalid

HEADER = "trip_id,rider_id,bike_id,started_at,ended_at,track_distance_m"
GOOD = "{},r,b,2024-05-06T08:00:00,2024-05-06T08:20:00,3000"


def read(path: Path, content: str | bytes) -> tuple[list[str], list[Fault]]:
    """The ids of the good trips, and the faults."""
    file = path / "trips.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    rows = list(rides_in(file, SHANGHAI))
    return [row[1].record_id for row in rows if not isinstance(row, Fault)], [
        r for r in rows if isinstance(r, Fault)
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_marks_do_not_matter(tmp_path: Path, end: str, mark: str):
    assert read(tmp_path, mark + end.join([HEADER, GOOD.format(1), "", GOOD.format(2)])) == (["1", "2"], [])


def test_columns_may_stand_in_any_order_with_others(tmp_path: Path):
    content = "note,track_distance_m,ended_at,started_at,bike_id,rider_id,trip_id\n"
    content += '"a, b\nc",3000,2024-05-06T08:20:00,2024-05-06T08:00:00,b,r,"t ""1"""\n'
    assert read(tmp_path, content) == (['t "1"'], [])


@pytest.mark.parametrize(
    "content",
    ["", "\n\n", "a,b,c\n1,2,3\n", HEADER.replace("rider_id,", ""), HEADER + ",trip_id\n", HEADER.replace(",", ";"),
     HEADER.encode("utf-16"), b"\x89PNG\r\n\x1a\n\x00\x00", b"\xff" * 200_000],
)  # fmt: skip
def test_what_is_no_file_of_trips_is_refused(tmp_path: Path, content: str | bytes):
    with pytest.raises(Invalid) as refusal:
        read(tmp_path, content)
    assert refusal.value.errors == (("file", "columns_missing"),)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"only,three,fields", "columns"),
        (GOOD.format(1).encode() + b",one too many", "columns"),
        (b"\xff\xfe" + GOOD.format(1).encode(), "trip_id"),
        (b"a\x00" + GOOD.format(1).encode(), "trip_id"),
        (b"x" * (MAX_LINE_CHARACTERS * 3), "line"),
        (b'"' + GOOD.format(1).encode(), "line"),
        (GOOD.format(1).encode().replace(b"3000", b"NaN"), "track_distance_m"),
    ],
)
def test_a_bad_line_costs_itself_only(tmp_path: Path, line: bytes, reason: str):
    good = [GOOD.format(n).encode() for n in range(40)]
    content = b"\n".join([HEADER.encode(), *good[:20], line, *good[20:]]) + b"\n"

    trips, faults = read(tmp_path, content)

    assert trips == [str(n) for n in range(40)]
    assert faults == [(22, reason)]


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, noise: bytes):
    content = HEADER.encode() + b"\n" + noise + b"\n" + GOOD.format("last").encode()
    read(tmp_path_factory.getbasetemp(), content)
