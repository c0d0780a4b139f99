"""The part of an offer's form that limits it: by day, by week, by money, and by the hours for redeeming."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from marketplace.errors import FieldError
from marketplace.offers.view import OfferView
from web.pages.forms import Typed, as_hundredths, hundredths, whole

_WHOLES: Final = ("stock_per_day", "limits.per_resident_per_day", "limits.per_resident_per_week")
_YUAN: Final = ("budget_fen", "budget_per_day_fen")
LIMIT_FIELDS: Final = (*_WHOLES, *_YUAN, "redeem_weekdays", "redeem_from", "redeem_to")

Try = Callable[..., Any]  # reads a field, or puts its error into the list


def limits_of(form: Typed, errors: list[FieldError], read: Try) -> dict[str, Any]:
    """What these fields ask for; errors are added to `errors`."""
    numbers = {name: read(errors, whole, form[name], field=name) for name in _WHOLES}
    numbers |= {name: read(errors, hundredths, form[name], field=name) for name in _YUAN}
    hours = [[form["redeem_from"], form["redeem_to"]]] if form["redeem_from"] or form["redeem_to"] else []
    nested = {name.partition(".")[2]: numbers.pop(name) for name in _WHOLES if "." in name}
    return {
        **numbers,
        "limits": {name: number for name, number in nested.items() if number is not None},
        "redeem_windows": {
            "weekdays": [int(day) for day in form.all("redeem_weekdays") if day in tuple("1234567")],
            "hours": hours,
        },
    }


def limit_fields_of(offer: OfferView) -> dict[str, Any]:
    """The fields that show an offer's limits as they are."""
    wholes = (offer.stock_per_day, offer.limits.per_resident_per_day, offer.limits.per_resident_per_week)
    budgets = (offer.budget_fen, offer.budget_per_day_fen)
    begin, end = offer.redeem_windows.hours[0] if offer.redeem_windows.hours else ("", "")
    return {
        **{name: "" if number is None else str(number) for name, number in zip(_WHOLES, wholes, strict=True)},
        **{name: as_hundredths(fen or None) for name, fen in zip(_YUAN, budgets, strict=True)},
        "redeem_weekdays": [str(day) for day in offer.redeem_windows.weekdays],
        "redeem_from": begin,
        "redeem_to": end,
    }
