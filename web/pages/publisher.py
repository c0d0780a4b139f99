"""A publisher's offers: the list, the form, and the steps of an offer's life."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.errors import ChutanError, Invalid, NotFound
from marketplace.offers import lifecycle
from marketplace.offers.catalogue import publisher_offer, publisher_offers
from marketplace.offers.eligibility import Eligibility
from marketplace.offers.view import OfferView
from marketplace.pools import low_pools
from merchants.publishing import may, require
from web.access import Staff
from web.pages.changes import changes_page
from web.pages.forms import AnyRequest, typed
from web.pages.offer_form import BENEFIT, change_of, editable, empty_fields, known_kind, typed_fields
from web.pages.offer_page import SUBMITTABLE, form_page, offer_page
from web.pages.rendering import back, page, words_of
from web.pages.showing import offer_card, payer_words, payers
from web.pages.wizard import seen_version
from web.pages.wizard_page import missing_words

_STEPS = {
    "draft": ("submit",), "rejected": ("submit",), "approved": ("end",), "live": ("pause", "end"),
    "sold_out": ("pause", "end"), "paused": ("resume", "end"),
}  # fmt: skip


@get("/publisher", include_in_schema=False)
async def door() -> Redirect:
    """Where a publisher begins."""
    return Redirect("/publisher/offers", status_code=303)


@get("/publisher/offers", include_in_schema=False)
async def offers(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """All offers of the publisher."""
    require(staff.role, "read_offers")
    words = words_of(request)
    found = await publisher_offers(
        publisher=staff.publisher, limit=50, cursor=request.query_params.get("cursor") or None
    )
    names = await payers(words)
    low = await low_pools([offer.id for offer in found.items])
    shown = [
        {
            **offer_card(words, offer),
            "steps": _STEPS.get(offer.status, ()),
            "payer": payer_words(words, offer, names) if offer.funding.campaign else None,
            "low": offer.id in low and offer.status != "ended",
            "missing": missing_words(words, offer),
        }
        for offer in found.items
    ]
    return await page(
        request, "publisher/offers.html", area="publisher", may_publish=may(staff.role, "publish"), offers=shown,
        next_cursor=found.next_cursor,
    )  # fmt: skip


@get("/publisher/offers/new", include_in_schema=False)
async def new(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """Choose a kind, then fill in the form."""
    require(staff.role, "publish")
    kind = known_kind(request.query_params.get("kind", ""))
    if kind is None:
        words = words_of(request)
        kinds = [
            {"kind": one, "words": words(f"kind.{one}"), "detail": words(f"kind.{one}_detail")}
            for one in BENEFIT
        ]
        return await page(request, "publisher/kinds.html", area="publisher", kinds=kinds)
    return await form_page(request, kind, empty_fields(kind), staff=staff)


@post("/publisher/offers/new", include_in_schema=False)
async def create(
    request: AnyRequest, staff: NamedDependency[Staff], eligibility: NamedDependency[Eligibility]
) -> Response[Any]:
    """Keep a draft, and submit it where that was asked for."""
    require(staff.role, "publish")
    form = await typed(request)
    kind = known_kind(form["kind"])
    if kind is None:
        raise NotFound
    if form["rule_do"]:
        return await form_page(request, kind, typed_fields(form, kind=kind), staff=staff)
    try:
        draft = await lifecycle.create_draft(
            publisher=staff.publisher, change=change_of(form, kind=kind), actor=f"staff:{staff.id}"
        )
    except Invalid as wrong:
        return await form_page(request, kind, typed_fields(form, kind=kind), staff=staff, wrong=wrong)
    if kind == "code":
        return back(f"/publisher/offers/{draft.id}#pool")
    return await _after_saving(request, staff, draft, eligibility, submit=form["then"] == "submit")


@get("/publisher/offers/{offer_id:uuid}", include_in_schema=False)
async def edit_form(
    request: AnyRequest, staff: NamedDependency[Staff], offer_id: FromPath[UUID]
) -> Response[str]:
    """The offer in the form; one that cannot be edited here is shown."""
    require(staff.role, "read_offers")
    return await offer_page(request, staff, await publisher_offer(publisher=staff.publisher, offer=offer_id))


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
    fields = typed_fields(form, kind=offer.kind)
    if form["rule_do"] or form["then"] == "again":
        return await form_page(request, offer.kind, fields, staff=staff, offer=offer)
    try:
        change = change_of(form, kind=offer.kind)
        if form["then"] == "review":
            return await changes_page(request, staff, offer, form, change, eligibility)
        after = await lifecycle.edit(
            publisher=staff.publisher, offer=offer_id, change=change, actor=f"staff:{staff.id}",
            eligibility=eligibility, seen=seen_version(form),
        )  # fmt: skip
    except Invalid as wrong:
        return await form_page(request, offer.kind, fields, staff=staff, offer=offer, wrong=wrong)
    except ChutanError as refused:
        if refused.code == "offer_edited_meanwhile":
            offer = await publisher_offer(publisher=staff.publisher, offer=offer_id)
            return await form_page(request, offer.kind, fields, staff=staff, offer=offer, clash=refused)
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
    if submit and offer.status in SUBMITTABLE:
        try:
            await lifecycle.submit(publisher=staff.publisher, offer=offer.id, actor=f"staff:{staff.id}",
                                   eligibility=eligibility)  # fmt: skip
        except Invalid as wrong:
            return await offer_page(request, staff, offer, wrong=wrong)
        except ChutanError as refused:
            return back("/publisher/offers", refused=refused)
    return back("/publisher/offers")


HANDLERS = [door, offers, new, create, edit_form, edit, move]
