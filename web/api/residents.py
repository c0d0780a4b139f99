"""What a resident sees and does: wallet, activities, linked channels, redemptions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from incentives.activities import Activity, activities_of
from marketplace import clock, journeys, ledger, mandates, redemptions, residents, wallets
from marketplace.coupons import STEP_SECONDS, Token, base64url
from marketplace.identity.stores import EphemeralStore
from marketplace.offers.benefits import Kind
from marketplace.offers.eligibility import Eligibility
from web.access import Resident
from web.described import answer
from web.paging import Cursor, Limit, Page, before, page_of


class Redeem(msgspec.Struct, forbid_unknown_fields=True):
    offer_id: UUID


class RedeemedOffer(msgspec.Struct):
    """What was redeemed, by the terms of that moment."""

    id: UUID
    title: str
    kind: Kind


class RedeemedCoupon(msgspec.Struct):
    """What is typed at a till, or at the third party whose code it is."""

    code: str
    expires_at: datetime


class Redeemed(msgspec.Struct):
    """A redemption that was just made."""

    id: UUID
    status: Literal["awaiting_payment", "issued", "fulfilled"]
    offer: RedeemedOffer
    price_g: int
    cash_fen: int
    coupon: RedeemedCoupon | None
    payment: None


class Cancelled(msgspec.Struct):
    """A redemption whose grams are available again."""

    id: UUID
    status: Literal["cancelled"]


class AskLink(msgspec.Struct, forbid_unknown_fields=True):
    channel: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]


class LinkCode(msgspec.Struct):
    code: str
    expires_in_seconds: int


class TokenView(msgspec.Struct):
    token: str
    refresh_after: int


class KeyView(msgspec.Struct):
    """What tokens are derived from without a network; `key` is base64url. A client keeps how far its clock is off."""

    key: str
    step_seconds: int
    server_time: datetime


class MeController(Controller):
    """A resident's own account."""

    path = "/api/v1/me"
    tags = ["resident"]

    @get("/wallet")
    async def wallet(self, resident: NamedDependency[Resident]) -> wallets.Wallet:
        """What is available, held, consumed and expired, in grams."""
        return await wallets.wallet_of(resident.id)

    @get("/wallet/entries")
    async def entries(
        self, resident: NamedDependency[Resident], limit: Limit = 20, cursor: Cursor = None
    ) -> Page[wallets.Entry]:
        """Every movement, newest first."""
        return page_of(await wallets.entries_of(resident.id, limit=limit + 1, before=before(cursor)), limit)

    @get("/activities")
    async def activities(
        self, resident: NamedDependency[Resident], limit: Limit = 20, cursor: Cursor = None
    ) -> Page[Activity]:
        """Every record, with what it was worth or why it was refused."""
        return page_of(await activities_of(resident.id, limit=limit + 1, before=before(cursor)), limit)

    @get("/links")
    async def links(self, resident: NamedDependency[Resident]) -> list[mandates.Mandate]:
        """The channel accounts that are linked."""
        return await mandates.mandates_of(resident.id)

    @post("/links")
    async def ask_link(
        self,
        data: JSONBody[AskLink],
        resident: NamedDependency[Resident],
        store: NamedDependency[EphemeralStore],
    ) -> LinkCode:
        """A code to give to the channel, which confirms who holds its account."""
        code = await mandates.ask(resident=resident.id, channel=data.channel, store=store)
        return LinkCode(code, mandates.CODE_TTL_SECONDS)

    @delete("/links/{link_id:uuid}")
    async def end_link(self, link_id: FromPath[UUID], resident: NamedDependency[Resident]) -> None:
        """End a mandate; what it brought stays."""
        await residents.end_link(resident=resident.id, link=link_id)


class RedemptionController(Controller):
    """A resident's redemptions. Refusals are rendered by web/problems.py."""

    path = "/api/v1/redemptions"
    tags = ["resident"]

    @post(opt=answer(Redeemed))
    async def create(
        self,
        data: JSONBody[Redeem],
        resident: NamedDependency[Resident],
        idempotency_key: NamedDependency[ledger.IdempotencyKey],
        eligibility: NamedDependency[Eligibility],
    ) -> dict[str, Any]:
        """Take an offer: its price is held until a till verifies the coupon."""
        return await redemptions.redeem(
            resident=resident.id, offer=data.offer_id, key=idempotency_key, eligibility=eligibility
        )

    @get()
    async def mine(
        self, resident: NamedDependency[Resident], limit: Limit = 20, cursor: Cursor = None
    ) -> Page[journeys.Journey]:
        """Newest first."""
        found = await journeys.journeys(resident=resident.id, limit=limit + 1, before=before(cursor))
        return page_of(found, limit)

    @get("/{redemption_id:uuid}")
    async def one(
        self, redemption_id: FromPath[UUID], resident: NamedDependency[Resident]
    ) -> journeys.Journey:
        """One redemption, its coupon and where its grams went."""
        return await journeys.journey(resident=resident.id, redemption=redemption_id)

    @get("/{redemption_id:uuid}/token")
    async def token(self, redemption_id: FromPath[UUID], resident: NamedDependency[Resident]) -> TokenView:
        """The rotating token that the QR shows."""
        shown: Token = await redemptions.token_of(resident=resident.id, redemption=redemption_id)
        return TokenView(shown.token, shown.refresh_after)

    @get("/{redemption_id:uuid}/key")
    async def key(self, redemption_id: FromPath[UUID], resident: NamedDependency[Resident]) -> KeyView:
        """The key that the tokens are derived from while the coupon is open."""
        key = await redemptions.token_key_of(resident=resident.id, redemption=redemption_id)
        return KeyView(base64url(key), STEP_SECONDS, clock.now())

    @post("/{redemption_id:uuid}/cancel", status_code=200, opt=answer(Cancelled))
    async def cancel(
        self,
        redemption_id: FromPath[UUID],
        resident: NamedDependency[Resident],
        idempotency_key: NamedDependency[ledger.IdempotencyKey],
    ) -> dict[str, Any]:
        """Give an unused coupon back."""
        return await redemptions.cancel(resident=resident.id, redemption=redemption_id, key=idempotency_key)
