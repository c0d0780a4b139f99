"""Methodologies: how a behaviour becomes grams of CO2e, one TOML file beside this module per key and version.

A methodology says which shape its records have: `ride` (km), or `quantity` (its unit). It is versioned by the day it
takes effect; what was credited keeps the version it was computed with and is never computed again. Every factor carries
its source; one without an official source is marked `demonstration`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Literal

import msgspec

MAX_FACTOR_DIGITS = 12

COUNTED = frozenset({"trip", "step", "order", "use", "bill"})
"""The units of which there are whole numbers only."""

DAY_SECONDS = 86_400
Shape = Literal["ride", "quantity"]
Domain = Literal["mobility", "energy", "recycling", "consumption"]
Positive = Annotated[int, msgspec.Meta(gt=0)]
Words = Annotated[str, msgspec.Meta(min_length=1)]


class MethodologyFault(Exception):
    """A methodology file is wrong; the message says which file and what about it."""


class Name(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a methodology is called."""

    zh: Words
    en: Words


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the factor comes from: `seen` in the public source named, or `derived` from it by arithmetic."""

    kind: Literal["seen", "derived"]
    text: Words


class Caps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Grams that one resident can earn at most; None: no cap."""

    daily_g: Positive | None = None


class Checks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a record must satisfy to count; None: not checked. Distance and speed are of kilometres."""

    min_duration_seconds: Positive | None = None
    min_distance_m: Positive | None = None
    max_speed_m_per_hour: Positive | None = None
    max_duration_seconds: Positive | None = None
    no_overlap: bool = False

    @property
    def of_distance(self) -> bool:
        """Whether a distance is checked."""
        return self.min_distance_m is not None or self.max_speed_m_per_hour is not None


class Methodology(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """One version of one methodology. `factor` is grams of CO2e per `unit`, an exact decimal.

    `city` is a GB/T 2260 code: 420100 Wuhan, 420000 the province of Hubei, others outside it.
    """

    key: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{1,39}$")]
    version: Positive
    behaviour: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z_]*$")]
    domain: Domain
    city: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6}$")]
    effective_from: date
    record: Shape
    unit: Literal["km", "trip", "step", "kWh", "order", "use", "kg", "bill"]
    formula: Literal["quantity x factor"]
    factor: Annotated[
        str, msgspec.Meta(pattern=r"^(0|[1-9][0-9]*)(\.[0-9]+)?$", max_length=MAX_FACTOR_DIGITS)
    ]
    name: Name
    source: Source
    demonstration: bool
    review: str
    caps: Caps = Caps()
    checks: Checks = Checks()

    def __post_init__(self) -> None:
        if Decimal(self.factor) <= 0:
            raise ValueError("the factor must be positive")
        if self.unit != "km" and (self.record == "ride" or self.checks.of_distance):
            raise ValueError(f"rides, distances and speeds are in km, not {self.unit}")
        if self.checks.no_overlap and not 0 < (self.checks.max_duration_seconds or 0) < DAY_SECONDS:
            raise ValueError("records that may not overlap need a longest duration of less than a day")

    @cached_property
    def ratio(self) -> tuple[int, int]:
        """The factor as numerator and denominator, exactly."""
        return Decimal(self.factor).as_integer_ratio()

    @property
    def counted(self) -> bool:
        """Whether its quantities are whole numbers."""
        return self.unit in COUNTED

    @property
    def factor_text(self) -> str:
        """The factor with its unit, as it is stored with each record: `93.3 g/km`."""
        return f"{self.factor} g/{self.unit}"


def quantify(methodology: Methodology, quantity: Decimal | int) -> int:
    """Whole grams for `quantity` (in the methodology's unit): quantity x factor, rounded down, exactly.

    Down, by the principle of conservativeness (保守性). Raises TypeError for a float, ValueError for a quantity that
    is negative or not finite.
    """
    if isinstance(quantity, float):
        raise TypeError("a quantity is an exact decimal, never a float")
    try:
        numerator, denominator = quantity.as_integer_ratio()
    except (ValueError, OverflowError, InvalidOperation) as error:
        raise ValueError(f"not a finite quantity: {quantity}") from error
    if numerator < 0:
        raise ValueError(f"a negative quantity: {quantity}")
    grams, per = methodology.ratio
    return numerator * grams // (denominator * per)


def load(folder: Path) -> dict[str, tuple[Methodology, ...]]:
    """The methodologies of `folder` by key, each with its versions in the order they take effect.

    Raises MethodologyFault, naming the file, when one is not valid, or when a (key, version) or a day of effect of one
    key is there twice.
    """
    seen: dict[tuple[str, object], str] = {}
    loaded: dict[str, list[Methodology]] = {}
    for path in sorted(folder.glob("*.toml")):
        methodology = _read(path)
        for mark in (methodology.version, methodology.effective_from):
            other = seen.setdefault((methodology.key, mark), path.name)
            if other != path.name:
                raise MethodologyFault(f"{path.name}: {methodology.key} {mark} is in {other} already")
        loaded.setdefault(methodology.key, []).append(methodology)
    return {key: _in_order(versions) for key, versions in loaded.items()}


def _read(path: Path) -> Methodology:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Methodology)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise MethodologyFault(f"{path.name}: {error}") from error


def _in_order(versions: Iterable[Methodology]) -> tuple[Methodology, ...]:
    ordered = tuple(sorted(versions, key=lambda m: m.effective_from))
    if list(ordered) != sorted(ordered, key=lambda m: m.version):
        raise MethodologyFault(f"{ordered[0].key}: a later version takes effect before an earlier one")
    if len({(methodology.record, methodology.unit) for methodology in ordered}) > 1:
        raise MethodologyFault(
            f"{ordered[0].key}: the versions differ in the shape or the unit of their records"
        )
    return ordered


@cache
def shipped() -> Mapping[str, tuple[Methodology, ...]]:
    """The methodologies that ship with the program."""
    return load(Path(__file__).parent)


def in_force(
    key: str, day: date, *, among: Mapping[str, tuple[Methodology, ...]] | None = None
) -> Methodology | None:
    """The version of `key` that is in force on `day`; None if there is none yet, or no such methodology."""
    versions = (shipped() if among is None else among).get(key, ())
    return next((version for version in reversed(versions) if version.effective_from <= day), None)
