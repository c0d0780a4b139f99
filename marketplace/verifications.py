"""Verification 核销: a coupon is used at a till, once; and a mistake there is undone."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from marketplace import clock, db, ledger
from marketplace.chart import PROMISES, payable
from marketplace.coupons import is_fresh, normal_code, parse_token
from marketplace.errors import ChutanError, FieldError, Invalid, NotFound, Refused
from marketplace.ids import new_id
from marketplace.offers.terms import discount_fen, require_usable, terms_from
from marketplace.redemptions import CLOSED_AS, REVERSAL_WINDOW, answered_before, closed, consumed

LONGEST_WITHOUT_NETWORK: Final = timedelta(days=1)
_CLOCKS_APART: Final = timedelta(minutes=1)


_SHOWN = """
    SELECT r.id, r.resident, r.offer, r.offer_version, r.publisher, r.status, r.price_g,
           c.expires_at, c.token_key, v.terms, s.id AS store, s.name AS store_name
    FROM till t JOIN store s ON s.id = t.store
    JOIN redemption r ON r.publisher = s.publisher
    JOIN coupon c ON c.redemption = r.id
    JOIN offer_version v ON v.id = r.offer_version
    WHERE t.id = $1 AND """


async def verify(
    *,
    till: UUID,
    code: str | None,
    token: str | None,
    bill_fen: int | None,
    key: ledger.IdempotencyKey | None,
    scanned_at: datetime | None = None,
) -> dict[str, Any]:
    """Use the coupon behind `code` or `token` at the till's store, for a bill of `bill_fen`: all it held is captured.

    It is judged by the terms it was redeemed under. A till that had no network says when it scanned, up to a day ago:
    the token and the coupon's hours are judged by that, all else by how things stand now. Raises NotFound
    `coupon_not_found` (also another publisher's); Refused `coupon_already_used` (with when and where),
    `coupon_cancelled`, `coupon_expired`, `wrong_store`, `outside_hours`, `minimum_bill_not_met`, `publisher_suspended`
    (what is out is given back); Invalid when a bill is needed, or it was scanned too long ago.
    """
    try:
        return await _verify(till, code, token, bill_fen, key, scanned_at)
    except ChutanError as refusal:
        if key is not None and (earlier := await ledger.answered(key)) is not None:
            return dict(earlier.answer)
        if refusal.code == "coupon_already_used":  # somebody else was quicker: say what became of the coupon
            await _refuse_closed(await _shown(till, code, token, fresh_at=None))
        raise


_VERIFICATION: Final = ledger.Relation(
    "verification",
    ("id", "redemption", "store", "till", "bill_fen", "discount_fen", "verified_at", "scanned_at"),
    rank=2,
)


# Where a suspension gives the coupons out back, none of them is used any more.
_HONOURED: Final = """
    SELECT g.n FROM unnest($1::uuid[]) WITH ORDINALITY AS g (publisher, n)
    JOIN publisher p ON p.id = g.publisher AND p.coupons_out IS DISTINCT FROM 'given_back'"""


async def _verify(
    till: UUID, code: str | None, token: str | None, bill_fen: int | None, key: ledger.IdempotencyKey | None,
    scanned_at: datetime | None,
) -> dict[str, Any]:  # fmt: skip
    now = clock.now()
    scanned_at = _lately(scanned_at, now)
    shown = await _shown(till, code, token, fresh_at=scanned_at or now)
    if shown["status"] != "issued":
        await _refuse_closed(shown)
    if now >= shown["expires_at"]:
        raise Refused("coupon_expired", expired_at=shown["expires_at"])
    terms = terms_from(shown["terms"])
    if shown["store"] not in (terms.stores or [shown["store"]]):
        raise Refused("wrong_store", stores=await _store_names(terms.stores or ()))
    require_usable(terms, bill_fen=bill_fen, at=scanned_at or now)
    given_fen = discount_fen(terms, bill_fen)

    holds = (await ledger.holds_of([shown["id"]])).get(shown["id"])
    if holds is None:
        raise Refused("coupon_already_used")
    verification = new_id()
    answer = {
        "id": str(verification),
        "redemption_id": str(shown["id"]),
        "offer": {"id": str(shown["offer"]), "title": terms.title, "kind": terms.kind},
        "discount_fen": given_fen,
        "verified_at": now.isoformat().replace("+00:00", "Z"),
    }
    group = ledger.Group(
        legs=[_captured(hold, pending, shown["publisher"], given_fen) for hold, pending in holds.items()],
        at=now,
        requires=[ledger.Step(_HONOURED, (shown["publisher"],), "publisher_suspended")],
        inserts=[
            ledger.Insert(_VERIFICATION, (verification, shown["id"], shown["store"], till, bill_fen, given_fen, now,
                                          scanned_at)),
            consumed(shown["id"], resident=shown["resident"], publisher=shown["publisher"], amount_g=shown["price_g"],
                     at=now, settle_after=now + REVERSAL_WINDOW),
        ],
        changes=closed(shown["id"], as_status="verified", at=now, refusal="coupon_already_used"),
        key=key,
        answer=answer,
    )  # fmt: skip
    return dict(await ledger.submit(group))


def _lately(scanned_at: datetime | None, now: datetime) -> datetime | None:
    """When it was scanned, which is not after `now`. Raises Invalid."""
    if scanned_at is None:
        return None
    if not now - LONGEST_WITHOUT_NETWORK <= scanned_at <= now + _CLOCKS_APART:
        raise Invalid(FieldError("scanned_at", "out_of_range"))
    return min(scanned_at, now)


async def _shown(till: UUID, code: str | None, token: str | None, *, fresh_at: datetime | None) -> db.Row:
    """The redemption behind what was typed or scanned, if it is of the till's own publisher. A token counts in its
    half minute, which must be that of `fresh_at` where one is given."""
    row = None
    if token is not None:
        parts = parse_token(token)
        if parts is not None:
            row = await db.fetch_row(_SHOWN + "r.id = $2", till, parts.redemption)
            if (
                row is not None
                and fresh_at is not None
                and not is_fresh(parts, row["token_key"], at=fresh_at)
            ):
                row = None
    elif code is not None:
        digits = normal_code(code)
        if digits is not None:
            row = await db.fetch_row(_SHOWN + "c.code = $2", till, digits)
    if row is None or row["status"] in ("fulfilled", "awaiting_payment"):
        raise NotFound("coupon_not_found")
    return row


async def _refuse_closed(shown: db.Row) -> None:
    """Say why a coupon that is not open cannot be used."""
    if shown["status"] == "issued":
        return
    used = await db.fetch_row(
        """SELECT v.verified_at, s.name FROM verification v JOIN store s ON s.id = v.store
           WHERE v.redemption = $1 AND v.reversed_at IS NULL""",
        shown["id"],
    )
    facts = {"used_at": used["verified_at"], "store": used["name"]} if used else {}
    raise Refused(CLOSED_AS[shown["status"]], **facts)


async def _store_names(stores: Collection[UUID]) -> list[str]:
    rows = await db.fetch("SELECT name FROM store WHERE id = ANY($1) ORDER BY name", list(stores))
    return [row["name"] for row in rows]


def _captured(hold: UUID, pending: ledger.Pending, publisher: UUID, given_fen: int) -> ledger.Leg:
    """Post a hold; one on a budget for the discount actually given, and not at all if that is nothing."""
    if pending.credit == payable(publisher).id or pending.debit == PROMISES.id:
        if given_fen == 0:
            return ledger.Release(pending=hold, refusal="coupon_already_used")
        return ledger.Post(pending=hold, amount=min(given_fen, pending.amount), refusal="coupon_already_used",
                           refusal_expired="coupon_expired")  # fmt: skip
    return ledger.Post(pending=hold, refusal="coupon_already_used", refusal_expired="coupon_expired")


async def reverse(*, till: UUID, verification: UUID, key: ledger.IdempotencyKey | None) -> dict[str, Any]:
    """Undo a verification of the till's own store within 15 minutes and before settlement: the coupon is open again.

    Raises NotFound for another store's; Refused `reversal_window_closed`, `already_reversed`, `budget_exhausted` (what
    the discount left of its budget went to others meanwhile, so the coupon could not be honoured again).
    """
    row = await db.fetch_row(
        """SELECT v.id, v.verified_at, v.reversed_at, v.redemption, c.expires_at
           FROM till t JOIN verification v ON v.store = t.store JOIN coupon c ON c.redemption = v.redemption
           WHERE t.id = $1 AND v.id = $2""",
        till, verification,
    )  # fmt: skip
    if row is None:
        raise NotFound
    try:
        return dict(await ledger.submit(await _reversed(row, key)))
    except Refused as refusal:
        return await answered_before(key, otherwise=refusal)


_REOPEN: Final = """
    UPDATE redemption r SET status = 'issued', closed_at = NULL
    FROM unnest($1::uuid[]) WITH ORDINALITY AS g (id, n)
    WHERE r.id = g.id AND r.status = 'verified' RETURNING g.n"""
_REOPEN_COUPON: Final = """
    UPDATE coupon c SET open = true FROM unnest($1::uuid[]) WITH ORDINALITY AS g (redemption, n)
    WHERE c.redemption = g.redemption AND NOT c.open RETURNING g.n"""
_REVERSE: Final = """
    UPDATE verification v SET reversed_at = g.at
    FROM unnest($1::uuid[], $2::timestamptz[]) WITH ORDINALITY AS g (id, at, n)
    WHERE v.id = g.id AND v.reversed_at IS NULL RETURNING g.n"""
_UNCONSUME: Final = """
    UPDATE consumption_record c SET state = 'reversed' FROM unnest($1::uuid[]) WITH ORDINALITY AS g (redemption, n)
    WHERE c.redemption = g.redemption AND c.state = 'pending' RETURNING g.n"""


async def _reversed(row: db.Row, key: ledger.IdempotencyKey | None) -> ledger.Group:
    """The group that undoes a verification. Raises Refused."""
    now = max(clock.now(), row["verified_at"])  # the clock may have been put back since
    if row["reversed_at"] is not None:
        raise Refused("already_reversed")
    if now >= row["verified_at"] + REVERSAL_WINDOW:
        raise Refused("reversal_window_closed")
    return ledger.Group(
        legs=await ledger.undo_and_hold(row["redemption"], at=row["verified_at"], until=row["expires_at"],
                                        refusal="already_reversed", refusal_hold="budget_exhausted"),
        at=now,
        changes=[
            ledger.Step(_REVERSE, (row["id"], now), "already_reversed"),
            ledger.Step(_UNCONSUME, (row["redemption"],), "reversal_window_closed"),
            ledger.Step(_REOPEN, (row["redemption"],), "already_reversed"),
            ledger.Step(_REOPEN_COUPON, (row["redemption"],), "already_reversed"),
        ],
        key=key,
        answer={"id": str(row["id"]), "redemption_id": str(row["redemption"]), "status": "reversed",
                "reversed_at": now.isoformat().replace("+00:00", "Z")},
    )  # fmt: skip
