"""Hubei's divisions at the level of a prefecture: twelve cities, Enshi, and four that the province governs itself."""

from __future__ import annotations

from typing import Final

# By GB/T 2260.
CITIES: Final = (
    "420100", "420200", "420300", "420500", "420600", "420700", "420800", "420900", "421000", "421100", "421200",
    "421300", "422800", "429004", "429005", "429006", "429021",
)  # fmt: skip
