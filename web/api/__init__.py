"""The JSON API: parse, authorise, one domain call, answer."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from web.api.applications import (
    ApplicationController,
    NewApplicationController,
    OperatorApplicationController,
)
from web.api.campaigns import CampaignController, PublisherCampaignController
from web.api.channels import confirm_link, submit_activities
from web.api.clients import ClientController
from web.api.forecasts import OperatorForecastController, PublisherForecastController
from web.api.identity import IdentityController
from web.api.insight import InsightController
from web.api.limits import CampaignLimitController, PublisherLimitController
from web.api.offers import OfferController, OperatorOfferController, PublisherOfferController
from web.api.operators import OperatorController
from web.api.organisations import OrganisationController, SecondStepController
from web.api.pools import PoolController, UploadController
from web.api.programmes import MembershipController, ProgrammeController
from web.api.registry import RegistryController
from web.api.residents import MeController, RedemptionController
from web.api.rules import RuleController
from web.api.stores import StoreController
from web.api.supervision import DeedController, OperatorStaffController, SupervisionController
from web.api.team import InvitationController, MemberController
from web.api.tills import TillController
from web.api.webhooks import WebhookController

HANDLERS: Final[list[ControllerRouterHandler]] = [
    MeController,
    IdentityController,
    RedemptionController,
    MembershipController,
    OfferController,
    PublisherOfferController,
    PoolController,
    UploadController,
    RuleController,
    PublisherForecastController,
    OperatorForecastController,
    OperatorController,
    OperatorOfferController,
    ProgrammeController,
    PublisherLimitController,
    CampaignController,
    PublisherCampaignController,
    CampaignLimitController,
    TillController,
    InsightController,
    RegistryController,
    NewApplicationController,
    ApplicationController,
    OperatorApplicationController,
    OrganisationController,
    SecondStepController,
    MemberController,
    InvitationController,
    StoreController,
    WebhookController,
    ClientController,
    SupervisionController,
    OperatorStaffController,
    DeedController,
    submit_activities,
    confirm_link,
]
