"""The terms of an offer: what its publisher sets, how that is changed and checked, and what follows from it.

Money is in fen, reductions in grams, rates in basis points. A draft may be incomplete: what is missing is None.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from marketplace.errors import FieldError, Invalid, Refused
from marketplace.offers.benefits import (
    LINE,
    Benefit,
    CashCoupon,
    Discount,
    Fen,
    Kind,
    RatePerk,
    Transit,
    benefit_from,
    benefit_shown,
    checked,
)
from marketplace.offers.windows import Conditions, Windows, end_from, open_at, start_from

MAX_PRICE_G: Final = 1_000_000_000
MAX_UNITS: Final = 10_000_000
MAX_BILL_FEN: Final = 10_000_000_000
MAX_BUDGET_FEN: Final = 100_000_000_000
DEFAULT_VALID_DAYS: Final = 30

Capture = Literal["on_redemption", "on_consumption", "on_verification"]

# Text of several lines: no control characters but tab and line ends.
_PROSE: Final = r"^(?![\s\S]*[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f])"
_ADDRESS: Final = r"^(https://|/(?!/))[^\x00-\x20\"'<>\\\x7f-\x9f\s]+$(?!\n)"

Grams = Annotated[int, Meta(ge=1, le=MAX_PRICE_G)]
Units = Annotated[int, Meta(ge=1, le=MAX_UNITS)]
Budget = Annotated[int, Meta(ge=1, le=MAX_BUDGET_FEN)]
Days = Annotated[int, Meta(ge=1, le=366)]
Title = Annotated[str, Meta(max_length=60, pattern=LINE)]
Summary = Annotated[str, Meta(max_length=200, pattern=_PROSE)]
Prose = Annotated[str, Meta(max_length=5_000, pattern=_PROSE)]
Address = Annotated[str, Meta(max_length=500, pattern=_ADDRESS)]
Rule = Annotated[str, Meta(max_length=2_000, pattern=LINE)]
Stores = Annotated[tuple[UUID, ...], Meta(max_length=1_000)]


class Funding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who pays the face value: a campaign, else the publisher."""

    campaign: UUID | None = None


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How often a resident may take the offer in a day, and in a week from Monday, as Shanghai counts them."""

    per_resident_per_day: Units | None = None
    per_resident_per_week: Units | None = None


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An offer as its publisher set it. No stock, budget or limit is unlimited; the window is half-open, no start or
    end leaves it open; `stores` None stands for all that the publisher has when the offer is submitted.
    """

    kind: Kind
    title: Title | None = None
    summary: Summary = ""
    terms: Prose = ""
    image_url: Address | None = None
    price_g: Grams | None = None
    cash_fen: Fen = 0
    benefit: Benefit | None = None
    conditions: Conditions = Conditions()
    funding: Funding = Funding()
    stock_total: Units | None = None
    stock_per_day: Units | None = None
    budget_fen: Budget | None = None
    budget_per_day_fen: Budget | None = None
    per_resident_limit: Units | None = None
    limits: Limits = Limits()
    redeem_windows: Windows = Windows()
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    coupon_valid_days: Days = DEFAULT_VALID_DAYS
    stores: Stores | None = None
    eligibility: Rule | None = None


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a publisher sends: the fields to set, each whole; null sets a field back to its default."""

    kind: Kind | UnsetType = UNSET
    title: Title | None | UnsetType = UNSET
    summary: Summary | None | UnsetType = UNSET
    terms: Prose | None | UnsetType = UNSET
    image_url: Address | None | UnsetType = UNSET
    price_g: Grams | None | UnsetType = UNSET
    cash_fen: Fen | None | UnsetType = UNSET
    benefit: dict[str, Any] | None | UnsetType = UNSET
    conditions: Conditions | None | UnsetType = UNSET
    funding: Funding | None | UnsetType = UNSET
    stock_total: Units | None | UnsetType = UNSET
    stock_per_day: Units | None | UnsetType = UNSET
    budget_fen: Budget | None | UnsetType = UNSET
    budget_per_day_fen: Budget | None | UnsetType = UNSET
    per_resident_limit: Units | None | UnsetType = UNSET
    limits: Limits | None | UnsetType = UNSET
    redeem_windows: Windows | None | UnsetType = UNSET
    starts_at: str | None | UnsetType = UNSET
    ends_at: str | None | UnsetType = UNSET
    coupon_valid_days: Days | None | UnsetType = UNSET
    stores: Stores | None | UnsetType = UNSET
    eligibility: Rule | None | UnsetType = UNSET


def change_from(given: dict[str, Any]) -> Change:
    """What was sent, already parsed from JSON, as a Change. Raises Invalid with the field that is wrong."""
    change: Change = checked(given, Change)
    return change


def new_terms(change: Change) -> Terms:
    """The terms of a new draft; its kind must be given. Raises Invalid."""
    if change.kind is UNSET:
        raise Invalid(FieldError("kind", "required"))
    return changed(Terms(kind=change.kind), change)


def changed(terms: Terms, change: Change) -> Terms:
    """`terms` with what `change` gives. Another kind drops a benefit that is not of it.

    Raises Invalid: a bound, a benefit that is not of the kind, or an end that is not after the start.
    """
    given = {
        name: value for name in Change.__struct_fields__ if (value := getattr(change, name)) is not UNSET
    }
    kind = given.pop("kind", terms.kind)
    values = {name: getattr(terms, name) for name in Terms.__struct_fields__}
    if kind != terms.kind:
        values |= {"kind": kind, "benefit": None}
    benefit, start, end = (given.get(name) for name in ("benefit", "starts_at", "ends_at"))
    if benefit is not None:
        given["benefit"] = benefit_from(benefit, kind=kind)
    if start is not None:
        given["starts_at"] = start_from(start)
    if end is not None:
        given["ends_at"] = end_from(end)
    defaults = {name: getattr(Terms(kind=kind), name) for name, value in given.items() if value is None}
    # Through builtins, so that terms set in Python are held to the same bounds as those that came as JSON.
    result: Terms = checked(msgspec.to_builtins(Terms(**(values | given | defaults))), Terms)
    if result.starts_at is not None and result.ends_at is not None and result.ends_at <= result.starts_at:
        raise Invalid(FieldError("ends_at", "not_after_start"))
    if result.stores is not None and len(set(result.stores)) != len(result.stores):
        raise Invalid(FieldError("stores", "repeated"))
    return result


def terms_from(stored: Any) -> Terms:
    """The terms of a stored version."""
    return msgspec.convert(stored, Terms)


def check_whole(terms: Terms, *, cash_allowed: bool = False) -> list[FieldError]:
    """What keeps `terms` from being submitted, as far as they say it themselves; empty if nothing does."""
    errors = [
        FieldError(name, "required")
        for name in ("title", "price_g", "benefit")
        if getattr(terms, name) is None
    ]
    if terms.cash_fen > 0 and not cash_allowed:
        errors.append(FieldError("cash_fen", "cash_not_available"))
    if capture(terms) == "on_verification" and terms.stores is not None and not terms.stores:
        errors.append(FieldError("stores", "required"))
    budgets = {"budget_fen": terms.budget_fen, "budget_per_day_fen": terms.budget_per_day_fen}
    value_fen = face_value_fen(terms)
    if value_fen is not None:
        errors += [
            FieldError(name, "below_face_value")
            for name, budget in budgets.items()
            if budget and budget < value_fen
        ]
    elif terms.benefit is not None and (terms.funding.campaign is not None or any(budgets.values())):
        # A budget holds the face value, so it must have one.
        errors.append(FieldError("benefit.cap_fen", "required"))
    return errors


# ------------------------------------------------------------------ what follows from terms
def face_value_fen(terms: Terms) -> int | None:
    """The most that one coupon can be worth; None where the terms set no bound (or no benefit yet)."""
    match terms.benefit:
        case None:
            return None
        case CashCoupon(amount_fen=amount) | Transit(amount_fen=amount):
            return amount
        case Discount(cap_fen=cap):
            return cap
        case RatePerk(voucher_fen=voucher):
            return voucher or 0
        case valued:
            return valued.value_fen


def capture(terms: Terms) -> Capture:
    """When the grams are captured."""
    if terms.kind in {"code", "donation"}:
        return "on_redemption"
    return "on_consumption" if terms.kind == "rate_perk" else "on_verification"


def discount_fen(terms: Terms, bill_fen: int | None) -> int:
    """What a coupon under whole `terms` takes off a bill, in fen: never more than the bill where one is given.

    Raises Invalid when the discount is a share of the bill and none is given.
    """
    if bill_fen is not None and not 0 <= bill_fen <= MAX_BILL_FEN:
        raise Invalid(FieldError("bill_fen", "out_of_range"))
    if isinstance(terms.benefit, Discount):
        if bill_fen is None:
            raise Invalid(FieldError("bill_fen", "required"))
        share = bill_fen * terms.benefit.off_bp // 10_000
        return share if terms.benefit.cap_fen is None else min(share, terms.benefit.cap_fen)
    value = face_value_fen(terms) or 0
    return value if bill_fen is None else min(value, bill_fen)


def require_usable(terms: Terms, *, at: datetime, bill_fen: int | None) -> None:
    """Judge a coupon's use at a till by the conditions it was redeemed under.

    Raises Refused `outside_hours` or `minimum_bill_not_met`; Invalid when there is a minimum and no bill is given.
    """
    if not open_at(terms.conditions, at):
        raise Refused("outside_hours", weekdays=terms.conditions.weekdays, hours=terms.conditions.hours)
    least = terms.conditions.min_bill_fen
    if least is None:
        return
    if bill_fen is None:
        raise Invalid(FieldError("bill_fen", "required"))
    if bill_fen < least:
        raise Refused("minimum_bill_not_met", min_bill_fen=least)


__all__ = ["Benefit", "Capture", "Change", "Conditions", "Funding", "Kind", "Limits", "Terms", "benefit_shown",
           "capture", "change_from", "changed", "check_whole", "discount_fen", "face_value_fen", "new_terms",
           "open_at", "require_usable", "terms_from"]  # fmt: skip
