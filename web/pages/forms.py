"""Forms: what was typed into them, their idempotency keys, and money as people type it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from litestar import Request
from litestar.datastructures import UploadFile

from marketplace.errors import FieldError, Invalid
from marketplace.ids import new_id
from marketplace.ledger import IdempotencyKey

AnyRequest = Request[Any, Any, Any]
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_NUMBER: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?", re.ASCII)
_BASIS_POINTS: Final = re.compile(r"([0-9]{1,5})\s*(?:bps?|个?基点)", re.ASCII | re.IGNORECASE)
_WHOLE: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_PLACE: Final = re.compile(r"/(?![/\\])[\x21-\x7e]*")


# ------------------------------------------------------------------ what was typed
class Typed:
    """The fields of a form as text."""

    def __init__(self, fields: Any) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        value = self._fields.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(self._fields))

    async def file(self, name: str) -> bytes:
        """The content of an uploaded file; empty when there is none."""
        value = self._fields.get(name)
        return await value.read() if isinstance(value, UploadFile) else b""

    def file_name(self, name: str) -> str:
        """What an uploaded file is called; empty when there is none."""
        value = self._fields.get(name)
        return value.filename if isinstance(value, UploadFile) else ""

    def all(self, name: str) -> list[str]:
        """Every value of a field that may be given several times."""
        return [value for value in self._fields.getall(name, []) if isinstance(value, str)]

    def values(self) -> dict[str, str]:
        """The fields by name, to fill a form again with what was typed."""
        return {name: self[name] for name in self._fields}


async def typed(request: AnyRequest) -> Typed:
    """The form that was sent."""
    return Typed(await request.form())


def new_form_key() -> str:
    """The idempotency key of one rendering of a form: sent twice, it takes effect once."""
    return str(new_id())


def idempotency_key(form: Typed, *, principal: str, operation: str, says: str) -> IdempotencyKey:
    """The key that `form` carries; `says` is all that the form asks for. Raises Invalid."""
    key = form["key"]
    if _KEY.fullmatch(key) is None:
        raise Invalid(FieldError("key", "required"))
    return IdempotencyKey(principal=principal, operation=f"page {operation}", key=key,
                          request_hash=hashlib.sha256(says.encode("utf-8", "surrogatepass")).digest())  # fmt: skip


def local_place(given: str, *, otherwise: str) -> str:
    """`given` if it is a path of this site, else `otherwise`: nobody is led away by a link to a sign-in page."""
    return given if _PLACE.fullmatch(given) else otherwise


def is_htmx(request: AnyRequest) -> bool:
    """Whether htmx asks for a part of the page, and not a browser for the whole."""
    return request.headers.get("hx-request") == "true" and "hx-history-restore-request" not in request.headers


def is_secure(request: AnyRequest) -> bool:
    """Whether cookies may be kept to HTTPS."""
    return request.url.scheme == "https"


def address_of(request: AnyRequest) -> str:
    """The caller's network address."""
    return request.client.host if request.client else ""


# ------------------------------------------------------------------ numbers
def hundredths(text: str, *, field: str) -> int | None:
    """`12.5` as 1250, exactly: yuan as fen, percent as basis points; None if nothing was typed. Raises Invalid."""
    text = text.replace(",", "").replace("，", "")
    if not text:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise Invalid(FieldError(field, "not_an_amount"))
    return int(Decimal(text) * 100)


def rate_bp(text: str, *, field: str) -> int | None:
    """A rate as people type it, in basis points: `0.5`, `0.5%`, `50 bp`, `50 个基点` are 50. Raises Invalid."""
    points = _BASIS_POINTS.fullmatch(text)
    if points is not None:
        return int(points[1])
    if text in ("%", "％"):
        raise Invalid(FieldError(field, "not_an_amount"))
    return hundredths(text.removesuffix("%").removesuffix("％").rstrip(), field=field)


def whole(text: str, *, field: str) -> int | None:
    """A whole number as it was typed; None if nothing was. Raises Invalid."""
    text = text.replace(",", "").replace("，", "")
    if not text:
        return None
    if _WHOLE.fullmatch(text) is None:
        raise Invalid(FieldError(field, "not_whole"))
    return int(text)


def as_hundredths(amount: int | None) -> str:
    """1250 as `12.50`, to fill a form with."""
    return "" if amount is None else f"{amount // 100}.{amount % 100:02d}"
