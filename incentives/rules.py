"""Who may have an offer, as a rule in CEL (https://cel.dev) over documented facts.

    resident.city       string   GB/T 2260 code of the resident's city, "420100" for Wuhan
    resident.verified   bool     whether the resident is a verified person (real-name check)
    wallet.available_g  int      grams available now
    wallet.earned_g     int      grams ever credited
    now.weekday         int      1 (Monday) to 7 (Sunday), in Shanghai
    now.hour            int      0 to 23, in Shanghai

`resident.city == "420100" && wallet.earned_g >= 5000` is such a rule. Rules are publishers' input: only the operators,
functions and facts named here are let through, so that none can loop, and one that fails when it is asked says no.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import cel

from marketplace import clock
from marketplace.errors import FieldError, Invalid

MAX_CHARACTERS: Final = 500
NOT_ELIGIBLE: Final = "not_eligible"

FACTS: Final[dict[str, frozenset[str]]] = {
    "resident": frozenset({"city", "verified"}),
    "wallet": frozenset({"available_g", "earned_g"}),
    "now": frozenset({"weekday", "hour"}),
}
_CALLS: Final = frozenset({"size", "startsWith", "endsWith", "contains"})
_WORDS: Final = frozenset({"true", "false", "in"}) | _CALLS

_SAMPLES: Final = tuple(
    {
        "resident": {"city": city, "verified": verified},
        "wallet": {"available_g": grams, "earned_g": 2 * grams},
        "now": {"weekday": weekday, "hour": hour},
    }
    for city, verified, grams, weekday, hour in (
        ("420100", False, 0, 1, 0),
        ("429004", True, 5_000, 6, 12),
        ("420500", True, 10**12, 7, 23),
    )
)

_STRING = re.compile(r""""[^"\\\r\n]*"|'[^'\\\r\n]*'""")
_FACT = re.compile(r"\b(resident|wallet|now)\s*\.\s*([A-Za-z_][A-Za-z0-9_]*)(?!\s*\()")
_CALLED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*\(")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LEGAL = re.compile(r"[A-Za-z0-9_\s.,()\[\]?:<>=!&|+*/%\"-]*")


class _NotARule(Exception):
    """The expression is no rule."""


def check_rule(expression: str) -> None:
    """Raises Invalid (`eligibility`: `cel_invalid`) unless `expression` is a rule that answers yes or no."""
    try:
        _compiled(expression)
    except _NotARule as error:
        raise Invalid(FieldError("eligibility", "cel_invalid")) from error


def holds(expression: str, facts: Mapping[str, Mapping[str, object]]) -> bool:
    """Whether the rule says yes for `facts`; a rule that fails says no. Raises Invalid as `check_rule`."""
    check_rule(expression)
    try:
        return _compiled(expression).execute({name: dict(fact) for name, fact in facts.items()}) is True
    except Exception:  # CEL raises many: overflow, division by zero, a missing fact
        return False


class CelEligibility:
    """Answers the marketplace why a resident may not have an offer."""

    async def reasons(
        self, resident_facts: Mapping[str, Mapping[str, object]], expression: str | None
    ) -> list[str]:
        """[] when the rule (or none) lets the resident have it, else ["not_eligible"].

        `resident_facts` holds `resident` and `wallet`; `now` is of the clock unless given. Raises Invalid for no rule.
        """
        if expression is None:
            return []
        facts = {"now": present(), **resident_facts}
        return [] if holds(expression, facts) else [NOT_ELIGIBLE]


def present() -> dict[str, object]:
    """The facts of `now`."""
    local = clock.now().astimezone(clock.SHANGHAI)
    return {"weekday": local.isoweekday(), "hour": local.hour}


@lru_cache(maxsize=1_024)
def _compiled(expression: str) -> Any:
    if not 1 <= len(expression) <= MAX_CHARACTERS:
        raise _NotARule("length")
    _check_words(expression)
    try:
        program = cel.compile(expression)
        answers = [program.execute(sample) for sample in _SAMPLES]
    except Exception as error:
        raise _NotARule(str(error)) from error
    if not all(isinstance(answer, bool) for answer in answers):
        raise _NotARule("not a yes or no")
    return program


def _check_words(expression: str) -> None:
    """Nothing but facts, literals, operators and a few functions: comprehensions, which can run for ever, are calls."""
    bare = _STRING.sub('""', expression)
    if not _LEGAL.fullmatch(bare) or bare.count('"') % 2 or '"""' in bare or "//" in bare:
        raise _NotARule("a character that rules do without")
    if any(call not in _CALLS for call in _CALLED.findall(bare) if call != "in"):
        raise _NotARule("a function that is not offered")
    facts = _FACT.findall(bare)
    if any(name not in FACTS[root] for root, name in facts):
        raise _NotARule("a fact that there is not")
    rest = _WORD.findall(re.sub(r"\b[0-9][0-9a-fA-FxXeEuU.]*", "0", _FACT.sub("", bare)))
    if any(word not in _WORDS for word in rest):
        raise _NotARule("a name that there is not")
