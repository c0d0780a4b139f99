"""The till: a coupon is verified, and a mistake undone."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from marketplace import ledger, verifications
from marketplace.errors import FieldError, Invalid
from web.access import Till
from web.api.residents import RedeemedOffer
from web.described import answer
from web.throttle import Throttle

MAX_BILL_FEN = 100_000_000
Shown = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Verify(msgspec.Struct, forbid_unknown_fields=True):
    """What was typed (`code`) or scanned (`token`), and the bill where there is one."""

    code: Shown | None = None
    token: Shown | None = None
    bill_fen: Annotated[int, msgspec.Meta(ge=0, le=MAX_BILL_FEN)] | None = None


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


class TillController(Controller):
    """Calls of one till, at its store."""

    path = "/api/v1/till/verifications"
    tags = ["till"]

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
                till=till.id, code=data.code, token=data.token, bill_fen=data.bill_fen, key=idempotency_key
            )

    @post("/{verification_id:uuid}/reverse", status_code=200, opt=answer(Reversed))
    async def reverse(
        self,
        verification_id: FromPath[UUID],
        till: NamedDependency[Till],
        idempotency_key: NamedDependency[ledger.IdempotencyKey],
    ) -> dict[str, Any]:
        """Undo a verification within 15 minutes and before settlement."""
        return await verifications.reverse(till=till.id, verification=verification_id, key=idempotency_key)
