"""The steps in which an offer is made on a phone: which fields each asks for, and what it sets.

A step's form is the whole form with what its page does not show filled in from the draft, so that both read alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from litestar.datastructures import MultiDict

from marketplace import clock
from marketplace.offers.benefits import Kind
from marketplace.offers.terms import Change, change_from
from marketplace.offers.view import OfferView
from web.pages.forms import Typed
from web.pages.offer_form import at_till, change_of, empty_fields, fields_of, keeps

STEPS: Final = ("benefit", "price", "audience", "limits", "window", "stores", "review")
_SETS: Final[dict[str, tuple[str, ...]]] = {
    "benefit": ("benefit", "conditions"),
    "price": ("price_g", "funding"),
    "audience": ("eligibility",),
    "limits": ("stock_total", "per_resident_limit", "stock_per_day", "budget_fen", "budget_per_day_fen", "limits",
               "redeem_windows"),
    "window": ("starts_at", "ends_at", "coupon_valid_days", "conditions"),
    "stores": ("stores",),
    "review": ("title", "summary", "terms"),
}  # fmt: skip
# Two steps set the conditions: one asks for the bill, the other for the times.
_ASKED_LATER: Final = ("weekdays", "hours_from", "hours_to")

# What a draft begins with: a trial that cannot run away, all of it in plain sight before it is submitted.
FIRST_STOCK: Final = 100
FIRST_DAYS: Final = 90


def steps_of(kind: Kind, *, stores: int) -> tuple[str, ...]:
    """The steps that an offer of `kind` has; where it holds is asked for where there is a choice."""
    return tuple(step for step in STEPS if step != "stores" or (at_till(kind) and stores > 1))


def first_change(kind: Kind) -> dict[str, Any]:
    """What a new draft of `kind` begins with."""
    last = clock.local_day(clock.now()) + timedelta(days=FIRST_DAYS)
    given: dict[str, Any] = {"kind": kind, "ends_at": last.isoformat()}
    if keeps(kind):
        given["per_resident_limit"] = 1
    return given | ({"stock_total": FIRST_STOCK} if at_till(kind) else {})


def change_in(step: str, form: Typed, *, kind: Kind, offer: OfferView | None) -> Change:
    """What the form of `step` sets, and nothing else. Raises Invalid with every field that is wrong."""
    shown = fields_of(offer) if offer else empty_fields(kind)
    change = change_of(_filled(step, form, shown), kind=kind)
    if offer is None:
        given = first_change(kind) | ({"benefit": change.benefit} if change.benefit else {})
        return change_from(given | ({"conditions": change.conditions} if change.conditions else {}))
    sets = (name for name in _SETS[step] if name != "funding" or "funding" in form)
    return Change(**{name: getattr(change, name) for name in sets})


def _filled(step: str, form: Typed, shown: dict[str, Any]) -> Typed:
    rest = {name for name, value in shown.items() if isinstance(value, (str, list)) and step_at(name) != step}
    fields: MultiDict[str] = MultiDict()
    for name in rest:
        value = shown[name]
        for one in value if isinstance(value, list) else [value]:
            fields.add(name, one)
    for name in form:
        if name not in rest:
            for one in form.all(name):
                fields.add(name, one)
    return Typed(fields)


def step_at(field: str) -> str:
    """The step at which a field (or what is missing) is asked for."""
    if field in _ASKED_LATER:
        return "window"
    if field.startswith(("redeem_", "limits.")):
        return "limits"
    name = field.split(".", maxsplit=1)[0]
    return next(
        (step for step in STEPS if name in _SETS[step]), "audience" if name.startswith("rule") else "review"
    )


def typed_over(step: str, shown: dict[str, Any], typed: dict[str, Any]) -> dict[str, Any]:
    """The fields of a page as they were typed at `step`, the others as they are."""
    at_step = {name: value for name, value in typed.items() if step_at(name) == step}
    return {**shown, **at_step, "rule": typed["rule"] if step == "audience" else shown["rule"]}


def beside(steps: Sequence[str], step: str) -> tuple[str | None, str | None]:
    """The steps before and after `step`."""
    at = steps.index(step)
    return (steps[at - 1] if at else None), (steps[at + 1] if at + 1 < len(steps) else None)
