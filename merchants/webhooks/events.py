"""What publishers can be told of, and in which shape. Nothing in a message says who the resident is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec


class RedemptionFacts(msgspec.Struct, forbid_unknown_fields=True):
    """Of a redemption that was made, cancelled or expired."""

    redemption_id: UUID
    offer_id: UUID
    offer_version_id: UUID
    price_g: int
    cash_fen: int
    redeemed_at: datetime


class VerificationFacts(msgspec.Struct, forbid_unknown_fields=True):
    """Of a verification; `reversed_at` is null unless it was undone."""

    verification_id: UUID
    redemption_id: UUID
    offer_id: UUID
    store_id: UUID
    till_id: UUID
    bill_fen: int | None
    discount_fen: int
    verified_at: datetime
    reversed_at: datetime | None


class OfferFacts(msgspec.Struct, forbid_unknown_fields=True):
    """Of an offer; `reason` is the operator's, where there is one."""

    offer_id: UUID
    title: str
    reason: str | None


class SoldOutFacts(msgspec.Struct, forbid_unknown_fields=True):
    """Of an offer of which nothing is left."""

    offer_id: UUID


class PoolFacts(msgspec.Struct, forbid_unknown_fields=True):
    """Of a pool of codes that is low: so many are left, and the alarm was set at so many."""

    offer_id: UUID
    left: int
    alarm_at: int


class DisabledFacts(msgspec.Struct, forbid_unknown_fields=True):
    """Of an endpoint that gets nothing more: it answered 410 (`gone`), or failed for days (`failing`)."""

    endpoint_id: UUID
    because: str


class TestFacts(msgspec.Struct, forbid_unknown_fields=True):
    """Of a message that somebody asked for, to see it arrive."""

    endpoint_id: UUID


SHAPES: Final[Mapping[str, type]] = {
    "redemption.created": RedemptionFacts,
    "redemption.cancelled": RedemptionFacts,
    "redemption.expired": RedemptionFacts,
    "redemption.verified": VerificationFacts,
    "redemption.reversed": VerificationFacts,
    "offer.approved": OfferFacts,
    "offer.rejected": OfferFacts,
    "offer.paused": OfferFacts,
    "offer.resumed": OfferFacts,
    "offer.ended": OfferFacts,
    "offer.sold_out": SoldOutFacts,
    "pool.low": PoolFacts,
    "webhook.disabled": DisabledFacts,
}
KINDS: Final = tuple(SHAPES)  # what can be chosen; a test is sent whatever was chosen
TEST: Final = "webhook.test"
OF_OFFERS: Final = [kind.removeprefix("offer.") for kind in KINDS if SHAPES[kind] is OfferFacts]
OF_PUBLISHERS: Final = ["offer.sold_out", "pool.low", "webhook.disabled"]  # kinds of `publisher_event`


def payload(kind: str, at: datetime, facts: Any) -> str:
    """The body of a message, the same each time that it is sent."""
    moment = at.isoformat().replace("+00:00", "Z")
    return msgspec.json.encode({"type": kind, "timestamp": moment, "data": facts}).decode()
