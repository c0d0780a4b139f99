"""A file of codes as its lines: TXT, CSV or XLSX, as spreadsheets in China save them.

The codes are the first column, or the one that is headed as such. Files come from outside: what is too large, is none
of these, or is made to be larger inside than outside is refused whole, before anything of it is used.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO, StringIO
from typing import Any, Final

import openpyxl  # type: ignore[import-untyped]

from marketplace.errors import FieldError, Invalid
from marketplace.pools.lines import MAX_LINES, Line, line

MAX_FILE_BYTES: Final = 8 * 1024 * 1024
MAX_UNPACKED_BYTES: Final = 32 * 1024 * 1024
MAX_ENTRIES: Final = 500
MAX_RATIO: Final = 100  # of what is packed; a sheet of codes comes to about 10
MAX_CELLS: Final = 2_000_000
EXACT_DIGITS: Final = 15  # of a number in a spreadsheet: further ones are lost
HEADINGS: Final = frozenset({"code", "codes", "coupon code", "coupon_code", "券码", "兑换码", "卡密"})
_SPREADSHEET, _OLD_SPREADSHEET = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_DOCTYPE: Final = "<!DOCTYPE"


def read(content: bytes, *, name: str = "") -> list[Line]:
    """The lines of a file called `name`; blank ones at its end are left out, and its heading is none.

    Raises Invalid at the field `file`: `required`, `file_too_large`, `too_many_lines`, `not_text`, `not_csv`,
    `not_spreadsheet`, `old_spreadsheet`.
    """
    if not content:
        raise _invalid("required")
    if len(content) > MAX_FILE_BYTES:
        raise _invalid("file_too_large")
    if content.startswith(_OLD_SPREADSHEET):
        raise _invalid("old_spreadsheet")
    if content.startswith(_SPREADSHEET):
        return _kept(_spreadsheet(content))
    text = _text(content)
    return _kept(_csv(text) if name.lower().endswith(".csv") else _plain(text))


def _invalid(code: str) -> Invalid:
    return Invalid(FieldError("file", code))


def _kept(found: Iterable[Line]) -> list[Line]:
    """`found` without the blank lines at the end."""
    lines: list[Line] = []
    last = 0
    for one in found:
        if one.number > MAX_LINES + 1 and one.fault != "blank":
            raise _invalid("too_many_lines")
        if len(lines) <= MAX_LINES:
            lines.append(one)
        if one.fault != "blank":
            last = len(lines)
    del lines[last:]
    if not lines:
        raise _invalid("required")
    if len(lines) > MAX_LINES:
        raise _invalid("too_many_lines")
    return lines


# ---------------------------------------------------------------- text
def _text(content: bytes) -> str:
    if content.startswith(_UTF16):  # what a spreadsheet calls Unicode text
        encodings: tuple[str, ...] = ("utf-16",)
    elif b"\0" in content:
        raise _invalid("not_text")
    else:
        encodings = ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise _invalid("not_text")


def _plain(text: str) -> Iterator[Line]:
    """A code a line; one that is a single quoted field stands for what is quoted."""
    for number, one in enumerate(text.splitlines(), start=1):
        if number == 1 and _is_heading(one):
            continue
        yield line(number, _unquoted(one))


def _unquoted(one: str) -> str:
    # A line of several fields stays whole: what belongs to the code is not ours to guess.
    if not one.startswith('"'):
        return one
    try:
        cells = next(csv.reader([one], strict=True), [])
    except csv.Error:
        return one
    return cells[0] if len(cells) == 1 else one


def _csv(text: str) -> Iterator[Line]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    column, number = 0, 1
    try:
        for row in reader:
            if number == 1 and (heading := _heading(row)) is not None:
                column = heading
            else:
                yield line(number, row[column] if column < len(row) else "")
            number = reader.line_num + 1  # a quoted field may go over several lines
    except csv.Error as error:
        raise _invalid("not_csv") from error


def _heading(cells: Sequence[object]) -> int | None:
    """The column of the codes, where the first row says so."""
    return next((n for n, cell in enumerate(cells) if isinstance(cell, str) and _is_heading(cell)), None)


def _is_heading(cell: str) -> bool:
    return cell.strip().casefold() in HEADINGS


# ---------------------------------------------------------------- spreadsheets
def _spreadsheet(content: bytes) -> Iterator[Line]:
    """The codes of the first sheet. A number keeps its digits; a formula is none of ours to work out."""
    try:
        _refuse_bomb(content)
        workbook = openpyxl.load_workbook(BytesIO(content), read_only=True, data_only=False, keep_links=False)
        sheet = workbook.worksheets[0]
        sheet.reset_dimensions()  # what a file says of its size is nothing to rely on
        yield from _rows(sheet.iter_rows())
    except Invalid:
        raise
    except Exception as error:  # the library fails in as many ways as a file can be broken
        raise _invalid("not_spreadsheet") from error


def _refuse_bomb(content: bytes) -> None:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
            raise _invalid("file_too_large")
        for entry in entries:
            if entry.flag_bits & 1 or entry.file_size > MAX_RATIO * max(entry.compress_size, 1_024):
                raise _invalid("not_spreadsheet")
            if entry.filename.endswith((".xml", ".rels")):
                # Entities are declared in a document type, which no spreadsheet has.
                begins = archive.read(entry)
                if any(
                    _DOCTYPE.encode(encoding) in begins for encoding in ("ascii", "utf-16-le", "utf-16-be")
                ):
                    raise _invalid("not_spreadsheet")


def _rows(rows: Iterable[Sequence[Any]]) -> Iterator[Line]:
    column = cells = 0
    for number, row in enumerate(rows, start=1):
        cells += len(row)
        if cells > MAX_CELLS or number > MAX_CELLS:
            raise _invalid("too_many_lines")
        if number == 1 and (heading := _heading([cell.value for cell in row])) is not None:
            column = heading
            continue
        yield _cell(number, row[column]) if column < len(row) else line(number, "")


def _cell(number: int, cell: Any) -> Line:
    value = cell.value
    if cell.data_type == "f":
        return Line(number, "", "formula")
    if value is None or isinstance(value, str):
        return line(number, value or "")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or value < 0 or len(str(value)) > EXACT_DIGITS:
        return Line(number, "", "mangled")
    return line(number, str(value))
