"""The form of an offer: typed fields into a change of its terms, and its terms into fields.

A field that makes no sense for the kind is not in the form, and what an offer says there stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from marketplace import clock
from marketplace.errors import FieldError, Invalid
from marketplace.offers.benefits import Kind, benefit_from, check_part
from marketplace.offers.terms import Change, Terms, capture, change_from
from marketplace.offers.view import OfferView
from marketplace.offers.windows import end_from, start_from
from web.pages.forms import Typed, as_hundredths, hundredths, rate_bp, whole
from web.pages.limit_form import LIMIT_FIELDS, limit_fields_of, limits_of
from web.pages.rule_form import draft_of, rule_text, typed_draft


class BenefitField(NamedTuple):
    """A field of a benefit: how it is typed, whether it must be there, whether it is one of several to choose from."""

    name: str
    typed_as: str
    needed: bool = True
    one_of: bool = False


BENEFIT: Final[dict[Kind, tuple[BenefitField, ...]]] = {
    "cash_coupon": (BenefitField("amount_fen", "yuan"),),
    "discount": (BenefitField("off_bp", "rate"), BenefitField("cap_fen", "yuan", needed=False)),
    "gift": (BenefitField("item", "text"), BenefitField("value_fen", "yuan")),
    "ticket": (BenefitField("admits", "whole"), BenefitField("value_fen", "yuan")),
    "transit": (BenefitField("amount_fen", "yuan"),),
    "code": (BenefitField("value_fen", "yuan"),),
    "rate_perk": (
        BenefitField("product", "text"),
        BenefitField("term_months", "whole", needed=False),
        BenefitField("off_bp", "rate", needed=False, one_of=True),
        BenefitField("voucher_fen", "yuan", needed=False, one_of=True),
        BenefitField("line_uplift_bp", "rate", needed=False, one_of=True),
    ),
    "donation": (BenefitField("cause", "text"), BenefitField("value_fen", "yuan")),
}
_READ: Final = {"yuan": hundredths, "rate": rate_bp, "whole": whole}
_TEXTS: Final = ("title", "summary", "terms", "starts_at", "ends_at")
_INSTANTS: Final = {"starts_at": start_from, "ends_at": end_from}
_AT_TILL: Final = ("conditions.min_bill_fen", "hours_from", "hours_to")


def known_kind(given: str) -> Kind | None:
    """The kind of that name, if there is one."""
    return next((kind for kind in BENEFIT if kind == given), None)


def at_till(kind: Kind) -> bool:
    """Whether coupons of the kind are used at a till: only then have stores, hours and a minimum bill a meaning."""
    return capture(Terms(kind=kind)) == "on_verification"


def keeps(kind: Kind) -> bool:
    """Whether the resident has something that is good for some days."""
    return kind != "donation"


def _wholes(kind: Kind) -> tuple[str, ...]:
    return ("price_g", "stock_total", "per_resident_limit", *(("coupon_valid_days",) if keeps(kind) else ()))


# ------------------------------------------------------------------ what was typed
def change_of(form: Typed, *, kind: Kind) -> Change:
    """The change that the form asks for. Raises Invalid with every field that is wrong, not only the first."""
    errors: list[FieldError] = []
    given: dict[str, Any] = {name: form[name] or None for name in _TEXTS}
    for name in _wholes(kind):
        given[name] = _try(errors, whole, form[name], field=name)
    benefit = _benefit(form, kind, errors)
    if at_till(kind):
        given["conditions"] = _conditions(form, errors)
        given["stores"] = form.all("stores") or None
    given["eligibility"] = _try(errors, rule_text, form)
    given |= limits_of(form, errors, _try)
    if "funding" in form:
        given["funding"] = {"campaign": form["funding"]} if form["funding"] else None
    for name, value in given.items():
        _try(errors, change_from, {name: value})
        if name in _INSTANTS and value:
            _try(errors, _INSTANTS[name], value)
    if errors:
        raise Invalid(*errors)
    return change_from({**given, "kind": kind, "benefit": benefit})


def _conditions(form: Typed, errors: list[FieldError]) -> dict[str, Any]:
    field = "conditions.min_bill_fen"
    least = _try(errors, hundredths, form[field], field=field)
    return {
        "weekdays": [int(day) for day in form.all("weekdays") if day in tuple("1234567")],
        "hours": [[form["hours_from"], form["hours_to"]]] if form["hours_from"] or form["hours_to"] else [],
    } | ({} if least is None else {"min_bill_fen": least})


def _benefit(form: Typed, kind: Kind, errors: list[FieldError]) -> dict[str, Any] | None:
    benefit: dict[str, Any] = {}
    before = len(errors)
    for part in BENEFIT[kind]:
        field = f"benefit.{part.name}"
        read = _READ.get(part.typed_as)
        value = _try(errors, read, form[field], field=field) if read else form[field] or None
        if value is not None:
            benefit[part.name] = value
            _try(errors, check_part, value, kind=kind, name=part.name)
    if not benefit and len(errors) == before:
        return None
    errors += [
        FieldError(f"benefit.{part.name}", "required")
        for part in BENEFIT[kind]
        if part.needed and not form[f"benefit.{part.name}"]
    ]
    if len(errors) == before:  # what remains to be said is about the parts together
        _try(errors, benefit_from, benefit, kind=kind)
    return benefit


def _try(errors: list[FieldError], read: Callable[..., Any], *given: Any, **named: Any) -> Any:
    try:
        return read(*given, **named)
    except Invalid as wrong:
        errors += wrong.errors
        return None


def at_fields(errors: Iterable[FieldError], *, kind: Kind) -> list[FieldError]:
    """The errors, each at the field of the form that it is about."""
    return [FieldError(_at(error, kind), error.code) for error in errors]


def _at(error: FieldError, kind: Kind) -> str:
    if error.code == "exactly_one_perk":
        return "perk"
    if error.field == "benefit":
        return f"benefit.{BENEFIT[kind][0].name}"
    if error.field in ("conditions", "conditions.hours.0.0"):
        return "hours_from"
    if error.field == "conditions.hours.0.1":
        return "hours_to"
    if error.field.startswith("redeem_windows"):
        return "redeem_to" if error.field == "redeem_windows.hours.0.1" else "redeem_from"
    if error.field.startswith(("stores.", "funding.")):
        return error.field.split(".", maxsplit=1)[0]
    return error.field


# ------------------------------------------------------------------ what the form shows
def fields_of(offer: OfferView) -> dict[str, Any]:
    """The fields that show an offer's terms as they are."""
    benefit = offer.benefit or {}
    fields: dict[str, Any] = {
        "title": offer.title or "", "summary": offer.summary, "terms": offer.terms,
        "starts_at": start_typed(offer.starts_at), "ends_at": end_typed(offer.ends_at),
        "rule": draft_of(offer.eligibility),
        "funding": str(offer.funding.campaign or ""),
        "weekdays": [str(day) for day in offer.conditions.weekdays],
        "stores": [str(store.id) for store in offer.stores],
        **limit_fields_of(offer),
    }  # fmt: skip
    if at_till(offer.kind):
        hours = offer.conditions.hours[0] if offer.conditions.hours else ("", "")
        shown = (as_hundredths(offer.conditions.min_bill_fen), *hours)
        fields |= dict(zip(_AT_TILL, shown, strict=True))
    for name in _wholes(offer.kind):
        fields[name] = _digits(getattr(offer, name))
    for part in BENEFIT[offer.kind]:
        value = benefit.get(part.name)
        typed = as_hundredths if part.typed_as in ("yuan", "rate") else _digits
        fields[f"benefit.{part.name}"] = typed(value)
    return fields


