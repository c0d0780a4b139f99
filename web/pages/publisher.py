"""A publisher's offers: the list, the form, and the steps of an offer's life."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from marketplace.errors import ChutanError, Invalid, NotFound
from marketplace.offers import lifecycle
from marketplace.offers.catalogue import publisher_offer, publisher_offers
from marketplace.offers.eligibility import Eligibility
from marketplace.offers.view import OfferView
from marketplace.publishers import stores
from merchants.publishing import may, require
from web.access import Staff
from web.pages.forms import AnyRequest, typed
from web.pages.offer_form import (
    BENEFIT,
    FORM_KINDS,
    change_of,
    editable,
    empty_fields,
    fields_of,
    typed_fields,
)
from web.pages.rendering import back, page, words_of
from web.pages.showing import offer_card, offer_details

_STEPS = {
    "draft": ("submit",), "rejected": ("submit",), "approved": ("end",), "live": ("pause", "end"),
    "sold_out": ("pause", "end"), "paused": ("resume", "end"),
}  # fmt: skip
_EDITABLE = {"draft", "rejected", "approved", "live", "sold_out", "paused"}


@get("/publisher/offers", include_in_schema=False)
async def offers(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """All offers of the publisher."""
    require(staff.role, "read_offers")
    words = words_of(request)
    found = await publisher_offers(
        publisher=staff.publisher, limit=50, cursor=request.query_params.get("cursor") or None
    )
    return await page(
        request, "publisher/offers.html", area="publisher", may_publish=may(staff.role, "publish"),
        offers=[{**offer_card(words, offer), "steps": _STEPS.get(offer.status, ())} for offer in found.items],
        next_cursor=found.next_cursor,
    )  # fmt: skip


@get("/publisher/offers/new", include_in_schema=False)
async def new(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """Choose a kind, then fill in the form."""
    require(staff.role, "publish")
    kind = request.query_params.get("kind", "")
    if kind not in FORM_KINDS:
        words = words_of(request)
        kinds = [
            {"kind": one, "words": words(f"kind.{one}"), "detail": words(f"kind.{one}_detail")}
            for one in FORM_KINDS
        ]
        return await page(request, "publisher/kinds.html", area="publisher", kinds=kinds)
    return await _form(request, staff, kind, empty_fields(kind))


@post("/publisher/offers/new", include_in_schema=False)
async def create(
    request: AnyRequest, staff: NamedDependency[Staff], eligibility: NamedDependency[Eligibility]
) -> Response[Any]:
    """Keep a draft, and submit it where that was asked for."""
    require(staff.role, "publish")
    form = await typed(request)
    kind = form["kind"]
    if kind not in FORM_KINDS:
        raise NotFound
    try:
        draft = await lifecycle.create_draft(
            publisher=staff.publisher, change=change_of(form, kind=kind), actor=f"staff:{staff.id}"
        )
    except Invalid as wrong:
        return await _form(request, staff, kind, typed_fields(form, kind=kind), wrong=wrong)
    return await _after_saving(request, staff, draft, eligibility, submit=form["then"] == "submit")


@get("/publisher/offers/{offer_id:uuid}", include_in_schema=False)
async def edit_form(
    request: AnyRequest, staff: NamedDependency[Staff], offer_id: FromPath[UUID]
) -> Response[str]:
    """The offer in the form; one that cannot be edited here is shown."""
    require(staff.role, "read_offers")
    offer = await publisher_offer(publisher=staff.publisher, offer=offer_id)
    if may(staff.role, "publish") and _may_edit(offer):
        return await _form(request, staff, offer.kind, fields_of(offer), offer=offer)
    return await page(
        request, "publisher/offer.html", area="publisher", offer=offer_details(words_of(request), offer)
    )


@post("/publisher/offers/{offer_id:uuid}", include_in_schema=False)
async def edit(
    request: AnyRequest,
    staff: NamedDependency[Staff],
    offer_id: FromPath[UUID],
    eligibility: NamedDependency[Eligibility],
) -> Response[Any]:
    """Change the offer's terms."""
    require(staff.role, "publish")
    form = await typed(request)
    offer = await publisher_offer(publisher=staff.publisher, offer=offer_id)
    if not editable(offer):
        raise NotFound
    try:
        after = await lifecycle.edit(
            publisher=staff.publisher, offer=offer_id, change=change_of(form, kind=offer.kind),
            actor=f"staff:{staff.id}", eligibility=eligibility,
        )  # fmt: skip
    except Invalid as wrong:
        return await _form(
            request, staff, offer.kind, typed_fields(form, kind=offer.kind), offer=offer, wrong=wrong
        )
    except ChutanError as refused:
        return back(f"/publisher/offers/{offer_id}", refused=refused)
    return await _after_saving(request, staff, after, eligibility, submit=form["then"] == "submit")


@post("/publisher/offers/{offer_id:uuid}/{step:str}", include_in_schema=False)
async def move(
    request: AnyRequest, staff: NamedDependency[Staff], offer_id: FromPath[UUID], step: FromPath[str],
    eligibility: NamedDependency[Eligibility],
) -> Response[Any]:  # fmt: skip
    """Submit, pause, resume or end the offer."""
    require(staff.role, "publish")
    verbs = {"pause": lifecycle.pause, "resume": lifecycle.resume, "end": lifecycle.end}
    if step == "submit":
        offer = await publisher_offer(publisher=staff.publisher, offer=offer_id)
        return await _after_saving(request, staff, offer, eligibility, submit=True)
    if step not in verbs:
        raise NotFound
    try:
        await verbs[step](publisher=staff.publisher, offer=offer_id, actor=f"staff:{staff.id}")
    except ChutanError as refused:
        return back("/publisher/offers", refused=refused)
    return back("/publisher/offers")


async def _after_saving(
    request: AnyRequest, staff: Staff, offer: OfferView, eligibility: Eligibility, *, submit: bool
) -> Response[Any]:
    if submit and offer.status in ("draft", "rejected"):
        try:
            await lifecycle.submit(publisher=staff.publisher, offer=offer.id, actor=f"staff:{staff.id}",
                                   eligibility=eligibility)  # fmt: skip
        except Invalid as wrong:
            if not editable(offer):
                return back("/publisher/offers", refused=wrong)
            return await _form(request, staff, offer.kind, fields_of(offer), offer=offer, wrong=wrong)
        except ChutanError as refused:
            return back("/publisher/offers", refused=refused)
    return back("/publisher/offers")


async def _form(
    request: AnyRequest, staff: Staff, kind: str, fields: dict[str, Any], *,
    offer: OfferView | None = None, wrong: Invalid | None = None,
) -> Response[str]:  # fmt: skip
    words = words_of(request)
    errors = words.errors(wrong.errors) if wrong else {}
    shown = {*fields, "benefit", "conditions"}
    return await page(
        request, "publisher/offer_form.html", area="publisher", status=400 if wrong else 200,
        kind=kind, kind_words=words(f"kind.{kind}"), fields=fields, benefit=BENEFIT[kind],
        errors=errors, other_errors=[f"{field}: {why}" for field, why in errors.items() if field not in shown],
        own_stores=await stores(publisher=staff.publisher),
        action=f"/publisher/offers/{offer.id}" if offer else "/publisher/offers/new",
        can_submit=offer is None or offer.status in ("draft", "rejected"),
        reason=offer.reason if offer and isinstance(offer.reason, str) else None,
        status_words=words(f"status.{offer.status}") if offer else None,
    )  # fmt: skip


def _may_edit(offer: OfferView) -> bool:
    return offer.status in _EDITABLE and editable(offer)


HANDLERS = [offers, new, create, edit_form, edit, move]
