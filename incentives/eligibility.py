"""The marketplace's question "may this resident have it?", answered by CEL rules over the resident's facts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID

import structlog

from incentives.programmes import programme_names
from incentives.rules import Asked, NotARule, Rule, Unmet, fault_of, rule_of
from incentives.rules.reasons import OTHER
from incentives.standing import facts_of
from marketplace.errors import FieldError
from marketplace.offers.eligibility import NOT_ELIGIBLE, Reason, Verdict

FIRST: Final = "resident.first_redemption"
PROGRAMMES: Final = "resident.programmes"


class RuleEligibility:
    """Fills in marketplace's `Eligibility`."""

    async def verdicts(self, *, resident: UUID, rules: Collection[str]) -> dict[str, Verdict]:
        """What each of `rules` says to `resident` now. One that can be read no more says no."""
        read = {text: _readable(text) for text in rules}
        asked_for = frozenset[str]().union(*(rule.names for rule in read.values() if rule is not None))
        asked = Asked(await facts_of(resident, asked_for))
        names = await programme_names() if PROGRAMMES in asked_for else {}
        later = _after_the_first(asked) if FIRST in asked_for else None
        return {text: _verdict(rule, asked, later=later, names=names) for text, rule in read.items()}

    def check(self, expression: str) -> list[FieldError]:
        """What is wrong with a rule as it is written."""
        try:
            rule_of(expression)
        except NotARule as error:
            return [fault_of(error, expression)]
        return []


def reason(unmet: Unmet, names: Mapping[str, str]) -> Reason:
    """A condition that is not met, as the marketplace tells it; `names` are what programmes are called."""
    return Reason(code=NOT_ELIGIBLE, why=unmet.why, facts=_named(unmet.facts, names))


def _named(facts: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    if "any_of" in facts:
        return {"any_of": [[_named(one, names) for one in each] for each in facts["any_of"]]}
    if facts.get("fact") == PROGRAMMES:
        return {**facts, "names": [names.get(key, key) for key in facts["needed"]]}
    return facts


def _readable(text: str) -> Rule | None:
    try:
        return rule_of(text)
    except NotARule as error:  # it was one when it was submitted: what rules may say has changed since
        structlog.get_logger("eligibility").warning("rule_unreadable", code=error.code)
        return None


def _verdict(rule: Rule | None, asked: Asked, *, later: Asked | None, names: Mapping[str, str]) -> Verdict:
    if rule is None:
        return Verdict([Reason(code=NOT_ELIGIBLE, why=OTHER)])
    unmet = rule.unmet(asked)
    if unmet:
        return Verdict([reason(one, names) for one in unmet])
    return Verdict([], first_only=later is not None and FIRST in rule.names and not rule.holds(later))


def _after_the_first(asked: Asked) -> Asked:
    """The same resident, who has redeemed."""
    return Asked({**asked.facts, "resident": {**asked.facts["resident"], "first_redemption": False}})
