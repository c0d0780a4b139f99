"""Limits over several offers together: a publisher's over its own, and the operator's over a campaign's."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from marketplace.offers import shared_limits
from marketplace.offers.benefits import checked
from marketplace.offers.shared_limits import LimitChange, NewLimit, Owner, OwnLimit
from merchants import publishing
from web.access import Operator, Staff, province_only
from web.described import takes
from web.paging import Cursor, Limit, Page, before, page_of

_ONE: Final = "/{limit_id:uuid}"


class PublisherLimitController(Controller):
    """A publisher's limits over several of its offers."""

    path = "/api/v1/publisher/limits"
    tags = ["publisher"]

    @get()
    async def own(
        self, staff: NamedDependency[Staff], limit: Limit = 20, cursor: Cursor = None
    ) -> Page[OwnLimit]:
        """All of them, newest first, those that have ended too."""
        return await _page(Owner(publisher=staff.publisher), limit, cursor)

    @post(opt=takes(NewLimit))
    async def create(self, data: JSONBody[dict[str, Any]], staff: NamedDependency[Staff]) -> OwnLimit:
        """Set a limit; it holds from now on."""
        publishing.require(staff.role, "publish")
        return await shared_limits.create_limit(
            Owner(publisher=staff.publisher), checked(data, NewLimit), actor=staff.actor
        )

    @get(_ONE)
    async def one(self, limit_id: FromPath[UUID], staff: NamedDependency[Staff]) -> OwnLimit:
        """One of them."""
        return await shared_limits.own_limit(Owner(publisher=staff.publisher), limit_id)

    @patch(_ONE, opt=takes(LimitChange))
    async def edit(
        self, limit_id: FromPath[UUID], data: JSONBody[dict[str, Any]], staff: NamedDependency[Staff]
    ) -> OwnLimit:
        """Set the fields that are given; what is used stays used."""
        publishing.require(staff.role, "publish")
        return await shared_limits.edit_limit(
            Owner(publisher=staff.publisher), limit_id, checked(data, LimitChange), actor=staff.actor
        )

    @post(_ONE + "/end", status_code=200)
    async def end(self, limit_id: FromPath[UUID], staff: NamedDependency[Staff]) -> OwnLimit:
        """Lift it for good."""
        publishing.require(staff.role, "publish")
        return await shared_limits.end_limit(Owner(publisher=staff.publisher), limit_id, actor=staff.actor)


class CampaignLimitController(Controller):
    """The operator's limits over the offers of a campaign, whoever publishes them."""

    path = "/api/v1/operator/campaigns/{campaign_id:uuid}/limits"
    guards = [province_only]
    tags = ["operator"]

    @get()
    async def own(
        self, campaign_id: FromPath[UUID], operator: NamedDependency[Operator], limit: Limit = 20, cursor: Cursor = None
    ) -> Page[OwnLimit]:  # fmt: skip
        """All of them, newest first, those that have ended too."""
        return await _page(Owner(campaign=campaign_id), limit, cursor)

    @post(opt=takes(NewLimit))
    async def create(
        self, campaign_id: FromPath[UUID], data: JSONBody[dict[str, Any]], operator: NamedDependency[Operator]
    ) -> OwnLimit:
        """Set a limit over the offers that are named, or over all that the campaign pays for."""
        return await shared_limits.create_limit(
            Owner(campaign=campaign_id), checked(data, NewLimit), actor=operator.actor
        )

    @get(_ONE)
    async def one(
        self, campaign_id: FromPath[UUID], limit_id: FromPath[UUID], operator: NamedDependency[Operator]
    ) -> OwnLimit:
        """One of them."""
        return await shared_limits.own_limit(Owner(campaign=campaign_id), limit_id)

    @patch(_ONE, opt=takes(LimitChange))
    async def edit(
        self, campaign_id: FromPath[UUID], limit_id: FromPath[UUID], data: JSONBody[dict[str, Any]],
        operator: NamedDependency[Operator],
    ) -> OwnLimit:  # fmt: skip
        """Set the fields that are given; what is used stays used."""
        return await shared_limits.edit_limit(
            Owner(campaign=campaign_id), limit_id, checked(data, LimitChange), actor=operator.actor
        )

    @post(_ONE + "/end", status_code=200)
    async def end(
        self, campaign_id: FromPath[UUID], limit_id: FromPath[UUID], operator: NamedDependency[Operator]
    ) -> OwnLimit:
        """Lift it for good."""
        return await shared_limits.end_limit(Owner(campaign=campaign_id), limit_id, actor=operator.actor)


async def _page(owner: Owner, limit: int, cursor: str | None) -> Page[OwnLimit]:
    return page_of(await shared_limits.own_limits(owner, before=before(cursor), count=limit + 1), limit)
