"""Making an offer step by step: every step is a page whose form saves the draft, and goes on or back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.errors import Invalid, NotFound, Refused
from marketplace.ids import is_fresh, new_id
from marketplace.offers import lifecycle
from marketplace.offers.benefits import Kind
from marketplace.offers.catalogue import publisher_offer
from marketplace.offers.eligibility import Eligibility
from marketplace.offers.view import OfferView
from merchants.publishing import require
from web.access import Staff
from web.pages.forms import AnyRequest, Typed, typed
from web.pages.offer_form import editable, empty_fields, fields_of, known_kind, typed_fields
from web.pages.offer_page import SUBMITTABLE
from web.pages.rendering import back, words_of
from web.pages.wizard_page import kept_part, step_page, title_of
from web.pages.wizard_steps import STEPS, change_in, typed_over

_STEP = "/publisher/offers/{offer_id:uuid}/steps/{step:str}"
_CLASH = "offer_edited_meanwhile"


@get("/publisher/offers/new/{kind:str}", include_in_schema=False)
async def begin(staff: NamedDependency[Staff], kind: FromPath[str]) -> Redirect:
    """The first step of a new offer, under an id that its draft will have: sent twice, it is one draft."""
    require(staff.role, "publish")
    if known_kind(kind) is None:
        raise NotFound
    return back(f"/publisher/offers/{new_id()}/steps/benefit?kind={kind}")


@get(_STEP, include_in_schema=False)
async def show(
    request: AnyRequest, staff: NamedDependency[Staff], offer_id: FromPath[UUID], step: FromPath[str]
) -> Response[Any]:
    """One step, with what the draft says."""
    require(staff.role, "publish")
    draft = await _draft(staff, offer_id)
    if draft is None:
        kind = known_kind(request.query_params.get("kind", ""))
        if kind is None or step != "benefit" or not is_fresh(offer_id):
            raise NotFound
        return await step_page(request, staff, step, kind, empty_fields(kind), offer=None, at=offer_id)
    if not _in_steps(draft):
        return back(f"/publisher/offers/{offer_id}")
    if step not in STEPS:
        raise NotFound
    return await step_page(request, staff, step, draft.kind, fields_of(draft), offer=draft, at=offer_id)


@post(_STEP, include_in_schema=False, status_code=200)
async def save(
    request: AnyRequest, staff: NamedDependency[Staff], offer_id: FromPath[UUID], step: FromPath[str],
    eligibility: NamedDependency[Eligibility],
) -> Response[Any]:  # fmt: skip
    """Save the step, then go where was asked for: on, back, to be submitted, or nowhere, when a page saves itself."""
    require(staff.role, "publish")
    form, draft = await typed(request), await _draft(staff, offer_id)
    kind = draft.kind if draft else known_kind(form["kind"])
    if kind is None or step not in STEPS or (draft is None and (step != "benefit" or not is_fresh(offer_id))):
        raise NotFound
    if draft and not _in_steps(draft):
        return back(f"/publisher/offers/{offer_id}", refused=Refused("offer_not_in_state"))
    shown = fields_of(draft) if draft else empty_fields(kind)
    fields = typed_over(step, shown, typed_fields(form, kind=kind))
    if form["rule_do"]:
        return await step_page(request, staff, step, kind, fields, offer=draft, at=offer_id)
    keeping = form["then"] == "keep"
    try:
        draft = await _saved(request, staff, step, form, kind, draft, offer_id)
        if form["then"] == "submit":
            return await _submitted(staff, draft, eligibility)
    except Invalid as wrong:
        if keeping:
            return await kept_part(request, kind, draft, wrong=wrong)
        return await step_page(request, staff, step, kind, fields, offer=draft, at=offer_id, wrong=wrong)
    except Refused as refused:
        if refused.code != _CLASH:
            return back(f"/publisher/offers/{offer_id}", refused=refused)
        draft = await publisher_offer(publisher=staff.publisher, offer=offer_id)
        if keeping:
            return await kept_part(request, kind, None, clash=refused)
        return await step_page(request, staff, step, kind, fields, offer=draft, at=offer_id, clash=refused)
    if keeping:
        return await kept_part(request, kind, draft)
    return back(f"/publisher/offers/{offer_id}/steps/{form['then'] if form['then'] in STEPS else step}")


async def _draft(staff: Staff, offer: UUID) -> OfferView | None:
    try:
        return await publisher_offer(publisher=staff.publisher, offer=offer)
    except NotFound:
        return None


def _in_steps(offer: OfferView) -> bool:
    return offer.status in SUBMITTABLE and editable(offer)


async def _saved(
    request: AnyRequest, staff: Staff, step: str, form: Typed, kind: Kind, draft: OfferView | None, at: UUID
) -> OfferView:
    actor, words = f"staff:{staff.id}", words_of(request)
    change = title_of(words, step, change_in(step, form, kind=kind, offer=draft), kind=kind, offer=draft)
    if draft is None:
        try:
            return await lifecycle.create_draft(
                publisher=staff.publisher, change=change, actor=actor, offer=at
            )
        except Refused:  # its twin was quicker, and the draft is there
            draft = await publisher_offer(publisher=staff.publisher, offer=at)
            change = title_of(
                words, step, change_in(step, form, kind=kind, offer=draft), kind=kind, offer=draft
            )
    return await lifecycle.edit(
        publisher=staff.publisher, offer=at, change=change, actor=actor, seen=seen_version(form) or 1
    )


def seen_version(form: Typed) -> int | None:
    """The version of the terms that a form was filled from; None where it says nothing."""
    given = form["version"]
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None


async def _submitted(staff: Staff, draft: OfferView, eligibility: Eligibility) -> Redirect:
    await lifecycle.submit(
        publisher=staff.publisher, offer=draft.id, actor=f"staff:{staff.id}", eligibility=eligibility
    )
    return back("/publisher/offers")


HANDLERS = [begin, show, save]
