"""Redemptions 兑换: taking an offer, and giving it back unused. Each verb is one linked ledger group."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from marketplace import clock, db, ledger
from marketplace.chart import CONSUMPTION, UNITS, budget, payable, stock, uses, wallet
from marketplace.coupons import Token, new_code, new_token_key, token_at
from marketplace.errors import NotFound, Refused, Unavailable
from marketplace.ids import new_id
from marketplace.offers.eligibility import Eligibility
from marketplace.offers.lifecycle import LiveOffer, live_terms
from marketplace.offers.terms import capture, face_value_fen
from marketplace.pools import next_code

REVERSAL_WINDOW: Final = timedelta(minutes=15)
_TRIES: Final = 8
_POOL_RACE: Final = "unavailable_pool"  # somebody else got this code of the pool: take another
_TERMS_RACE: Final = "unavailable_terms"  # the offer was edited or paused since it was read: judge it afresh


async def redeem(
    *, resident: UUID, offer: UUID, key: ledger.IdempotencyKey | None, eligibility: Eligibility
) -> dict[str, Any]:
    """Take one of `offer` for `resident`: its price is held until it is verified, or captured where the offer says so.

    Answers the redemption as the API shows it; the same `key` answers the same. Raises Refused (`sold_out`,
    `limit_reached`, `insufficient_reductions`, `budget_exhausted`, `not_eligible`, ...): nothing is held then.
    """
    if key is not None and (earlier := await ledger.answered(key)) is not None:
        return dict(earlier.answer)
    for _ in range(_TRIES):
        live = await live_terms(offer)
        if live.terms.eligibility is not None:
            reasons = await eligibility.reasons(resident=resident, expression=live.terms.eligibility)
            if reasons:
                raise Refused(reasons[0])
        pooled = await next_code(offer) if live.terms.kind == "code" else None
        if pooled is None and live.terms.kind == "code":
            raise Refused("sold_out")
        try:
            answer: dict[str, Any] = await ledger.submit(_taken(resident, live, key, pooled))
        except Refused as refusal:
            if refusal.code not in (_POOL_RACE, _TERMS_RACE):
                raise
        except asyncpg.UniqueViolationError as clash:
            if clash.constraint_name != "coupon_code_key":
                raise
        else:
            return answer
    raise Unavailable(what="offer")


def _taken(
    resident: UUID, live: LiveOffer, key: ledger.IdempotencyKey | None, pooled: tuple[UUID, str] | None
) -> ledger.Group:
    """Everything that taking the offer moves and writes; `pooled` is the code of a pool that it gives out."""
    now = clock.now()
    redemption, terms = new_id(), live.terms
    assert terms.price_g is not None
    assert terms.coupon_valid_days is not None
    at_once = capture(terms) == "on_redemption"
    expires_at = clock.end_of_day(clock.local_day(now) + timedelta(days=terms.coupon_valid_days))
    code = new_code()
    status = "fulfilled" if at_once else "issued"
    legs = holds_for(redemption, resident=resident, live=live, until=None if at_once else expires_at)
    effects = [
        ledger.Effect(
            """INSERT INTO redemption
               (id, resident, offer, offer_version, publisher, status, price_g, cash_fen, created_at, closed_at)
               SELECT $1, $2, o.id, v.id, $5, $6, $7, $8, $9, $10
               FROM offer o JOIN offer_version v ON v.offer = o.id AND v.number = o.version
               WHERE o.id = $3 AND v.id = $4 AND o.status IN ('approved', 'live')""",
            (redemption, resident, live.id, live.version, live.publisher, status, terms.price_g, terms.cash_fen or 0,
             now, now if at_once else None),
            _TERMS_RACE,
        ),
        ledger.Effect(
            "INSERT INTO coupon (redemption, code, token_key, expires_at, open) VALUES ($1, $2, $3, $4, $5)",
            (redemption, code, new_token_key(), expires_at, not at_once),
            "unavailable",
        ),
    ]  # fmt: skip
    if at_once:
        effects.append(consumed(redemption, resident=resident, publisher=live.publisher, amount_g=terms.price_g,
                                at=now, settle_after=now))  # fmt: skip
    if pooled is not None:
        effects.append(ledger.Effect("UPDATE pool_code SET redemption = $2 WHERE id = $1 AND redemption IS NULL",
                                     (pooled[0], redemption), _POOL_RACE))  # fmt: skip
    answer = {
        "id": str(redemption),
        "status": status,
        "offer": {"id": str(live.id), "title": terms.title, "kind": terms.kind},
        "price_g": terms.price_g,
        "cash_fen": terms.cash_fen or 0,
        "coupon": {
            "code": pooled[1] if pooled else code,
            "expires_at": expires_at.isoformat().replace("+00:00", "Z"),
        },
        "payment": None,
    }
    return ledger.Group(legs=legs, at=now, effects=effects, key=key, answer=answer)


def holds_for(
    redemption: UUID, *, resident: UUID, live: LiveOffer, until: datetime | None
) -> list[ledger.Transfer]:
    """The legs of one use of an offer: held until `until`, or posted at once when that is None.

    Legs that have nothing to move are left out: an unlimited stock, no limit per resident, a discount nobody funds.
    """
    terms = live.terms
    assert terms.price_g is not None
    legs = [_leg(until, redemption, debit=wallet(resident), credit=CONSUMPTION, amount=terms.price_g,
                 refusal="insufficient_reductions")]  # fmt: skip
    if terms.stock_total is not None:
        legs.append(_leg(until, redemption, debit=UNITS, credit=stock(live.id), amount=1, refusal="sold_out",
                         credit_limit=terms.stock_total))  # fmt: skip
    if terms.per_resident_limit is not None:
        legs.append(_leg(until, redemption, debit=UNITS, credit=uses(live.id, resident), amount=1,
                         refusal="limit_reached", credit_limit=terms.per_resident_limit))  # fmt: skip
    campaign, value_fen = terms.funding.campaign, face_value_fen(terms) or 0
    if campaign is not None and value_fen:
        legs.append(_leg(until, redemption, debit=budget(campaign), credit=payable(live.publisher), amount=value_fen,
                         refusal="budget_exhausted"))  # fmt: skip
    return legs


def _leg(until: datetime | None, subject: UUID, **what: Any) -> ledger.Transfer:
    if until is None:
        return ledger.Transfer(kind="redeem", subject=subject, **what)
    return ledger.Hold(kind="redeem", subject=subject, expires_at=until, **what)


def consumed(redemption: UUID, *, resident: UUID, publisher: UUID, amount_g: int, at: datetime,
             settle_after: datetime) -> ledger.Effect:  # fmt: skip
    """The consumption record that every capture leaves behind, for settlement."""
    return ledger.Effect(
        """INSERT INTO consumption_record
           (id, redemption, resident, publisher, amount_g, captured_at, settle_after, state)
           VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending')""",
        (new_id(), redemption, resident, publisher, amount_g, at, settle_after),
        "unavailable",
    )


