"""An offer's limits in words: for who takes it, and how far each has come for who runs it."""

from __future__ import annotations

from typing import Any

from marketplace.offers.shared_limits import SharedLimit
from marketplace.offers.usage import Usage
from marketplace.offers.view import OfferView
from web.locale import worded
from web.pages.rendering import Words, when


def stock_words(words: Words, offer: OfferView) -> str:
    """What is left, today where that is limited."""
    if offer.stock_left_today is not None:
        if offer.stock_left_today == 0 and offer.stock_left != 0:
            return words("offer.none_left_today")
        return words("offer.left_today", left=offer.stock_left_today)
    if offer.stock_left is None:
        return words("offer.unlimited")
    return words("offer.left", left=offer.stock_left)


def limit_facts(words: Words, offer: OfferView) -> list[tuple[str, str]]:
    """When it may be redeemed, how often by one person (and over which offers that is counted), and its budgets."""
    facts, comma, windows = [], words("fact.comma"), offer.redeem_windows
    if windows.weekdays:
        days = comma.join(words(f"weekday.{day}") for day in sorted(windows.weekdays))
        facts.append((words("fact.redeem_weekdays"), days))
    if windows.hours:
        facts.append((words("fact.redeem_hours"), comma.join(f"{a}–{b}" for a, b in windows.hours)))
    facts += _per_resident(words, offer)
    if offer.stock_per_day is not None:
        facts.append((words("fact.stock_per_day"), words("fact.a_day", count=offer.stock_per_day)))
    if isinstance(offer.budget_fen, int):
        facts.append((words("fact.budget"), worded("budget_fen", offer.budget_fen)))
    if isinstance(offer.budget_per_day_fen, int):
        facts.append((words("fact.budget_per_day"), worded("budget_fen", offer.budget_per_day_fen)))
    return facts


def _per_resident(words: Words, offer: OfferView) -> list[tuple[str, str]]:
    own = _caps(words, offer.per_resident_limit, offer.limits.per_resident_per_day,
                offer.limits.per_resident_per_week)  # fmt: skip
    shared = [(words("fact.shared_limit"), _shared(words, limit)) for limit in offer.shared_limits]
    return [(words("fact.limit"), own), *shared] if own else shared


def _shared(words: Words, limit: SharedLimit) -> str:
    key = "fact.shared_limit_of_campaign" if limit.campaign else "fact.shared_limit_is"
    return words(key, name=limit.name, caps=caps_of(words, limit))


def caps_of(words: Words, limit: SharedLimit) -> str:
    """A shared limit's caps, in a few words."""
    return _caps(words, limit.per_resident, limit.per_resident_per_day, limit.per_resident_per_week)


def _caps(words: Words, total: int | None, per_day: int | None, per_week: int | None) -> str:
    caps = {"fact.limit_is": total, "fact.limit_a_day": per_day, "fact.limit_a_week": per_week}
    return words("fact.comma").join(words(key, limit=cap) for key, cap in caps.items() if cap is not None)


def usage_shown(words: Words, offer: OfferView) -> dict[str, Any] | None:
    """How far each limit has come, and what binds each resident; None where nothing is limited."""
    rows = [_usage_row(words, usage) for usage in offer.usage] if isinstance(offer.usage, list) else []
    per_resident = _per_resident(words, offer)
    return {"rows": rows, "per_resident": per_resident} if rows or per_resident else None


def _usage_row(words: Words, usage: Usage) -> dict[str, Any]:
    unit = "amount_fen" if usage.limit.endswith("_fen") else "count"
    return {
        "name": words(f"usage.{usage.limit}"),
        "used": worded(unit, usage.used),
        "cap": worded(unit, usage.cap),
        "value": min(usage.used, usage.cap),
        "max": usage.cap or 1,
        "held": words("usage.held", held=worded(unit, usage.held)) if usage.held else None,
        "resets": words("usage.resets", at=when(usage.resets_at)) if usage.resets_at else None,
        "full": usage.used >= usage.cap,
    }
