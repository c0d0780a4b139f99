"""Lists by pages: `?limit=` and an opaque `?cursor=`, which is the id of the last item shown."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
from litestar.params import QueryParameter

from marketplace.errors import FieldError, Invalid

Limit = Annotated[int, QueryParameter(ge=1, le=100, description="How many items at most")]
Cursor = Annotated[
    str | None, QueryParameter(max_length=64, description="The `next_cursor` of the page before")
]

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list; `next_cursor` is null on the last one."""

    items: list[T]
    next_cursor: str | None


def before(cursor: str | None) -> UUID | None:
    """The id that a cursor stands for. Raises Invalid."""
    if cursor is None:
        return None
    try:
        return UUID(bytes=urlsafe_b64decode(cursor + "=="))
    except ValueError as error:
        raise Invalid(FieldError("cursor", "cursor_invalid")) from error


def page_of(items: Sequence[Any], limit: int) -> Page[Any]:
    """A page out of up to `limit` + 1 items: the one too many says that there are more."""
    shown = list(items[:limit])
    more = len(items) > limit
    return Page(shown, urlsafe_b64encode(shown[-1].id.bytes).decode().rstrip("=") if more else None)
