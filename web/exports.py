"""Tables that leave for a spreadsheet: CSV line by line, and XLSX in a file that is written as rows come.

Numbers are numbers, times are clock times in Shanghai, and no text is a formula: what a spreadsheet would take for one
gets an apostrophe before it, as OWASP's page on CSV injection has it.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
import tempfile
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import IO, Final

from openpyxl import Workbook  # type: ignore[import-untyped]

from marketplace import clock

Cell = str | int | Decimal | datetime | None
Rows = AsyncIterator[Sequence[Sequence[Cell]]]

CSV_TYPE: Final = "text/csv; charset=utf-8"
XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ROWS_A_SHEET: Final = 1_000_000  # a sheet holds 1,048,576
_FORMULA: Final = re.compile(r"^[=+\-@\t\r\n＝＋－＠]")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_CHUNK_BYTES: Final = 64 * 1024


def neutral(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula."""
    text = _UNPRINTABLE.sub("", text)
    return f"'{text}" if _FORMULA.match(text) else text


async def as_csv(head: Sequence[str], rows: Rows) -> AsyncIterator[bytes]:
    """CSV by RFC 4180 in UTF-8, with the mark by which Excel knows it."""
    yield b"\xef\xbb\xbf" + _lines([head])
    async for some in rows:
        yield _lines([[_text(cell) for cell in row] for row in some])


def _lines(rows: Sequence[Sequence[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()


def _text(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case datetime():
            return cell.astimezone(clock.SHANGHAI).strftime("%Y-%m-%d %H:%M")
        case str():
            return neutral(cell)
    return str(cell)


async def as_xlsx(head: Sequence[str], rows: Rows) -> AsyncIterator[bytes]:
    """A workbook, with further sheets where one is not enough. Its rows are in a file on disk, never all in memory."""
    with tempfile.TemporaryFile() as file:
        await _write(file, head, rows)
        file.seek(0)
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk


async def _write(file: IO[bytes], head: Sequence[str], rows: Rows) -> None:
    book = Workbook(write_only=True)
    sheet, left = None, 0
    async for some in rows:
        cells = [[_cell(cell) for cell in row] for row in some]
        while sheet is None or cells:
            if sheet is None or left == 0:
                sheet, left = book.create_sheet(), ROWS_A_SHEET
                sheet.freeze_panes = "A2"
                sheet.append(list(head))
            now, cells = cells[:left], cells[left:]
            left -= len(now)
            await asyncio.to_thread(_append, sheet, now)
    if sheet is None:
        book.create_sheet().append(list(head))
    await asyncio.to_thread(book.save, file)


def _append(sheet: object, rows: Sequence[Sequence[object]]) -> None:
    for row in rows:
        sheet.append(row)  # type: ignore[attr-defined]


def _cell(cell: Cell) -> Cell:
    match cell:
        case datetime():
            return cell.astimezone(clock.SHANGHAI).replace(tzinfo=None)
        case str():
            return neutral(cell)
    return cell
