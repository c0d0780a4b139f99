"""Redemptions 兑换: taking an offer, and giving it back unused. Each verb is one linked ledger group."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from marketplace import clock, db, ledger
from marketplace.chart import CONSUMPTION, budget, payable, wallet
from marketplace.coupons import Token, new_code, new_token_key, token_at
from marketplace.errors import ChutanError, NotFound, Refused, Unavailable
from marketplace.ids import new_id
from marketplace.offers.eligibility import NOT_ELIGIBLE, Eligibility
from marketplace.offers.lifecycle import LiveOffer, forget_terms, live_terms
from marketplace.offers.limits import counters, resets_at
from marketplace.offers.terms import capture, face_value_fen, open_at
from marketplace.pools.giving import NO_CODE, code_leg, code_steps, with_code
from marketplace.pools.withdrawal import lapse

REVERSAL_WINDOW: Final = timedelta(minutes=15)
_TRIES: Final = 8
_TERMS_RACE: Final = "unavailable_terms"  # the offer was edited or paused since it was read: judge it afresh


async def redeem(
    *, resident: UUID, offer: UUID, key: ledger.IdempotencyKey | None, eligibility: Eligibility
) -> dict[str, Any]:
    """Take one of `offer` for `resident`: its price is held until it is verified, or captured where the offer says so.

    Answers the redemption as the API shows it; the same `key` answers the same. Raises Refused (`sold_out`,
    `limit_reached`, `insufficient_reductions`, `budget_exhausted`, `not_eligible`, ...): nothing is held then. Where
    time alone helps, the refusal says until when (`resets_at`).
    """
    try:
        answer = await _redeem(resident, offer, key, eligibility)
    except (Refused, NotFound) as refusal:
        answer = await answered_before(key, otherwise=refusal)
    return await with_code(answer)


async def answered_before(key: ledger.IdempotencyKey | None, *, otherwise: ChutanError) -> dict[str, Any]:
    """What this request was answered when it was made first. Raises the refusal `otherwise` if it was not."""
    earlier = await ledger.answered(key) if key is not None else None
    if earlier is None:
        raise otherwise
    return dict(earlier.answer)


async def _redeem(
    resident: UUID, offer: UUID, key: ledger.IdempotencyKey | None, eligibility: Eligibility
) -> dict[str, Any]:
    for _ in range(_TRIES):
        live = await _open(offer)
        first_only = await _require_eligible(resident, live, eligibility)
        try:
            return dict(await ledger.submit(_taken(resident, live, key, first_only=first_only)))
        except Refused as refusal:
            if refusal.code == _TERMS_RACE:
                forget_terms(offer)
            elif refusal.code == NO_CODE:
                await lapse(offer)
            else:
                raise _until(live, refusal) from refusal
        except asyncpg.UniqueViolationError as clash:
            if clash.constraint_name != "coupon_code_key":
                raise
    raise Unavailable(what="offer")


async def _open(offer: UUID) -> LiveOffer:
    live = await live_terms(offer)
    if not open_at(live.terms.redeem_windows, clock.now()):
        forget_terms(
            offer
        )  # no lock is reached where it would turn out that the hours were changed meanwhile
        live = await live_terms(offer)
        if not open_at(live.terms.redeem_windows, clock.now()):
            raise _until(live, Refused("outside_redeem_hours"))
    return live


async def _require_eligible(resident: UUID, live: LiveOffer, eligibility: Eligibility) -> bool:
    """Judge the offer's rule by the facts as they are now; answers whether it lets a first redemption pass only."""
    rule = live.terms.eligibility
    if rule is None:
        return False
    verdict = (await eligibility.verdicts(resident=resident, rules=[rule]))[rule]
    if verdict.reasons:
        raise Refused(verdict.reasons[0].code, reason_details=verdict.reasons)
    return verdict.first_only


