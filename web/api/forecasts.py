"""Forecasts of offers, for their publisher and the operator; and an operator's dry run of one resident."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from incentives.forecasts.dry_run import MAX_PURPOSE, DryRun, dry_run
from incentives.forecasts.forecasting import MAX_SEED, Forecast, forecast
from incentives.forecasts.kept import kept_forecast
from marketplace.offers.catalogue import require_of_city
from marketplace.offers.eligibility import Eligibility
from merchants import publishing
from web.access import AnyRequest, Operator, Staff
from web.locale import preferred_language
from web.reasons import worded_reasons


class ForecastAsked(msgspec.Struct, forbid_unknown_fields=True):
    """What the draws begin with: the `seed` of an earlier forecast, to have it again."""

    seed: Annotated[int, msgspec.Meta(ge=0, le=MAX_SEED)] | None = None


class DryRunAsked(msgspec.Struct, forbid_unknown_fields=True):
    """The resident, and why the operator has to know: that is kept."""

    resident: UUID
    purpose: Annotated[str, msgspec.Meta(max_length=MAX_PURPOSE)]


class PublisherForecastController(Controller):
    """What a publisher's own offer would meet. Residents are counted in tens, and fewer than ten not at all."""

    path = "/api/v1/publisher/offers/{offer_id:uuid}/forecast"
    tags = ["publisher"]

    @post(status_code=200)
    async def make(
        self, offer_id: FromPath[UUID], staff: NamedDependency[Staff], data: JSONBody[ForecastAsked]
    ) -> Forecast:
        """Play out the offer as it is, a draft too; nothing is kept."""
        publishing.require(staff.role, "publish")
        return await forecast(offer_id, publisher=staff.publisher, seed=data.seed)

    @get()
    async def kept(self, offer_id: FromPath[UUID], staff: NamedDependency[Staff]) -> Forecast:
        """The forecast that it was submitted with."""
        publishing.require(staff.role, "publish")
        return await kept_forecast(offer_id, publisher=staff.publisher)


class OperatorForecastController(Controller):
    """The same for the operator, who may also ask about a resident."""

    path = "/api/v1/operator/offers/{offer_id:uuid}"
    tags = ["operator"]

    @post("/forecast", status_code=200)
    async def make(
        self, offer_id: FromPath[UUID], operator: NamedDependency[Operator], data: JSONBody[ForecastAsked]
    ) -> Forecast:
        """Play out an offer as it is; nothing is kept."""
        await require_of_city(offer_id, operator.city)
        return await forecast(offer_id, seed=data.seed)

    @get("/forecast")
    async def kept(self, offer_id: FromPath[UUID], operator: NamedDependency[Operator]) -> Forecast:
        """The forecast that it was submitted with."""
        await require_of_city(offer_id, operator.city)
        return await kept_forecast(offer_id)

    @post("/dry-run", status_code=200)
    async def dry_run(
        self, request: AnyRequest, offer_id: FromPath[UUID], data: JSONBody[DryRunAsked],
        operator: NamedDependency[Operator], eligibility: NamedDependency[Eligibility],
    ) -> DryRun:  # fmt: skip
        """Whether a resident could take the offer now, and if not, why. Who asked, and what for, is written down."""
        await require_of_city(offer_id, operator.city)
        found = await dry_run(
            offer_id, resident=data.resident, operator=operator.id, purpose=data.purpose, eligibility=eligibility
        )  # fmt: skip
        language = preferred_language(request.headers.get("accept-language"))
        return DryRun(found.eligible, worded_reasons(language, found.reasons))