def _digits(value: Any) -> str:
    return "" if value is None else str(value)


def empty_fields(kind: Kind) -> dict[str, Any]:
    """The fields of a new offer."""
    benefit = (f"benefit.{part.name}" for part in BENEFIT[kind])
    names = (
        *_TEXTS,
        *_wholes(kind),
        *(_AT_TILL if at_till(kind) else ()),
        *benefit,
        *LIMIT_FIELDS,
        "funding",
    )
    valid = {"coupon_valid_days": "30"} if keeps(kind) else {}
    several: dict[str, Any] = {"weekdays": [], "redeem_weekdays": [], "stores": []}
    return {**dict.fromkeys(names, ""), **valid, **several, "rule": draft_of(None)}


def typed_fields(form: Typed, *, kind: Kind) -> dict[str, Any]:
    """The fields as they were typed."""
    fields = {name: form[name] for name in empty_fields(kind)}
    several = {name: form.all(name) for name in ("weekdays", "redeem_weekdays", "stores")}
    return {**fields, **several, "rule": typed_draft(form)}


def editable(offer: OfferView) -> bool:
    """Whether this form can show all that the offer says."""
    return len(offer.conditions.hours) <= 1 and len(offer.redeem_windows.hours) <= 1


def start_typed(instant: datetime | None) -> str:
    """The beginning of a window as its field shows it: a date where it is one."""
    if instant is None:
        return ""
    local = instant.astimezone(clock.SHANGHAI)
    return (
        local.date().isoformat()
        if (local.hour, local.minute, local.second) == (0, 0, 0)
        else local.isoformat()
    )


def end_typed(instant: datetime | None) -> str:
    """The end of a window as its field shows it: the last day where it lasts through one."""
    if instant is None:
        return ""
    day = clock.local_day(instant - timedelta(seconds=1))
    return (
        day.isoformat()
        if clock.end_of_day(day) == instant
        else instant.astimezone(clock.SHANGHAI).isoformat()
    )
