"""What the pages read beside the domain's verbs: a resident's coupons, a publisher's tills, settlement by state."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from marketplace import clock, db
from marketplace.errors import NotFound
from marketplace.redemptions import REVERSAL_WINDOW

_REDEMPTIONS = """
    SELECT r.id, r.status, r.price_g, r.created_at, r.closed_at, r.offer, c.code, o.code AS pool_code,
           c.expires_at, v.terms,
           p.name AS publisher, k.state AS settlement, k.receipt, u.verified_at, u.discount_fen, s.name AS store
    FROM redemption r JOIN coupon c ON c.redemption = r.id JOIN offer_version v ON v.id = r.offer_version
    JOIN publisher p ON p.id = r.publisher
    LEFT JOIN pool_code o ON o.redemption = r.id
    LEFT JOIN consumption_record k ON k.redemption = r.id AND k.state <> 'reversed'
    LEFT JOIN verification u ON u.redemption = r.id AND u.reversed_at IS NULL
    LEFT JOIN store s ON s.id = u.store
    WHERE r.resident = $1"""


async def redemptions(resident: UUID, *, limit: int = 100) -> list[db.Row]:
    """The resident's redemptions, newest first."""
    return await db.fetch(f"{_REDEMPTIONS} ORDER BY r.id DESC LIMIT $2", resident, limit)


async def redemption(resident: UUID, redemption_id: UUID) -> db.Row:
    """One of them. Raises NotFound, for another's too."""
    row = await db.fetch_row(f"{_REDEMPTIONS} AND r.id = $2", resident, redemption_id)
    if row is None:
        raise NotFound
    return row


async def tills(publisher: UUID) -> list[dict[str, Any]]:
    """The tills of a publisher with their stores."""
    rows = await db.fetch(
        """SELECT t.id, t.name, s.name AS store FROM till t JOIN store s ON s.id = t.store
           WHERE s.publisher = $1 ORDER BY s.id, t.id""",
        publisher,
    )
    return [dict(row) for row in rows]


async def last_verification(till: UUID, *, verification: UUID | None = None) -> dict[str, Any] | None:
    """The latest verification at `till`, or the given one, and whether it can still be undone."""
    row = await db.fetch_row(
        """SELECT u.id, u.discount_fen, u.bill_fen, u.verified_at, u.reversed_at, o.title, k.state
           FROM verification u JOIN redemption r ON r.id = u.redemption JOIN offer o ON o.id = r.offer
           LEFT JOIN consumption_record k ON k.redemption = r.id AND k.state <> 'reversed'
           WHERE u.till = $1 AND ($2::uuid IS NULL OR u.id = $2) ORDER BY u.verified_at DESC LIMIT 1""",
        till, verification,
    )  # fmt: skip
    if row is None:
        return None
    open_still = clock.now() < row["verified_at"] + REVERSAL_WINDOW and row["state"] == "pending"
    return {**dict(row), "reversible": open_still and row["reversed_at"] is None}


async def settlement_counts() -> list[dict[str, Any]]:
    """Consumption records and their grams by state."""
    rows = await db.fetch(
        """SELECT state, count(*) AS records, sum(amount_g)::bigint AS amount_g FROM consumption_record
           GROUP BY state ORDER BY state"""
    )
    return [dict(row) for row in rows]
