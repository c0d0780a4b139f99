"""What the pages read beside the domain's verbs: a resident's wallet and coupons, a publisher's tills."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from marketplace import chart, clock, db
from marketplace.errors import NotFound
from marketplace.redemptions import REVERSAL_WINDOW

ENTRIES = 30


async def wallet(resident: UUID) -> dict[str, int]:
    """Grams by what became of them; `earned_g` is the other four together."""
    account = chart.wallet(resident).id
    row = await db.fetch_row(
        """SELECT coalesce(sum(CASE WHEN t.credit = $1 AND t.phase IN ('posted', 'post') THEN t.amount
                                    WHEN t.debit = $1 AND t.phase IN ('posted', 'post') THEN -t.amount ELSE 0 END), 0) AS kept,
                  coalesce(sum(t.amount) FILTER (WHERE t.debit = $1 AND t.phase = 'pending'
                      AND NOT EXISTS (SELECT 1 FROM ledger_transfer x WHERE x.pending_id = t.id)), 0) AS held,
                  coalesce(sum(t.amount) FILTER (WHERE t.debit = $1 AND t.credit = $2), 0) AS expired
           FROM ledger_transfer t WHERE t.debit = $1 OR t.credit = $1""",
        account, chart.EXPIRED.id,
    )  # fmt: skip
    assert row is not None
    used = await db.fetch_value(
        "SELECT coalesce(sum(amount_g), 0) FROM consumption_record WHERE resident = $1 AND state <> 'reversed'",
        resident,
    )
    kept, held, expired, consumed = int(row["kept"]), int(row["held"]), int(row["expired"]), int(used)
    return {"available_g": kept - held, "held_g": held, "consumed_g": consumed, "expired_g": expired,
            "earned_g": kept + consumed + expired}  # fmt: skip


async def wallet_entries(resident: UUID) -> list[dict[str, Any]]:
    """The latest movements of the wallet, newest first: what it was, and the grams with their sign."""
    rows = await db.fetch(
        """SELECT t.kind, t.phase, t.amount, t.credit = $1 AS incoming, t.created_at, t.subject AS redemption, o.title
           FROM ledger_transfer t LEFT JOIN redemption r ON r.id = t.subject LEFT JOIN offer o ON o.id = r.offer
           WHERE t.debit = $1 OR t.credit = $1 ORDER BY t.created_at DESC, t.id DESC LIMIT $2""",
        chart.wallet(resident).id, ENTRIES,
    )  # fmt: skip
    return [dict(row) for row in rows]


async def expiring_lots(resident: UUID) -> list[dict[str, Any]]:
    """The next lots that lapse, with the grams that are left of each."""
    rows = await db.fetch(
        """SELECT amount_g - assigned_g AS amount_g, expires_at FROM lot
           WHERE resident = $1 AND assigned_g < amount_g ORDER BY expires_at, id LIMIT 3""",
        resident,
    )
    return [dict(row) for row in rows]


_REDEMPTIONS = """
    SELECT r.id, r.status, r.price_g, r.created_at, r.closed_at, r.offer, c.code, c.expires_at, v.terms,
           p.name AS publisher, k.state AS settlement, k.receipt, u.verified_at, u.discount_fen, s.name AS store
    FROM redemption r JOIN coupon c ON c.redemption = r.id JOIN offer_version v ON v.id = r.offer_version
    JOIN publisher p ON p.id = r.publisher
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
        "SELECT state, count(*) AS records, sum(amount_g)::bigint AS amount_g FROM consumption_record GROUP BY state ORDER BY state"
    )
    return [dict(row) for row in rows]
