"""What can go wrong for a caller. Codes are stable and part of the API; words and HTTP statuses are web's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class ChutanError(Exception):
    """A failure that a caller is told about: a stable `code`, and `facts` that help to word it."""

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


class Refused(ChutanError):
    """The call was understood and is not possible as things stand; nothing was changed."""


class NotFound(ChutanError):
    """There is no such thing, or not for this caller: the two look the same."""

    def __init__(self, code: str = "not_found", **facts: Any) -> None:
        super().__init__(code, **facts)


class FieldError(NamedTuple):
    """One field that is wrong: its path (`benefit.amount_fen`), and a stable code of why."""

    field: str
    code: str

    @property
    def facts(self) -> Mapping[str, Any]:
        """What helps to word it."""
        return {}


class FieldFault(FieldError):
    """A field error with facts that help to word it, such as the place in a text."""

    def __new__(cls, field: str, code: str, **facts: Any) -> FieldFault:
        made = super().__new__(cls, field, code)
        made._facts = facts
        return made

    _facts: Mapping[str, Any]

    @property
    def facts(self) -> Mapping[str, Any]:
        return self._facts


class Invalid(ChutanError):
    """The input is wrong in one or several fields."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("validation_failed")
        self.errors = errors


class Unavailable(ChutanError):
    """Not now: something that this call needs does not answer. The call had no effect."""

    def __init__(self, **facts: Any) -> None:
        super().__init__("unavailable", **facts)
