"""The catalogue, for anyone; a publisher's own offers; and the operator's word on them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter

from marketplace.offers import catalogue, lifecycle
from marketplace.offers.catalogue import OfferPage
from marketplace.offers.eligibility import Eligibility
from marketplace.offers.terms import Change, change_from
from marketplace.offers.view import OfferView
from marketplace.pools import PoolReport, add_codes
from merchants import publishing
from web.access import AnyRequest, Operator, Resident, Staff
from web.described import takes
from web.locale import Language, preferred_language
from web.paging import Cursor, Limit
from web.reasons import with_words
from web.seen import exposed, opened


class Rejection(msgspec.Struct, forbid_unknown_fields=True):
    reason: str


class PoolUpload(msgspec.Struct, forbid_unknown_fields=True):
    codes: Annotated[list[str], msgspec.Meta(min_length=1, max_length=10_000)]


class OfferController(Controller):
    """Live offers; with a resident's token, judged exactly for that resident."""

    path = "/api/v1/offers"
    tags = ["offers"]

    @get()
    async def live(
        self,
        request: AnyRequest,
        visitor: NamedDependency[Resident | None],
        eligibility: NamedDependency[Eligibility],
        city: FromQuery[str | None] = None,
        kind: FromQuery[str | None] = None,
        publisher: FromQuery[UUID | None] = None,
        q: FromQuery[str | None] = None,
        affordable: FromQuery[bool] = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> OfferPage:
        """Live offers, newest first."""
        found = await catalogue.live_offers(
            city=city, kind=kind, publisher=publisher, q=q, limit=limit, cursor=cursor, affordable=affordable,
            resident=visitor.id if visitor else None, eligibility=eligibility,
        )  # fmt: skip
        exposed(request, [offer.id for offer in found.items])
        return OfferPage([with_words(_language(request), offer) for offer in found.items], found.next_cursor)

    @get("/{offer_id:uuid}")
    async def one(
        self,
        request: AnyRequest,
        offer_id: FromPath[UUID],
        visitor: NamedDependency[Resident | None],
        eligibility: NamedDependency[Eligibility],
    ) -> OfferView:
        """One offer."""
        found = await catalogue.public_offer(
            offer_id, resident=visitor.id if visitor else None, eligibility=eligibility
        )
        opened(request, offer_id)
        return with_words(_language(request), found)


class PublisherOfferController(Controller):
    """A publisher's own offers; drafts may be incomplete."""

    path = "/api/v1/publisher/offers"
    tags = ["publisher"]

    @get()
    async def own(self, staff: NamedDependency[Staff], limit: Limit = 20, cursor: Cursor = None) -> OfferPage:
        """All of them, newest first."""
        return await catalogue.publisher_offers(publisher=staff.publisher, limit=limit, cursor=cursor)

    @post(opt=takes(Change))
    async def create(self, data: JSONBody[dict[str, Any]], staff: NamedDependency[Staff]) -> OfferView:
        """A new draft."""
        publishing.require(staff.role, "publish")
        return await lifecycle.create_draft(
            publisher=staff.publisher, change=change_from(data), actor=staff.actor
        )

    @get("/{offer_id:uuid}")
    async def one(self, offer_id: FromPath[UUID], staff: NamedDependency[Staff]) -> OfferView:
        """One of its own."""
        return await catalogue.publisher_offer(publisher=staff.publisher, offer=offer_id)

    @patch("/{offer_id:uuid}", opt=takes(Change))
    async def edit(
        self,
        offer_id: FromPath[UUID],
        data: JSONBody[dict[str, Any]],
        staff: NamedDependency[Staff],
        eligibility: NamedDependency[Eligibility],
    ) -> OfferView:
        """Set the fields that are given; coupons out keep the terms they were redeemed under."""
        publishing.require(staff.role, "publish")
        return await lifecycle.edit(
            publisher=staff.publisher, offer=offer_id, change=change_from(data), actor=staff.actor,
            eligibility=eligibility,
        )  # fmt: skip

    @post("/{offer_id:uuid}/submit", status_code=200)
    async def submit(
        self,
        offer_id: FromPath[UUID],
        staff: NamedDependency[Staff],
        eligibility: NamedDependency[Eligibility],
    ) -> OfferView:
        """Ask for approval; the offer is validated whole."""
        publishing.require(staff.role, "publish")
        return await lifecycle.submit(
            publisher=staff.publisher, offer=offer_id, actor=staff.actor, eligibility=eligibility
        )

    @post("/{offer_id:uuid}/codes")
    async def add_codes(
        self, offer_id: FromPath[UUID], data: JSONBody[PoolUpload], staff: NamedDependency[Staff]
    ) -> PoolReport:
        """Add codes to the offer's pool; the same again add nothing."""
        publishing.require(staff.role, "publish")
        return await add_codes(publisher=staff.publisher, offer=offer_id, codes=data.codes, actor=staff.actor)

    @post("/{offer_id:uuid}/{verb:str}", status_code=200)
    async def move(
        self,
        offer_id: FromPath[UUID],
        verb: Annotated[str, PathParameter(pattern="^(pause|resume|end)$")],
        staff: NamedDependency[Staff],
    ) -> OfferView:
        """Pause, resume or end an offer; coupons out stay good."""
        publishing.require(staff.role, "publish")
        moves = {"pause": lifecycle.pause, "resume": lifecycle.resume, "end": lifecycle.end}
        return await moves[verb](publisher=staff.publisher, offer=offer_id, actor=staff.actor)


class OperatorOfferController(Controller):
    """Offers that wait for approval."""

    path = "/api/v1/operator/offers"
    tags = ["operator"]

    @get()
    async def waiting(
        self, operator: NamedDependency[Operator], limit: Limit = 20, cursor: Cursor = None
    ) -> OfferPage:
        """Submitted offers."""
        return await catalogue.submitted_offers(limit=limit, cursor=cursor, city=operator.city)

    @post("/{offer_id:uuid}/approve", status_code=200)
    async def approve(self, offer_id: FromPath[UUID], operator: NamedDependency[Operator]) -> OfferView:
        """Let an offer go live when its window begins."""
        return await lifecycle.approve(offer=offer_id, actor=operator.actor, city=operator.city)

    @post("/{offer_id:uuid}/reject", status_code=200)
    async def reject(
        self, offer_id: FromPath[UUID], data: JSONBody[Rejection], operator: NamedDependency[Operator]
    ) -> OfferView:
        """Send an offer back, with a reason."""
        return await lifecycle.reject(
            offer=offer_id, reason=data.reason, actor=operator.actor, city=operator.city
        )


def _language(request: AnyRequest) -> Language:
    return preferred_language(request.headers.get("accept-language"))
