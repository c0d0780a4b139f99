"""The operator's desk: offers to approve, settlement, and the audit."""

from __future__ import annotations

from contextlib import nullcontext
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace import db
from marketplace.audit import audit
from marketplace.errors import ChutanError
from marketplace.offers.catalogue import submitted_offers
from marketplace.offers.eligibility import Eligibility
from marketplace.offers.lifecycle import approve, reject
from marketplace.registry import Registry
from marketplace.settlement import counts, settle
from merchants.reviewing import reviews
from web.access import Operator, province_only
from web.pages.forms import AnyRequest, typed
from web.pages.rendering import back, page, words_of
from web.pages.reviewing import review_shown
from web.pages.showing import offer_details, payers


@get("/operator", include_in_schema=False)
async def door() -> Redirect:
    """Where an operator begins."""
    return Redirect("/operator/approvals", status_code=303)


@get("/operator/approvals", include_in_schema=False)
async def approvals(
    request: AnyRequest, operator: NamedDependency[Operator], eligibility: NamedDependency[Eligibility]
) -> Response[str]:
    """The offers that wait for the operator, as residents would read them, with what should be looked at."""
    words = words_of(request)
    names = await payers(words)
    found = await submitted_offers(
        limit=50, cursor=request.query_params.get("cursor") or None, city=operator.city
    )
    reviewed = await reviews(found.items, eligibility=eligibility)
    return await page(
        request, "operator/approvals.html", area="operator",
        offers=[
            offer_details(words, offer, payers=names) | review_shown(words, offer, reviewed[offer.id], payers=names)
            for offer in found.items
        ],
        next_cursor=found.next_cursor,
    )  # fmt: skip


@post("/operator/approvals/{offer_id:uuid}/approve", include_in_schema=False, status_code=303)
async def admit(
    request: AnyRequest, operator: NamedDependency[Operator], offer_id: FromPath[UUID]
) -> Redirect:
    """Approve a submitted offer."""
    try:
        await approve(offer=offer_id, actor=operator.actor, city=operator.city)
    except ChutanError as refused:
        return back("/operator/approvals", refused=refused)
    return back("/operator/approvals")


@post("/operator/approvals/{offer_id:uuid}/reject", include_in_schema=False, status_code=303)
async def send_back(
    request: AnyRequest, operator: NamedDependency[Operator], offer_id: FromPath[UUID]
) -> Redirect:
    """Reject a submitted offer with a reason."""
    form = await typed(request)
    try:
        await reject(offer=offer_id, reason=form["reason"], actor=operator.actor, city=operator.city)
    except ChutanError as refused:
        return back("/operator/approvals", refused=refused)
    return back("/operator/approvals")


@get("/operator/settlement", include_in_schema=False, guards=[province_only])
async def settlement(request: AnyRequest, operator: NamedDependency[Operator]) -> Response[str]:
    """Consumption records by state: a second old, unless the operator has just settled."""
    words = words_of(request)
    with nullcontext() if "settled" in request.query_params else db.replica():
        found = await counts()
    shown = [
        {"words": words(f"settlement.{count.state}"), "records": count.records, "amount_g": count.amount_g}
        for count in found
    ]
    return await page(request, "operator/settlement.html", area="operator", counts=shown)


@post("/operator/settlement", include_in_schema=False, status_code=303, guards=[province_only])
async def settle_now(
    request: AnyRequest, operator: NamedDependency[Operator], registry: NamedDependency[Registry]
) -> Redirect:
    """Settle everything that was captured, which closes its reversal."""
    await settle(registry, everything=True)
    return back("/operator/settlement?settled")


@get("/operator/audit", include_in_schema=False, guards=[province_only])
async def audit_page(request: AnyRequest, operator: NamedDependency[Operator]) -> Response[str]:
    """Every invariant, checked now."""
    return await page(request, "operator/audit.html", area="operator", audit=await audit())


HANDLERS = [door, approvals, admit, send_back, settlement, settle_now, audit_page]
