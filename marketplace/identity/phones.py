"""Mobile numbers of mainland China: what one looks like, and how it is shown to others."""

from __future__ import annotations

import re
from typing import Final

_PHONE: Final = re.compile(r"1[3-9][0-9]{9}", re.ASCII)


def is_phone(text: str) -> bool:
    """Whether `text` is a mobile number: eleven ASCII digits."""
    return _PHONE.fullmatch(text) is not None


def masked(phone: str | None) -> str | None:
    """`13812345678` as `138****5678`."""
    return phone[:3] + "****" + phone[-4:] if phone is not None else None


__all__ = ["is_phone", "masked"]
