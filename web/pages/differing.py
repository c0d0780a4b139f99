"""Differences between versions of an offer in words: what each field is called, what it was and what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from marketplace.offers.differences import Difference
from web.locale import worded
from web.pages.rendering import Words, when, when_it_ends

# Fields whose name on a page is not that of their own label in the form.
_NAMED: Final = {
    "conditions.min_bill_fen": "form.min_bill",
    "conditions.weekdays": "fact.weekdays",
    "conditions.hours": "fact.hours",
    "funding": "fact.paid_by",
    "funding.campaign": "fact.paid_by",
    "stock_total": "form.stock_total",
    "budget_fen": "form.budget",
    "budget_per_day_fen": "form.budget_per_day",
    "limits.per_resident_per_day": "form.per_resident_per_day",
    "limits.per_resident_per_week": "form.per_resident_per_week",
    "redeem_windows.weekdays": "fact.redeem_weekdays",
    "redeem_windows.hours": "fact.redeem_hours",
    "stores": "fact.stores",
    "eligibility": "form.eligibility_rule",
    "codes": "pool.title",
    "kind": "changes.kind",
    "image_url": "changes.image_url",
    "cash_fen": "changes.cash_fen",
}
# Where nothing there means that nothing is limited.
_UNLIMITED: Final = frozenset({"stock_total", "stock_per_day", "budget_fen", "budget_per_day_fen", "per_resident_limit",
                               "limits.per_resident_per_day", "limits.per_resident_per_week"})  # fmt: skip


def field_label(words: Words, kind: str, field: str) -> str:
    """What a field of an offer of `kind` is called."""
    group, _, part = field.partition(".")
    if group == "benefit" and part:
        own = kind == "rate_perk" or (kind, part) == ("donation", "value_fen")
        return words(f"form.{kind}.{part}" if own else f"form.{part}")
    return words(_NAMED.get(field, f"form.{field}"))


def shown_differences(
    words: Words, kind: str, differences: Sequence[Difference], *, stores: Mapping[UUID, str],
    payers: Mapping[str, str],
) -> list[dict[str, str]]:  # fmt: skip
    """Each difference for a template. `stores` and `payers` are their names by id."""

    def said(field: str, value: Any) -> str:
        match field, value:
            case "funding.campaign", None:
                return words("form.own_funds")
            case "funding.campaign", _:
                return payers.get(str(value)) or words("fact.paid_by_campaign")
            case "stores", _:
                return words("fact.comma").join(stores.get(one, "…") for one in value or ()) or words(
                    "changes.all_stores"
                )
            case "eligibility", None:
                return words("rule_form.everybody")
        return _value(words, field, value)

    return [
        {"name": field_label(words, kind, one.field), "before": said(one.field, one.before),
         "after": said(one.field, one.after)}
        for one in differences
    ]  # fmt: skip


def _value(words: Words, field: str, value: Any) -> str:
    comma = words("fact.comma")
    match value:
        case None | "":
            return words("changes.unlimited" if field in _UNLIMITED else "changes.nothing")
        case datetime():
            return when_it_ends(value) if field == "ends_at" else when(value)
        case tuple() if field.endswith(".weekdays"):
            return comma.join(words(f"weekday.{day}") for day in value)
        case tuple() if field.endswith(".hours"):
            return comma.join(f"{begin}–{end}" for begin, end in value)
        case int() if field.endswith("_bp"):
            return f"{Decimal(value) / 100:f}%"
        case str() if field == "kind":
            return words(f"kind.{value}")
    return worded(field, value)


__all__ = ["field_label", "shown_differences"]