def _until(live: LiveOffer, refusal: Refused) -> Refused:
    resets = resets_at(refusal.code, live.terms, at=clock.now())
    return Refused(refusal.code, **refusal.facts | ({"resets_at": resets} if resets else {}))


_REDEMPTION: Final = ledger.Relation(
    "redemption",
    ("id", "resident", "offer", "offer_version", "publisher", "status", "price_g", "cash_fen", "created_at",
     "closed_at"),
    rank=1,
)  # fmt: skip
_COUPON: Final = ledger.Relation("coupon", ("redemption", "code", "token_key", "expires_at", "open"), rank=2)
_CONSUMPTION: Final = ledger.Relation(
    "consumption_record",
    ("id", "redemption", "resident", "publisher", "amount_g", "captured_at", "settle_after", "state"),
    rank=2,
)
_STILL_LIVE: Final = """
    SELECT g.n FROM unnest($1::uuid[], $2::uuid[], $3::int[]) WITH ORDINALITY AS g (offer, version, limits, n)
    JOIN offer o ON o.id = g.offer AND o.status IN ('approved', 'live') AND o.limits_revision = g.limits
    JOIN offer_version v ON v.id = g.version AND v.offer = o.id AND v.number = o.version
    JOIN publisher p ON p.id = o.publisher AND p.status = 'active'"""
# A resident's redemptions are judged one after the other, under the lock of the wallet: nobody is first twice. Those of
# one batch are written together, and the earliest of them is the first.
_NONE_YET: Final = """
    SELECT g.n FROM unnest($1::uuid[]) WITH ORDINALITY AS g (resident, n)
    WHERE NOT EXISTS (SELECT 1 FROM redemption r
                      WHERE r.resident = g.resident AND r.status NOT IN ('cancelled', 'expired'))"""
_NONE_BEFORE: Final = """
    SELECT g.n FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS g (resident, redemption, n)
    WHERE NOT EXISTS (SELECT 1 FROM redemption r WHERE r.resident = g.resident AND r.id < g.redemption
                      AND r.status NOT IN ('cancelled', 'expired'))"""


def _taken(
    resident: UUID, live: LiveOffer, key: ledger.IdempotencyKey | None, *, first_only: bool = False
) -> ledger.Group:
    """Everything that taking the offer moves and writes. The code of a pool is no part of the answer that is stored."""
    now = clock.now()
    redemption, terms = new_id(), live.terms
    assert terms.price_g is not None
    assert terms.coupon_valid_days is not None
    at_once = capture(terms) == "on_redemption"
    expires_at = clock.end_of_day(clock.local_day(now) + timedelta(days=terms.coupon_valid_days))
    code = new_code()
    status = "fulfilled" if at_once else "issued"
    inserts = [
        ledger.Insert(_REDEMPTION, (redemption, resident, live.id, live.version, live.publisher, status, terms.price_g,
                                    terms.cash_fen, now, now if at_once else None)),
        ledger.Insert(_COUPON, (redemption, code, new_token_key(), expires_at, not at_once)),
    ]  # fmt: skip
    if at_once:
        inserts.append(consumed(redemption, resident=resident, publisher=live.publisher, amount_g=terms.price_g,
                                at=now, settle_after=now))  # fmt: skip
    answer = {
        "id": str(redemption),
        "status": status,
        "offer": {"id": str(live.id), "title": terms.title, "kind": terms.kind},
        "price_g": terms.price_g,
        "cash_fen": terms.cash_fen,
        "coupon": {
            "code": None if terms.kind == "code" else code,
            "expires_at": expires_at.isoformat().replace("+00:00", "Z"),
        },
        "payment": None,
    }
    return ledger.Group(
        legs=holds_for(
            redemption, resident=resident, live=live, at=now, until=None if at_once else expires_at
        ),
        at=now,
        requires=[
            ledger.Step(_STILL_LIVE, (live.id, live.version, live.limits_revision), _TERMS_RACE),
            *([ledger.Step(_NONE_YET, (resident,), NOT_ELIGIBLE)] if first_only else ()),
        ],
        inserts=inserts,
        changes=[
            *([ledger.Step(_NONE_BEFORE, (resident, redemption), NOT_ELIGIBLE)] if first_only else ()),
            *(code_steps(redemption, live.id, at=now) if terms.kind == "code" else ()),
        ],
        key=key,
        answer=answer,
    )


