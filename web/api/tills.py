"""The till: a coupon is verified, a mistake undone, and the day looked at."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from marketplace import clock, ledger, verifications
from marketplace.errors import FieldError, Invalid
from marketplace.offers.benefits import Kind
from marketplace.till_day import Totals, Verification, totals_of_day, verifications_of_day
from web.access import Till
from web.api.residents import RedeemedOffer
from web.described import answer
from web.paging import Cursor, Limit, before, page_of
from web.throttle import Throttle

MAX_BILL_FEN = 100_000_000
Shown = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Verify(msgspec.Struct, forbid_unknown_fields=True):
    """What was typed (`code`) or scanned (`token`), and the bill where there is one."""

    code: Shown | None = None
    token: Shown | None = None
    bill_fen: Annotated[int, msgspec.Meta(ge=0, le=MAX_BILL_FEN)] | None = None
    scanned_at: (
        Annotated[
            datetime,
            msgspec.Meta(
                tz=True,
                description="Only from a till that had no network: when it scanned, up to a day ago. The token and the "
                "coupon's hours are judged by it",
            ),
        ]
        | None
    ) = None


class Verified(msgspec.Struct):
    """A coupon that was just used; `discount_fen` is what the bill is reduced by, or what the benefit is worth."""

    id: UUID
    redemption_id: UUID
    offer: RedeemedOffer
    discount_fen: int
    verified_at: datetime


class Reversed(msgspec.Struct):
    """A verification that was undone: the coupon is good again."""

    id: UUID
    redemption_id: UUID
    status: Literal["reversed"]
    reversed_at: datetime


class OfferOfDay(msgspec.Struct):
    title: str
    kind: Kind


class VerificationOfDay(msgspec.Struct):
    """One verification of the till's store; `pays_fen` is what the customer paid, where the bill is known."""

    id: UUID
    offer: OfferOfDay
    bill_fen: int | None
    discount_fen: int
    pays_fen: int | None
    verified_at: datetime
    reversed_at: datetime | None
    reversible: bool


class Day(msgspec.Struct):
    """A store's day, newest first. In `totals`, what was reversed counts for nothing else."""

    day: date
    totals: Totals
    items: list[VerificationOfDay]
    next_cursor: str | None


class TillController(Controller):
    """Calls of one till, at its store."""

    path = "/api/v1/till/verifications"
    tags = ["till"]

    @get()
    async def day(
        self,
        till: NamedDependency[Till],
        day: Annotated[date | None, QueryParameter(description="In Shanghai; today if left out")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Day:
        """What all tills of this till's store verified on a day, reversed ones too."""
        day = day or clock.local_day(clock.now())
        found = await verifications_of_day(till=till.id, day=day, limit=limit + 1, before=before(cursor))
        page = page_of(found, limit)
        return Day(day, await totals_of_day(till=till.id, day=day), [_of_day(one) for one in page.items],
                   page.next_cursor)  # fmt: skip

    @post(opt=answer(Verified))
    async def verify(
        self,
        data: JSONBody[Verify],
        till: NamedDependency[Till],
        idempotency_key: NamedDependency[ledger.IdempotencyKey],
        throttle: NamedDependency[Throttle],
    ) -> dict[str, Any]:
        """Use a coupon. Wrong codes are throttled per till."""
        if (data.code is None) == (data.token is None):
            raise Invalid(FieldError("code", "code_or_token"))
        async with throttle.guessing(till.id):
            return await verifications.verify(
                till=till.id, code=data.code, token=data.token, bill_fen=data.bill_fen, key=idempotency_key,
                scanned_at=data.scanned_at,
            )  # fmt: skip

    @post("/{verification_id:uuid}/reverse", status_code=200, opt=answer(Reversed))
    async def reverse(
        self,
        verification_id: FromPath[UUID],
        till: NamedDependency[Till],
        idempotency_key: NamedDependency[ledger.IdempotencyKey],
    ) -> dict[str, Any]:
        """Undo a verification within 15 minutes and before settlement."""
        return await verifications.reverse(till=till.id, verification=verification_id, key=idempotency_key)


def _of_day(one: Verification) -> VerificationOfDay:
    return VerificationOfDay(
        id=one.id, offer=OfferOfDay(one.title, one.kind), bill_fen=one.bill_fen, discount_fen=one.discount_fen,
        pays_fen=one.pays_fen, verified_at=one.verified_at, reversed_at=one.reversed_at, reversible=one.reversible,
    )  # fmt: skip
