"""The page of one step of making an offer, and the part of it that changes when the page has saved itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Response
from msgspec import UNSET

from marketplace import clock
from marketplace.errors import FieldError, Invalid, Refused
from marketplace.offers.benefits import Kind
from marketplace.offers.pricing import suggested_price
from marketplace.offers.terms import Change
from marketplace.offers.view import OfferView
from web.access import Staff
from web.locale import LANGUAGES
from web.pages.differing import field_label
from web.pages.forms import AnyRequest
from web.pages.offer_form import at_fields
from web.pages.offer_page import clash_words, form_values
from web.pages.previewing import preview_of
from web.pages.rendering import Words, page, when, words_of
from web.pages.showing import benefit_words
from web.pages.wizard_steps import beside, step_at, steps_of

_LONGEST_TITLE: Final = 60


async def step_page(
    request: AnyRequest, staff: Staff, step: str, kind: Kind, fields: Mapping[str, Any], *, offer: OfferView | None,
    at: UUID, wrong: Invalid | None = None, clash: Refused | None = None,
) -> Response[str]:  # fmt: skip
    """The step with `fields`, every error at its field, and what the draft looks like so far."""
    words = words_of(request)
    suggestion = None
    if step == "price" and offer is not None:
        suggestion = await suggested_price(kind=kind, face_value_fen=offer.face_value_fen)
        if suggestion and not fields["price_g"] and not wrong:
            fields = {**fields, "price_g": str(suggestion.price_g)}
    values = await form_values(words, kind, fields, staff=staff, offer=offer, wrong=wrong)
    steps = steps_of(kind, stores=len(values["own_stores"]))
    before, after = beside(steps, step if step in steps else "review")
    return await page(
        request, "publisher/wizard.html", area="publisher", status=400 if wrong else 409 if clash else 200, **values,
        step=step, steps=[_step(words, n, one, step) for n, one in enumerate(steps, start=1)], before=before,
        after=after, action=f"/publisher/offers/{at}/steps/{step}", begun=offer is not None,
        place=f"/publisher/offers/{at}",
        suggestion=suggestion, clash=clash_words(words, kind, clash) if clash else None,
        reason=offer.reason if offer and isinstance(offer.reason, str) else None,
        missing=_missing(words, offer, wrong) if offer and step == "review" else [],
        **await _kept(words, offer),
    )  # fmt: skip


async def kept_part(
    request: AnyRequest, kind: Kind, offer: OfferView | None, *, wrong: Invalid | None = None,
    clash: Refused | None = None,
) -> Response[str]:  # fmt: skip
    """What changes on a page that has saved itself: that it has, or why not, and the preview."""
    words = words_of(request)
    problem = clash_words(words, kind, clash) if clash else None
    if wrong:
        errors = at_fields(wrong.errors, kind=kind)
        told = [f"{_label(words, kind, error)}：{words.errors([error])[error.field]}" for error in errors]
        problem = words("wizard.not_kept", why=words("fact.comma").join(dict.fromkeys(told)))
    values = await _kept(words, None if problem else offer)
    return await page(
        request, "publisher/kept.html", area="publisher",
        **values | {"version": offer.version if offer else "", "problem_words": problem},
    )  # fmt: skip


async def _kept(words: Words, offer: OfferView | None) -> dict[str, Any]:
    return {
        "kept_at": when(offer.edited_at if offer.edited_at is not UNSET else clock.now()) if offer else None,
        "offer": await preview_of(words, offer) if offer else None,
        "problem_words": None,
    }


def _step(words: Words, number: int, name: str, current: str) -> dict[str, Any]:
    return {"name": name, "number": number, "words": words(f"wizard.{name}"), "current": name == current}


def _label(words: Words, kind: Kind, error: FieldError) -> str:
    if error.field.startswith("rule."):
        return words("form.eligibility_rule")
    named = {"perk": "form.perk", "hours_from": "fact.hours", "hours_to": "fact.hours",
             "redeem_from": "fact.redeem_hours", "redeem_to": "fact.redeem_hours"}  # fmt: skip
    return words(named[error.field]) if error.field in named else field_label(words, kind, error.field)


def _missing(words: Words, offer: OfferView, wrong: Invalid | None) -> list[dict[str, str]]:
    """What keeps the draft from being submitted, and where each can be put right."""
    if wrong is not None:
        errors = at_fields(wrong.errors, kind=offer.kind)
    else:
        errors = [FieldError(field, "required") for field in offer.missing or ()]
    return [
        {"name": _label(words, offer.kind, error), "why": words.errors([error])[error.field],
         "step": step_at(error.field), "place": _elsewhere(offer, error.field)}
        for error in errors
    ]  # fmt: skip


def _elsewhere(offer: OfferView, field: str) -> str:
    if field == "codes":
        return f"/publisher/offers/{offer.id}/codes"
    return "/publisher/stores" if field == "stores" and not offer.stores else ""


def missing_words(words: Words, offer: OfferView) -> str | None:
    """What a draft lacks, in a few words; None if nothing."""
    missing = offer.missing or ()
    return words("fact.comma").join(field_label(words, offer.kind, field) for field in missing) or None


def title_of(words: Words, step: str, change: Change, *, kind: Kind, offer: OfferView | None) -> Change:
    """`change` with a title that says the benefit, as long as nobody has given the offer another.

    It stays in the language that it is in, whoever writes on.
    """
    if step != "benefit" or not change.benefit or not isinstance(change.benefit, dict):
        return change
    if offer is not None and offer.title:
        written = (one for one in map(Words, LANGUAGES) if offer.title == _title(one, kind, offer.benefit))
        own = next(written, None)
        if own is None:
            return change
        words = own
    return msgspec.structs.replace(change, title=_title(words, kind, change.benefit))


def _title(words: Words, kind: Kind, benefit: dict[str, Any] | None) -> str | None:
    return benefit_words(words, kind, benefit)[:_LONGEST_TITLE] if benefit else None


__all__ = ["kept_part", "missing_words", "step_page", "title_of"]