def holds_for(
    redemption: UUID, *, resident: UUID, live: LiveOffer, at: datetime, until: datetime | None
) -> list[ledger.Transfer]:
    """The legs of one use of an offer at the instant `at`: held until `until`, or posted at once when that is None.

    Legs that have nothing to move are left out: whatever is not limited is not counted, and nobody funds no discount.
    """
    terms = live.terms
    assert terms.price_g is not None
    legs = [_leg(until, redemption, debit=wallet(resident), credit=CONSUMPTION, amount=terms.price_g,
                 refusal="insufficient_reductions")]  # fmt: skip
    legs += [
        _leg(until, redemption, debit=counter.source, credit=counter.account, amount=counter.amount,
             refusal=counter.refusal, credit_limit=counter.cap)
        for counter in counters(live.id, terms, live.shared_limits, resident=resident, at=at)
    ]  # fmt: skip
    if terms.kind == "code":
        legs.append(code_leg(redemption, live.id))
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
             settle_after: datetime) -> ledger.Insert:  # fmt: skip
    """The consumption record that every capture leaves behind, for settlement."""
    return ledger.Insert(
        _CONSUMPTION, (new_id(), redemption, resident, publisher, amount_g, at, settle_after, "pending")
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
    try:
        if row["status"] not in ("issued", "awaiting_payment"):
            raise Refused(CLOSED_AS[row["status"]])
        groups = await released(
            [redemption], as_status="cancelled", at=clock.now(), key=key, refusal="coupon_already_used"
        )
        if not groups:
            raise Refused("coupon_already_used")
        return dict(await ledger.submit(groups[0]))
    except Refused as refusal:
        return await answered_before(key, otherwise=refusal)


CLOSED_AS: Final = {
    "verified": "coupon_already_used",
    "fulfilled": "not_cancellable",
    "cancelled": "coupon_cancelled",
    "expired": "coupon_expired",
}
_CLOSE: Final = """
    UPDATE redemption r SET status = g.status, closed_at = g.at
    FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) WITH ORDINALITY AS g (id, status, at, n)
    WHERE r.id = g.id AND r.status IN ('issued', 'awaiting_payment') RETURNING g.n"""
_CLOSE_COUPON: Final = """
    UPDATE coupon c SET open = false FROM unnest($1::uuid[]) WITH ORDINALITY AS g (redemption, n)
    WHERE c.redemption = g.redemption AND c.open RETURNING g.n"""


def closed(redemption: UUID, *, as_status: str, at: datetime, refusal: str) -> list[ledger.Step]:
    """The steps that close an open redemption with its coupon."""
    return [
        ledger.Step(_CLOSE, (redemption, as_status, at), refusal),
        ledger.Step(_CLOSE_COUPON, (redemption,), refusal),
    ]


async def released(redemptions: Sequence[UUID], *, as_status: str, at: datetime, refusal: str,
                   key: ledger.IdempotencyKey | None = None) -> list[ledger.Group]:  # fmt: skip
    """The groups that close open redemptions and give back everything they hold.

    One that holds nothing is closed already, and left out: it may be verified and reversed between two reads, and would
    be closed without giving back what it holds by then.
    """
    return [
        ledger.Group(
            legs=[ledger.Release(pending=hold, refusal=refusal) for hold in holds],
            at=at,
            changes=closed(redemption, as_status=as_status, at=at, refusal=refusal),
            key=key,
            answer={"id": str(redemption), "status": as_status},
        )
        for redemption, holds in (await ledger.holds_of(redemptions)).items()
    ]


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
