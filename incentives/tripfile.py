"""Reading a CSV file of trips: line by line, in bounded memory, whatever is in it."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple
from zoneinfo import ZoneInfo

from incentives.records import Malformed, Record, parse_ride
from marketplace.errors import FieldError, Invalid

COLUMNS: Final = ("trip_id", "rider_id", "bike_id", "started_at", "ended_at", "track_distance_m")
MAX_LINE_CHARACTERS = 65_536
MAX_QUOTED_LINES = (
    16  # a quoted field may span so many lines; a quote that stays open costs its own line only
)

_Line = tuple[int, str | None]


class Fault(NamedTuple):
    """A row that could not be read: its line number, and the field that is wrong."""

    line: int
    reason: str


def rides_in(path: Path, zone: ZoneInfo) -> Iterator[tuple[int, Record] | Fault]:
    """The rows of the file with their line numbers, or what is wrong with them. Naive times are of `zone`.

    Columns may stand in any order and further ones are ignored. Raises Invalid (`file`: `columns_missing`) when this is
    no such file, OSError when it cannot be read.
    """
    # Bytes that are no UTF-8 become lone surrogates, and spoil only the field that they are in.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline=None) as file:
        rows = _rows(_lines(file))
        _, header = next(rows, (0, None))
        names = [name.strip() for name in header or ()]
        if any(names.count(column) != 1 for column in COLUMNS):
            raise Invalid(FieldError("file", "columns_missing"))
        places = [names.index(column) for column in COLUMNS]
        for line, row in rows:
            yield _ride(line, row, places=places, width=len(names), zone=zone)


def _ride(
    line: int, row: list[str] | None, *, places: list[int], width: int, zone: ZoneInfo
) -> tuple[int, Record] | Fault:
    if row is None:
        return Fault(line, "line")
    if len(row) > width or len(row) <= max(places):
        return Fault(line, "columns")
    trip_id, rider_id, bike_id, started_at, ended_at, distance_m = [row[place] for place in places]
    try:
        return line, parse_ride(
            trip_id=trip_id, rider_id=rider_id, bike_id=bike_id, started_at=started_at, ended_at=ended_at,
            distance_m=distance_m, zone=zone,
        )  # fmt: skip
    except Malformed as error:
        return Fault(line, str(error))


def _lines(file: IO[str]) -> Iterator[_Line]:
    """Numbered lines; None for one that is too long to be a trip, which is never held in memory whole."""
    number = 0
    while text := file.readline(MAX_LINE_CHARACTERS):
        number += 1
        if len(text) < MAX_LINE_CHARACTERS or text.endswith("\n"):
            yield number, text
            continue
        while (rest := file.readline(MAX_LINE_CHARACTERS)) and not rest.endswith("\n"):
            pass
        yield number, None


def _rows(lines: Iterator[_Line]) -> Iterator[tuple[int, list[str] | None]]:
    """Rows with the number of their first line, blank ones left out; None for a row that is no CSV."""
    ahead: deque[_Line] = deque()
    while True:
        number, text = ahead.popleft() if ahead else next(lines, (0, ""))
        if text is None:
            yield number, None
        elif not text:
            return
        elif not text.strip():
            continue
        elif '"' not in text:
            yield number, text.rstrip("\n").split(",")
        else:
            yield number, _quoted(text, ahead, lines)


def _quoted(text: str, ahead: deque[_Line], lines: Iterator[_Line]) -> list[str] | None:
    """The fields of a row with quotes, taking the lines that they span; None if a quote is never closed."""
    used, whole = 0, text
    while whole.count('"') % 2:
        if used == MAX_QUOTED_LINES:
            return None
        if used == len(ahead):
            ahead.append(next(lines, (0, "")))
        following = ahead[used][1]
        if not following:
            return None
        whole += following
        used += 1
    for _ in range(used):
        ahead.popleft()
    try:
        return next(csv.reader([whole], strict=True))
    except (csv.Error, StopIteration):
        return None
