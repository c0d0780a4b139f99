"""Who may have an offer, as a rule in CEL (https://cel.dev) over documented facts.

`resident.city == "420100" && year.mobility_g >= 5000` is such a rule. Rules are publishers' input: what may stand in
one is read by a grammar of our own (`parsing`), which lets through the operators, functions and facts that are named
there and nothing that could loop; what is run is written from what was read. A rule that fails when asked says no.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple

from incentives.rules.checking import check
from incentives.rules.facts import FACTS, Fact, Facts, Scalar
from incentives.rules.parsing import names_in, parsed
from incentives.rules.reasons import Asked, Conditions, Unmet, conditions_of, program_of, unmet_of
from incentives.rules.tokens import MAX_CHARACTERS, NotARule
from incentives.rules.writing import written
from marketplace.errors import FieldFault, Invalid

MAX_KEPT: Final = 10_000
FIELD: Final = "eligibility"


class Rule(NamedTuple):
    """A rule that was read: the facts that it asks for, and what it asks of them."""

    names: frozenset[str]
    program: Any
    conditions: Conditions

    def holds(self, asked: Asked) -> bool:
        """Whether the rule says yes."""
        return asked.holds(self.program)

    def unmet(self, asked: Asked) -> list[Unmet]:
        """The conditions that are not met; empty exactly when the rule holds."""
        return [] if asked.holds(self.program) else unmet_of(self.conditions, asked)


@lru_cache(maxsize=MAX_KEPT)
def rule_of(text: str) -> Rule:
    """The rule that `text` is. Raises NotARule."""
    tree = parsed(text)
    check(tree)
    return Rule(frozenset(names_in(tree)), program_of(written(tree)), conditions_of(tree))


def checked_rule(text: str, *, field: str = FIELD) -> Rule:
    """The rule that `text` is. Raises Invalid with the code, the place (`line`, `column` from 1) and the word."""
    try:
        return rule_of(text)
    except NotARule as error:
        raise Invalid(fault_of(error, text, field=field)) from error


def fault_of(error: NotARule, text: str, *, field: str = FIELD) -> FieldFault:
    """What is wrong with `text`, where it stands."""
    before = text[: error.at]
    place = {"line": before.count("\n") + 1, "column": len(before) - (before.rfind("\n") + 1) + 1}
    return FieldFault(field, error.code, **place, word=error.word)


__all__ = ["FACTS", "FIELD", "MAX_CHARACTERS", "Asked", "Fact", "Facts", "NotARule", "Rule", "Scalar", "Unmet",
           "checked_rule", "fault_of", "rule_of"]  # fmt: skip
