"""The JSON API: parse, authorise, one domain call, answer."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from web.api.channels import confirm_link, submit_activities
from web.api.identity import IdentityController
from web.api.insight import InsightController
from web.api.offers import OfferController, OperatorOfferController, PublisherOfferController
from web.api.operators import OperatorController
from web.api.registry import RegistryController
from web.api.residents import MeController, RedemptionController
from web.api.tills import TillController

HANDLERS: Final[list[ControllerRouterHandler]] = [
    MeController,
    IdentityController,
    RedemptionController,
    OfferController,
    PublisherOfferController,
    OperatorController,
    OperatorOfferController,
    TillController,
    InsightController,
    RegistryController,
    submit_activities,
    confirm_link,
]
