"""The pool of an offer of codes: pasted lines, or a file with one code a line."""

from __future__ import annotations

import csv
from typing import Any, Final
from uuid import UUID

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from marketplace.errors import FieldError, Invalid
from marketplace.offers.catalogue import publisher_offer
from marketplace.pools import add_codes
from merchants.publishing import require
from web.access import Staff
from web.incoming import BODY_LIMIT_BYTES
from web.pages.forms import AnyRequest, typed
from web.pages.offer_page import offer_page

MAX_LINES: Final = 10_000
_FORM_BYTES: Final = 3 * BODY_LIMIT_BYTES  # so that a file that is too large is told so at its field


@post(
    "/publisher/offers/{offer_id:uuid}/codes", include_in_schema=False, status_code=200,
    request_max_body_size=_FORM_BYTES,
)  # fmt: skip
async def fill(request: AnyRequest, staff: NamedDependency[Staff], offer_id: FromPath[UUID]) -> Response[Any]:
    """Add codes, and tell line by line which were refused; sent twice, it adds nothing."""
    require(staff.role, "publish")
    form = await typed(request)
    offer = await publisher_offer(publisher=staff.publisher, offer=offer_id)
    try:
        codes = lines_of(form["codes"], await form.file("file"))
    except Invalid as wrong:
        return await offer_page(request, staff, offer, wrong=wrong)
    report = await add_codes(publisher=staff.publisher, offer=offer_id, codes=codes)
    after = await publisher_offer(publisher=staff.publisher, offer=offer_id)
    return await offer_page(request, staff, after, report=report)


def lines_of(pasted: str, file: bytes) -> list[str]:
    """The codes of both, one a line; a line that is one quoted CSV field stands for what is quoted. Raises Invalid."""
    if len(file) > BODY_LIMIT_BYTES or len(pasted.encode()) > BODY_LIMIT_BYTES:
        raise Invalid(FieldError("codes", "too_large"))
    lines = pasted.splitlines() + _text(file).splitlines()
    if not lines:
        raise Invalid(FieldError("codes", "required"))
    if len(lines) > MAX_LINES:
        raise Invalid(FieldError("codes", "too_many"))
    return [_unquoted(line) for line in lines]


def _text(file: bytes) -> str:
    if b"\0" in file:  # a spreadsheet, a picture
        raise Invalid(FieldError("codes", "not_text"))
    for encoding in ("utf-8-sig", "gb18030"):  # spreadsheets in China save CSV in either
        try:
            return file.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Invalid(FieldError("codes", "not_text"))


def _unquoted(line: str) -> str:
    # A line of several fields stays whole: what belongs to the code is not ours to guess.
    if not line.startswith('"'):
        return line
    try:
        cells = next(csv.reader([line], strict=True), [])
    except csv.Error:
        return line
    return cells[0] if len(cells) == 1 else line


HANDLERS = [fill]
