"""The JSON API: parse, authorise, one domain call, answer."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from web.api.applications import (
    ApplicationController,
    NewApplicationController,
    OperatorApplicationController,
)
from web.api.channels import confirm_link, submit_activities
from web.api.identity import IdentityController
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
    OperatorController,
    OperatorOfferController,
    ProgrammeController,
    PublisherLimitController,
    CampaignLimitController,
    TillController,
    RegistryController,
    NewApplicationController,
    ApplicationController,
    OperatorApplicationController,
    OrganisationController,
    SecondStepController,
    MemberController,
    InvitationController,
    StoreController,
    SupervisionController,
    OperatorStaffController,
    DeedController,
    submit_activities,
    confirm_link,
]
