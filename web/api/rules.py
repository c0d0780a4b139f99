"""Rules of eligibility for those who write them: the facts there are, and a rule checked and tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from incentives.eligibility import reason
from incentives.programmes import programme_names
from incentives.rules import FACTS, Asked, Fact, Facts, checked_rule
from incentives.rules.facts import Type
from marketplace.errors import FieldError, Invalid
from marketplace.offers.eligibility import Reason
from merchants.publishing import require
from web.access import AnyRequest, Staff
from web.locale import Language, preferred_language, text
from web.reasons import fact_name, value_words, worded_reasons


class FactValue(msgspec.Struct):
    """A value of a fact that has few, with its words."""

    value: str | int
    name: str


class FactView(msgspec.Struct):
    """A fact: `type` is bool, int, string or list (of strings). `values` is empty where a fact has many."""

    name: str
    type: Type
    unit: str | None
    title: str
    meaning: str
    source: str
    values: list[FactValue]


class RuleToCheck(msgspec.Struct, forbid_unknown_fields=True):
    """A rule, and facts by name to try it with; those left out are not known."""

    rule: Annotated[str, msgspec.Meta(max_length=2_000)]
    facts: dict[str, Any] | None = None


class RuleChecked(msgspec.Struct, omit_defaults=True):
    """A rule that is one, the facts it asks for, and where facts came with it, whether it holds or why not."""

    facts: list[str]
    holds: bool | None = None
    reason_details: list[Reason] | None = None


class RuleController(Controller):
    """What rules are made of."""

    path = "/api/v1/publisher"
    tags = ["publisher"]

    @get("/rule-facts")
    async def facts(self, request: AnyRequest, staff: NamedDependency[Staff]) -> list[FactView]:
        """The facts that rules may ask for, in the caller's language."""
        language = _language(request)
        programmes = await programme_names()
        return [_view(language, fact, programmes) for fact in FACTS.values()]

    @post("/rule-check", status_code=200)
    async def check(
        self, request: AnyRequest, data: JSONBody[RuleToCheck], staff: NamedDependency[Staff]
    ) -> RuleChecked:
        """Check a rule as it is written, and try it with facts; nothing is kept."""
        require(staff.role, "publish")
        rule = checked_rule(data.rule, field="rule")
        names = [name for name in FACTS if name in rule.names]
        if data.facts is None:
            return RuleChecked(names)
        unmet = rule.unmet(Asked(_by_root(data.facts)))
        programmes = await programme_names()
        details = worded_reasons(_language(request), [reason(one, programmes) for one in unmet])
        return RuleChecked(names, not unmet, details)


def _view(language: Language, fact: Fact, programmes: Mapping[str, str]) -> FactView:
    values = [FactValue(value, value_words(language, fact.name, value)) for value in fact.choices]
    if fact.type == "list":
        values = [FactValue(key, name) for key, name in programmes.items()]
    return FactView(
        name=fact.name, type=fact.type, unit=fact.unit or None, title=fact_name(language, fact.name),
        meaning=text(language, f"page.rule.{fact.name}") or fact.name,
        source=text(language, f"page.rule_source.{fact.source}") or fact.source, values=values,
    )  # fmt: skip


def _by_root(given: Mapping[str, Any]) -> Facts:
    """Facts by name as facts by root. Raises Invalid with each that there is not, or is not of its type."""
    wrong = []
    facts: dict[str, dict[str, object]] = {}
    for name, value in given.items():
        fact = FACTS.get(name)
        if fact is None:
            wrong.append(FieldError(f"facts.{name}", "unknown_field"))
        elif not _is_of(fact, value):
            wrong.append(FieldError(f"facts.{name}", "wrong_type"))
        else:
            root, _, rest = name.partition(".")
            facts.setdefault(root, {})[rest] = value
    if wrong:
        raise Invalid(*wrong)
    return facts


def _is_of(fact: Fact, value: object) -> bool:
    if fact.type == "list":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if fact.type == "int":
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, bool if fact.type == "bool" else str)


def _language(request: AnyRequest) -> Language:
    return preferred_language(request.headers.get("accept-language"))
