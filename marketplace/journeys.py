"""A redemption as its resident sees it: what it holds or took, its coupon, and where its grams went."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from marketplace import db
from marketplace.errors import NotFound
from marketplace.offers.benefits import benefit_shown
from marketplace.offers.terms import terms_from
from marketplace.pools.sealing import unsealed_code


class CouponView(msgspec.Struct, frozen=True):
    """The typed code, and when it runs out."""

    code: str
    expires_at: datetime


class SettlementView(msgspec.Struct, frozen=True):
    """Where the consumed grams are on their way into the registry; the receipt once they are there."""

    state: str
    receipt: dict[str, Any] | None


class Journey(msgspec.Struct, frozen=True, kw_only=True):
    """One redemption; `offer` is told by the terms that it was redeemed under."""

    id: UUID
    status: str
    offer: dict[str, Any]
    price_g: int
    cash_fen: int
    created_at: datetime
    closed_at: datetime | None
    coupon: CouponView | None
    payment: None = None
    verification: dict[str, Any] | None = None
    settlement: SettlementView | None = None


_SELECT = """
    SELECT r.id, r.status, r.offer, r.price_g, r.cash_fen, r.created_at, r.closed_at,
           v.terms, p.name AS publisher,
           (SELECT json_agg(json_build_object('id', g.id, 'name', g.name, 'address', g.address) ORDER BY g.id)
            FROM store g WHERE g.publisher = r.publisher AND v.terms -> 'stores' ? g.id::text) AS stores,
           c.code, least(c.expires_at, k.expires_at) AS expires_at, k.id AS pooled, k.sealed, s.state, s.receipt,
           u.verified_at, u.discount_fen, t.name AS store
    FROM redemption r
    JOIN offer_version v ON v.id = r.offer_version
    JOIN publisher p ON p.id = r.publisher
    LEFT JOIN coupon c ON c.redemption = r.id
    LEFT JOIN pool_code k ON k.offer = r.offer AND k.redemption = r.id
    LEFT JOIN consumption_record s ON s.redemption = r.id AND s.state <> 'reversed'
    LEFT JOIN verification u ON u.redemption = r.id AND u.reversed_at IS NULL
    LEFT JOIN store t ON t.id = u.store
    WHERE r.resident = $1"""


async def journey(*, resident: UUID, redemption: UUID) -> Journey:
    """One redemption of `resident`. Raises NotFound, for another's too."""
    row = await db.fetch_row(f"{_SELECT} AND r.id = $2", resident, redemption)
    if row is None:
        raise NotFound
    return _journey(row)


async def status_of(*, resident: UUID, redemption: UUID) -> str:
    """The status alone, for whoever asks again and again. Raises NotFound, for another's too."""
    status: str | None = await db.fetch_value(
        "SELECT status FROM redemption WHERE resident = $1 AND id = $2", resident, redemption
    )
    if status is None:
        raise NotFound
    return status


async def journeys(*, resident: UUID, limit: int, before: UUID | None = None) -> list[Journey]:
    """The resident's redemptions, newest first, before the one with the id `before`."""
    rows = await db.fetch(
        f"{_SELECT} AND ($2::uuid IS NULL OR r.id < $2) ORDER BY r.id DESC LIMIT $3", resident, before, limit
    )
    return [_journey(row) for row in rows]


def _journey(row: db.Row) -> Journey:
    terms = terms_from(row["terms"])
    return Journey(
        id=row["id"],
        status=row["status"],
        offer={
            "id": row["offer"], "title": terms.title, "kind": terms.kind, "publisher": row["publisher"],
            "benefit": benefit_shown(terms.benefit) if terms.benefit is not None else None, "terms": terms.terms,
            "conditions": terms.conditions, "stores": row["stores"] or [],
        },
        price_g=row["price_g"],
        cash_fen=row["cash_fen"],
        created_at=row["created_at"],
        closed_at=row["closed_at"],
        coupon=CouponView(_code(row), row["expires_at"]) if row["code"] else None,
        verification=None if row["verified_at"] is None else {
            "verified_at": row["verified_at"], "discount_fen": row["discount_fen"], "store": row["store"],
        },
        settlement=SettlementView(row["state"], row["receipt"]) if row["state"] else None,
    )  # fmt: skip


def _code(row: db.Row) -> str:
    """What its resident types: the code of a pool where it was given one."""
    code: str = row["code"] if row["pooled"] is None else unsealed_code(row["pooled"], row["sealed"])
    return code