async def cancel(*, resident: UUID, redemption: UUID, key: ledger.IdempotencyKey | None) -> dict[str, Any]:
    """Give an unused redemption back: everything it held is released.

    Raises NotFound for another's; Refused `coupon_already_used`, `coupon_expired`, `coupon_cancelled`,
    `not_cancellable` (captured at redemption).
    """
    row = await db.fetch_row(
        "SELECT status FROM redemption WHERE id = $1 AND resident = $2", redemption, resident
    )
    if row is None:
        raise NotFound
    if key is not None and (earlier := await ledger.answered(key)) is not None:
        return dict(earlier.answer)
    if row["status"] not in ("issued", "awaiting_payment"):
        raise Refused(CLOSED_AS[row["status"]])
    try:
        group = await released(
            redemption, as_status="cancelled", at=clock.now(), key=key, refusal="coupon_already_used"
        )
        answer: dict[str, Any] = await ledger.submit(group)
    except Refused:
        if key is not None and (earlier := await ledger.answered(key)) is not None:  # a twin was quicker
            return dict(earlier.answer)
        raise
    return answer


CLOSED_AS: Final = {
    "verified": "coupon_already_used",
    "fulfilled": "not_cancellable",
    "cancelled": "coupon_cancelled",
    "expired": "coupon_expired",
}


async def released(redemption: UUID, *, as_status: str, at: datetime, refusal: str,
                   key: ledger.IdempotencyKey | None = None) -> ledger.Group:  # fmt: skip
    """The group that closes an open redemption and gives back everything it holds. Raises Refused when it is closed."""
    holds = await open_holds(redemption, refusal=refusal)
    return ledger.Group(
        legs=[ledger.Release(pending=hold, refusal=refusal) for hold in holds],
        at=at,
        effects=[
            ledger.Effect(
                "UPDATE redemption SET status = $2, closed_at = $3 "
                "WHERE id = $1 AND status IN ('issued', 'awaiting_payment')",
                (redemption, as_status, at),
                refusal,
            ),
            ledger.Effect(
                "UPDATE coupon SET open = false WHERE redemption = $1 AND open", (redemption,), refusal
            ),
        ],
        key=key,
        answer={"id": str(redemption), "status": as_status},
    )


async def open_holds(redemption: UUID, *, refusal: str) -> dict[UUID, ledger.Pending]:
    """What an open redemption holds, never nothing: its price at least. Raises Refused when it is closed meanwhile.

    Without this, a redemption that is verified and reversed between two reads could be closed with no leg at all.
    """
    holds = await ledger.holds_of(redemption)
    if not holds:
        raise Refused(refusal)
    return holds


async def token_of(*, resident: UUID, redemption: UUID) -> Token:
    """The token that the coupon's QR shows now. Raises NotFound for another's, Refused when the coupon is closed."""
    return token_at(redemption, await token_key_of(resident=resident, redemption=redemption), clock.now())


async def token_key_of(*, resident: UUID, redemption: UUID) -> bytes:
    """The key that its resident derives the coupon's tokens from, without a network. Raises as `token_of` does."""
    row = await db.fetch_row(
        """SELECT r.status, c.token_key FROM redemption r JOIN coupon c ON c.redemption = r.id
           WHERE r.id = $1 AND r.resident = $2""",
        redemption, resident,
    )  # fmt: skip
    if row is None:
        raise NotFound
    if row["status"] != "issued":
        raise Refused(CLOSED_AS.get(row["status"], "coupon_not_found"))
    key: bytes = row["token_key"]
    return key
