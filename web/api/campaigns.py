"""Campaigns: the operator's budgets that several fund, and those that a publisher may put an offer under."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from marketplace import ledger
from marketplace.campaigns import ending, funding, joining, opening, reading, trail
from marketplace.campaigns.joining import JoinableCampaign
from marketplace.campaigns.opening import CampaignChange, NewCampaign
from marketplace.campaigns.reading import Campaign, CampaignOffer
from marketplace.campaigns.trail import CampaignEvent
from marketplace.offers.benefits import checked
from merchants import publishing
from web.access import Operator, Staff, province_only
from web.described import answer, takes

MAX_FEN: Final = 100_000_000_000
_ONE: Final = "/{campaign_id:uuid}"


class Funding(msgspec.Struct, forbid_unknown_fields=True):
    """Money of one `funder`, or of all of them by their shares."""

    amount_fen: Annotated[int, msgspec.Meta(ge=1, le=MAX_FEN)]
    funder: UUID | None = None


class Funded(msgspec.Struct):
    """What was paid in, what the budget was given in all by now, and what waits to be matched by others."""

    id: UUID
    amount_fen: int
    funded_fen: int
    waiting_fen: int


class CampaignController(Controller):
    """An operator's campaigns."""

    path = "/api/v1/operator/campaigns"
    tags = ["operator"]
    guards = [province_only]

    @get()
    async def all(self, operator: NamedDependency[Operator]) -> list[Campaign]:
        """Every campaign, oldest first, with its budget and each funder's part of it."""
        return await reading.campaigns()

    @post(opt=takes(NewCampaign))
    async def create(self, data: JSONBody[dict[str, Any]], operator: NamedDependency[Operator]) -> Campaign:
        """A campaign with an empty budget, whose funders pay by shares of 10,000 basis points together."""
        made = await opening.open_campaign(checked(data, NewCampaign), actor=operator.actor)
        return await reading.campaign(made)

    @get(_ONE)
    async def one(self, campaign_id: FromPath[UUID], operator: NamedDependency[Operator]) -> Campaign:
        """One of them."""
        return await reading.campaign(campaign_id)

    @patch(_ONE, opt=takes(CampaignChange))
    async def edit(
        self, campaign_id: FromPath[UUID], data: JSONBody[dict[str, Any]], operator: NamedDependency[Operator]
    ) -> Campaign:
        """Set the fields that are given; the funders' shares stand once money came in."""
        await opening.edit_campaign(campaign_id, checked(data, CampaignChange), actor=operator.actor)
        return await reading.campaign(campaign_id)

    @post(_ONE + "/funding", opt=answer(Funded))
    async def fund(
        self, campaign_id: FromPath[UUID], data: JSONBody[Funding], operator: NamedDependency[Operator],
        idempotency_key: NamedDependency[ledger.IdempotencyKey],
    ) -> dict[str, Any]:  # fmt: skip
        """Put money into the budget: one funder's waits until the others have matched it."""
        return await funding.fund(
            campaign_id, data.amount_fen, funder=data.funder, actor=operator.actor, key=idempotency_key
        )

    @post(_ONE + "/pause", status_code=200)
    async def pause(self, campaign_id: FromPath[UUID], operator: NamedDependency[Operator]) -> Campaign:
        """None of its offers can be redeemed for a while; coupons that are out are good."""
        await opening.pause_campaign(campaign_id, actor=operator.actor)
        return await reading.campaign(campaign_id)

    @post(_ONE + "/resume", status_code=200)
    async def resume(self, campaign_id: FromPath[UUID], operator: NamedDependency[Operator]) -> Campaign:
        """Put it on again."""
        await opening.resume_campaign(campaign_id, actor=operator.actor)
        return await reading.campaign(campaign_id)

    @post(_ONE + "/end", status_code=200)
    async def end(self, campaign_id: FromPath[UUID], operator: NamedDependency[Operator]) -> Campaign:
        """End it for good: what is left goes back to its funders, what coupons hold stays for them."""
        await ending.end_campaign(campaign_id, actor=operator.actor)
        return await reading.campaign(campaign_id)

    @get(_ONE + "/offers")
    async def offers(
        self, campaign_id: FromPath[UUID], operator: NamedDependency[Operator]
    ) -> list[CampaignOffer]:
        """The offers that it pays for, newest first."""
        return await reading.offers_of(campaign_id)

    @get(_ONE + "/events")
    async def events(
        self, campaign_id: FromPath[UUID], operator: NamedDependency[Operator]
    ) -> list[CampaignEvent]:
        """What happened to it, alarms too: the latest hundred, newest first."""
        await reading.campaign(campaign_id)
        return await trail.events_of(campaign_id)


class PublisherCampaignController(Controller):
    """Campaigns that a publisher may put an offer under."""

    path = "/api/v1/publisher/campaigns"
    tags = ["publisher"]

    @get()
    async def joinable(self, staff: NamedDependency[Staff]) -> list[JoinableCampaign]:
        """Those that are open to this publisher, newest first: an offer names one as its `funding.campaign`."""
        publishing.require(staff.role, "read_offers")
        return await joining.joinable_campaigns(publisher=staff.publisher)
