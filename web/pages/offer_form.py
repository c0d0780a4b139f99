"""The form of an offer: typed fields into a change of its terms, and its terms into fields."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from marketplace import clock
from marketplace.errors import FieldError, Invalid
from marketplace.offers.benefits import benefit_from
from marketplace.offers.terms import Change, change_from
from marketplace.offers.view import OfferView
from web.pages.forms import Typed, as_hundredths, hundredths, whole

FORM_KINDS: Final = ("cash_coupon", "discount", "gift", "ticket")
# The benefit's fields by kind: the field of the benefit, how it is typed, and whether it must be there.
BENEFIT: Final[dict[str, tuple[tuple[str, str, bool], ...]]] = {
    "cash_coupon": (("amount_fen", "yuan", True),),
    "discount": (("off_bp", "percent", True), ("cap_fen", "yuan", False)),
    "gift": (("item", "text", True), ("value_fen", "yuan", True)),
    "ticket": (("admits", "whole", True), ("value_fen", "yuan", True)),
}
_TEXTS: Final = ("title", "summary", "terms", "starts_at", "ends_at")
_WHOLES: Final = ("price_g", "stock_total", "per_resident_limit", "coupon_valid_days")


def change_of(form: Typed, *, kind: str) -> Change:
    """The change that the form asks for. Raises Invalid with every field that is wrong, not only the first."""
    errors: list[FieldError] = []
    given: dict[str, Any] = {name: form[name] or None for name in _TEXTS}
    for name in _WHOLES:
        given[name] = _read(whole, form[name], name, errors)
    benefit = _benefit(form, kind, errors)
    weekdays = [int(day) for day in form.all("weekdays") if day in tuple("1234567")]
    least = _read(hundredths, form["conditions.min_bill_fen"], "conditions.min_bill_fen", errors)
    hours = [[form["hours_from"], form["hours_to"]]] if form["hours_from"] or form["hours_to"] else []
    given["conditions"] = {"weekdays": weekdays, "hours": hours} | (
        {} if least is None else {"min_bill_fen": least}
    )
    given["stores"] = form.all("stores") or None
    for name, value in given.items():
        try:
            change_from({name: value})
        except Invalid as wrong:
            errors += wrong.errors
    if errors:
        raise Invalid(*errors)
    return change_from({**given, "kind": kind, "benefit": benefit})


def _benefit(form: Typed, kind: str, errors: list[FieldError]) -> dict[str, Any] | None:
    benefit: dict[str, Any] = {}
    before = len(errors)
    for name, typed_as, _ in BENEFIT[kind]:
        field = f"benefit.{name}"
        read = {"yuan": hundredths, "percent": hundredths, "whole": whole}.get(typed_as)
        value = _read(read, form[field], field, errors) if read else form[field] or None
        if value is not None:
            benefit[name] = value
    if not benefit or len(errors) > before:
        return None
    missing = [name for name, _, needed in BENEFIT[kind] if needed and name not in benefit]
    errors += [FieldError(f"benefit.{name}", "required") for name in missing]
    if not missing:
        try:
            benefit_from(benefit, kind=kind)  # type: ignore[arg-type]
        except Invalid as wrong:
            errors += wrong.errors
    return benefit


def _read(read: Any, typed: str, field: str, errors: list[FieldError]) -> Any:
    try:
        return read(typed, field=field)
    except Invalid as wrong:
        errors += wrong.errors
        return None


def fields_of(offer: OfferView) -> dict[str, Any]:
    """The fields that show an offer's terms as they are."""
    benefit = offer.benefit or {}
    fields: dict[str, Any] = {
        "title": offer.title or "", "summary": offer.summary, "terms": offer.terms,
        "starts_at": _start(offer.starts_at), "ends_at": _end(offer.ends_at),
        "conditions.min_bill_fen": as_hundredths(offer.conditions.min_bill_fen),
        "weekdays": [str(day) for day in offer.conditions.weekdays],
        "hours_from": offer.conditions.hours[0][0] if offer.conditions.hours else "",
        "hours_to": offer.conditions.hours[0][1] if offer.conditions.hours else "",
        "stores": [str(store.id) for store in offer.stores],
    }  # fmt: skip
    fields |= {name: "" if (value := getattr(offer, name)) is None else str(value) for name in _WHOLES}
    for name, typed_as, _ in BENEFIT[offer.kind]:
        value = benefit.get(name)
        money = typed_as in ("yuan", "percent")
        fields[f"benefit.{name}"] = as_hundredths(value) if money else "" if value is None else str(value)
    return fields


def empty_fields(kind: str) -> dict[str, Any]:
    """The fields of a new offer."""
    names = (*_TEXTS, *_WHOLES, "conditions.min_bill_fen", "hours_from", "hours_to")
    benefit = (f"benefit.{name}" for name, _, _ in BENEFIT[kind])
    return {**dict.fromkeys((*names, *benefit), ""), "coupon_valid_days": "30", "weekdays": [], "stores": []}


def typed_fields(form: Typed, *, kind: str) -> dict[str, Any]:
    """The fields as they were typed."""
    fields = {name: form[name] for name in empty_fields(kind)}
    return {**fields, "weekdays": form.all("weekdays"), "stores": form.all("stores")}


def editable(offer: OfferView) -> bool:
    """Whether this form can show all that the offer says."""
    return offer.kind in FORM_KINDS and len(offer.conditions.hours) <= 1


def _start(instant: datetime | None) -> str:
    if instant is None:
        return ""
    local = instant.astimezone(clock.SHANGHAI)
    return (
        local.date().isoformat()
        if (local.hour, local.minute, local.second) == (0, 0, 0)
        else local.isoformat()
    )


def _end(instant: datetime | None) -> str:
    if instant is None:
        return ""
    day = clock.local_day(instant - timedelta(seconds=1))
    return (
        day.isoformat()
        if clock.end_of_day(day) == instant
        else instant.astimezone(clock.SHANGHAI).isoformat()
    )
