"""The facts that rules are about: one table, which the code, the API, the pages and `docs/rules.md` share.

What a fact means is said in `web/locales` under `page.rule.<fact>`, in both languages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, get_args

from incentives.methodologies import Domain
from marketplace.cities import CITIES

Type = Literal["bool", "int", "string", "list"]
Scalar = bool | int | str
Facts = Mapping[str, Mapping[str, object]]
"""The facts of one resident: root → name → value. A `list` is a list of strings."""

DOMAINS: Final[tuple[Domain, ...]] = get_args(Domain)
AGE_BANDS: Final = ("14-17", "18-24", "25-34", "35-44", "45-59", "60+")
TIERS_G: Final = (0, 10_000, 50_000, 200_000, 500_000)
"""What the reductions of the last year must be at least for tier 1, 2, ..."""

MAX_PROGRAMMES: Final = 100


class Fact(NamedTuple):
    """A fact: its name in a rule, its type, its unit, where it comes from, and its values where they are few."""

    name: str
    type: Type
    source: str
    unit: str = ""
    choices: tuple[int, ...] | tuple[str, ...] = ()


_ALL: Final = (
    Fact("resident.city", "string", "resident.city", choices=CITIES),
    Fact("resident.verified", "bool", "resident.verified_at"),
    Fact("resident.age_band", "string", "resident.birth_year", choices=AGE_BANDS),
    Fact("resident.programmes", "list", "programme_member"),
    Fact("resident.tier", "int", "activity_record", choices=tuple(range(1, len(TIERS_G) + 1))),
    Fact("resident.first_redemption", "bool", "redemption"),
    Fact("year.saved_g", "int", "activity_record", unit="g"),
    *(Fact(f"year.{domain}_g", "int", "activity_record", unit="g") for domain in DOMAINS),
    Fact("wallet.available_g", "int", "ledger_account", unit="g"),
    Fact("wallet.earned_g", "int", "ledger_account", unit="g"),
    Fact("now.weekday", "int", "clock", choices=tuple(range(1, 8))),
    Fact("now.hour", "int", "clock", choices=tuple(range(24))),
)
FACTS: Final[Mapping[str, Fact]] = {fact.name: fact for fact in _ALL}
ROOTS: Final = frozenset(name.split(".")[0] for name in FACTS)


def tier_of(saved_g: int) -> int:
    """The tier of who saved `saved_g` in the last year, 1 to 5."""
    return sum(saved_g >= least_g for least_g in TIERS_G)


def age_band_of(birth_year: int | None, *, year: int) -> str:
    """The band of the age that is reached in `year`; empty where the year of birth is not known."""
    if birth_year is None:
        return ""
    age = max(year - birth_year, 14)
    return next((band for band in AGE_BANDS[:-1] if age <= int(band.split("-")[1])), AGE_BANDS[-1])


def value_of(facts: Facts, name: str) -> object:
    """The value of the fact `name`, None where it is not among `facts`."""
    root, _, rest = name.partition(".")
    return facts.get(root, {}).get(rest)
