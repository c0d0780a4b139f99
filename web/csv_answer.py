"""A table as a CSV file (RFC 4180) that a spreadsheet opens as it is, and takes nothing in it for a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Final

from litestar import Response

_BEGINS_A_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def csv_answer(name: str, heading: Sequence[str], rows: Iterable[Sequence[object]]) -> Response[bytes]:
    """The table as a file called `name`, to be kept."""
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(heading)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return Response(
        text.getvalue().encode("utf-8-sig"),  # with the mark by which a spreadsheet knows the encoding
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def _harmless(cell: object) -> object:
    """A text that a spreadsheet would work out begins with an apostrophe (OWASP, CSV injection)."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_BEGINS_A_FORMULA) else cell
