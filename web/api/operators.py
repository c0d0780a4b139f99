"""What an operator does: campaigns and their budgets, settlement, expiry, the audit."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from marketplace import audit, ledger, settlement
from marketplace.funding import fund
from marketplace.publishers import Campaign, campaigns, create_campaign
from marketplace.registry import Registry
from web.access import Operator, province_only
from web.described import answer

Fen = Annotated[int, msgspec.Meta(ge=1, le=100_000_000_000)]


class NewCampaign(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    funder: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]


class CampaignMade(msgspec.Struct):
    id: UUID


class Funding(msgspec.Struct, forbid_unknown_fields=True):
    amount_fen: Fen


class Funded(msgspec.Struct):
    id: UUID
    amount_fen: int


class OperatorController(Controller):
    """Calls of an operator."""

    path = "/api/v1/operator"
    tags = ["operator"]
    guards = [province_only]

    @get("/campaigns")
    async def campaigns(self, operator: NamedDependency[Operator]) -> list[Campaign]:
        """Every campaign with what its budget still has."""
        return await campaigns()

    @post("/campaigns")
    async def create_campaign(
        self, data: JSONBody[NewCampaign], operator: NamedDependency[Operator]
    ) -> CampaignMade:
        """A campaign with an empty budget."""
        return CampaignMade(await create_campaign(name=data.name, funder=data.funder))

    @post("/campaigns/{campaign_id:uuid}/funding", opt=answer(Funded))
    async def fund(
        self,
        campaign_id: FromPath[UUID],
        data: JSONBody[Funding],
        operator: NamedDependency[Operator],
        idempotency_key: NamedDependency[ledger.IdempotencyKey],
    ) -> dict[str, str | int]:
        """Put money into a campaign's budget."""
        return await fund(campaign_id, data.amount_fen, key=idempotency_key)

    @post("/settlement", status_code=200)
    async def settle(
        self, operator: NamedDependency[Operator], registry: NamedDependency[Registry]
    ) -> settlement.Settled:
        """Settle what is due: what a till can still reverse is left alone."""
        return await settlement.settle(registry, everything=False)

    @get("/audit")
    async def audit(self, operator: NamedDependency[Operator]) -> audit.Audit:
        """Check every invariant."""
        return await audit.audit()
