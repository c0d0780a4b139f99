"""A table as a CSV file (RFC 4180) that a spreadsheet opens as it is, and takes nothing in it for a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

from litestar import Response

from web.exports import neutral


def csv_answer(name: str, heading: Sequence[str], rows: Iterable[Sequence[object]]) -> Response[bytes]:
    """The table as a file called `name`, to be kept."""
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(heading)
    writer.writerows([neutral(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return Response(
        text.getvalue().encode("utf-8-sig"),  # with the mark by which a spreadsheet knows the encoding
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )
