"""Facts, their values, and why an offer cannot be taken, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import UNSET

from incentives.rules.facts import FACTS
from marketplace.offers.eligibility import Reason
from marketplace.offers.view import OfferView
from web.locale import Language, text

_OPERATORS: Final = {">=": "ge", ">": "gt", "<=": "le", "<": "lt", "==": "in", "!=": "not_in", "in": "in",
                     "not in": "not_in"}  # fmt: skip
_ORDER: Final = {
    "ge": lambda value, than: value >= than, "gt": lambda value, than: value > than,
    "le": lambda value, than: value <= than, "lt": lambda value, than: value < than,
}  # fmt: skip


def with_words(language: Language, offer: OfferView) -> OfferView:
    """The offer with its reasons in words."""
    if isinstance(offer.reason_details, list):
        return msgspec.structs.replace(offer, reason_details=worded_reasons(language, offer.reason_details))
    return offer


def worded_reasons(language: Language, reasons: Iterable[Reason]) -> list[Reason]:
    """The reasons, each with its words."""
    return [msgspec.structs.replace(one, detail=sentence(language, one)) for one in reasons]


def sentence(language: Language, reason: Reason) -> str:
    """Why not, in a few words without an end."""
    facts = {} if reason.facts is UNSET else reason.facts
    if reason.why is UNSET:
        key = f"problem.{reason.code}.detail"
        return text(language, f"{key}_with_facts", facts) or text(language, key) or reason.code
    return _unmet(language, facts)


def fact_name(language: Language, name: str) -> str:
    """What a fact is called."""
    return _said(language, f"rule_name.{name}")


def value_words(language: Language, name: str, value: Any) -> str:
    """A value of the fact `name`."""
    fact = FACTS[name]
    if isinstance(value, bool):
        return _said(language, f"rule_value.{str(value).lower()}")
    if fact.unit == "g" and isinstance(value, int):
        return grams(language, value)
    if value not in fact.choices:
        return _said(language, "rule_value.no_age" if name == "resident.age_band" else "rule_value.unknown")
    match name:
        case "resident.city":
            return _said(language, f"city.{value}")
        case "resident.age_band":
            if value.endswith("+"):
                return _said(language, "rule_value.age_from", band=value[:-1])
            return _said(language, "rule_value.age", band=value)
        case "resident.tier":
            return _said(language, f"rule_value.tier.{value}")
        case "now.weekday":
            return _said(language, f"weekday.{value}")
        case "now.hour":
            return _said(language, "rule_value.hour", hour=str(value))
    return str(value)


def grams(language: Language, amount_g: int) -> str:
    """An amount as people say it, exactly: `320 g`, `3.2 kg`."""
    if abs(amount_g) < 1_000:
        return _said(language, "rule_value.g", amount=f"{amount_g:,}")
    return _said(language, "rule_value.kg", amount=f"{(Decimal(amount_g) / 1_000).normalize():,f}")


# ---------------------------------------------------------------- conditions that are not met
def _unmet(language: Language, facts: Mapping[str, Any]) -> str:
    if "any_of" in facts:
        parts = [
            _joined(language, "rule_reason.and", [_unmet(language, one) for one in each])
            for each in facts["any_of"]
        ]
        return _said(language, "rule_reason.any_of", alternatives=_joined(language, "rule_reason.or", parts))
    if "condition" in facts:
        return _said(language, "rule_reason.other", condition=facts["condition"])
    if "fact" not in facts:
        return _said(language, "rule_reason.unreadable")
    name, operator, needed = facts["fact"], _OPERATORS[facts["operator"]], facts["needed"]
    fact, actual = FACTS[name], facts.get("actual")
    if fact.type in ("bool", "list"):
        wanted = "unwanted" if needed is False or operator == "not_in" else "needed"
        names = _joined(language, "fact.comma", facts.get("names", []))
        return _said(language, f"rule_reason.{name}.{wanted}", needed=names)
    if fact.unit == "g":
        key = f"grams.{operator}"
    else:
        operator, needed = _whole(name, operator, needed)
        if not needed:
            condition = f"{name} {facts['operator']} {facts['needed']}"
            return _said(language, "rule_reason.other", condition=condition)
        key = f"{name}.{operator}"
    values = needed if isinstance(needed, list) else [needed]
    return _said(
        language, f"rule_reason.{key}", name=fact_name(language, name),
        needed=_joined(language, "fact.comma", [value_words(language, name, value) for value in values]),
        actual=value_words(language, name, actual),
    )  # fmt: skip


def _whole(name: str, operator: str, needed: Any) -> tuple[str, Any]:
    """A comparison of a fact with few values, by an operator that there are words for."""
    if operator not in _ORDER:
        return operator, needed
    among = [value for value in FACTS[name].choices if _ORDER[operator](value, needed)]
    upwards = operator in ("ge", "gt")
    if name == "resident.tier" and among:
        return ("ge", among[0]) if upwards else ("le", among[-1])
    if name == "now.hour" and among:
        return ("ge", among[0]) if upwards else ("lt", int(among[-1]) + 1)
    return "in", among


def _joined(language: Language, how: str, parts: Sequence[str]) -> str:
    return _said(language, how).join(parts)


def _said(language: Language, key: str, **facts: str) -> str:
    found = text(language, f"page.{key}", facts or None)
    assert found is not None, f"no text for page.{key}"
    return found
