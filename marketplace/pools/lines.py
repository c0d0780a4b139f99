"""The lines of an upload: each a code, or what is wrong with it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final, NamedTuple

LONGEST: Final = 64
MAX_LINES: Final = 100_000
# What a spreadsheet makes of a long number: its last digits are gone, and no code can be made of it.
_MANGLED: Final = re.compile(r"[0-9](\.[0-9]+)?E\+[0-9]+", re.IGNORECASE | re.ASCII)


class Line(NamedTuple):
    """A line by its number in the file, from 1: the code that stands there, or the fault for which it is refused."""

    number: int
    code: str
    fault: str | None = None


def line(number: int, text: str) -> Line:
    """The line that says `text`; the code is normalised (Unicode NFKC), so that full-width letters are the others."""
    code = unicodedata.normalize("NFKC", text).strip()
    fault = _fault(code)
    return Line(number, code if fault is None else "", fault)


def numbered(texts: Iterable[str]) -> list[Line]:
    """`texts` as lines."""
    return [line(number, text) for number, text in enumerate(texts, start=1)]


def _fault(code: str) -> str | None:
    if not code:
        return "blank"
    if len(code) > LONGEST or not code.isprintable():
        return "invalid"
    if code.startswith("="):
        return "formula"
    return "mangled" if _MANGLED.fullmatch(code) else None
