"""What a resident's wallet 碳账户 holds, and what moved in it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from marketplace import clock, db, ledger
from marketplace.chart import CONSUMPTION, EXPIRED, wallet

EXPIRING_WITHIN: Final = timedelta(days=90)
_AFTER_ALL: Final = UUID(int=2**128 - 1)


class Expiring(msgspec.Struct, frozen=True):
    """Grams that lapse at `expires_at` unless they are used."""

    amount_g: int
    expires_at: datetime


class Wallet(msgspec.Struct, frozen=True, kw_only=True):
    """All in grams; `earned_g` is the sum of the other four."""

    available_g: int
    held_g: int
    consumed_g: int
    expired_g: int
    earned_g: int
    expiring: list[Expiring]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A movement: what it did to the available grams, and what was available after it."""

    id: UUID
    kind: str
    amount_g: int
    available_after_g: int
    at: datetime
    about: str | None
    redemption_id: UUID | None


async def wallet_of(resident: UUID) -> Wallet:
    """The wallet as it is now, read in one snapshot."""
    account = wallet(resident).id
    async with db.transaction():
        await db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        balance = (await ledger.balances([account]))[account]
        gone = await db.fetch_row(
            """SELECT coalesce(sum(amount) FILTER (WHERE credit = $2), 0)::bigint
                      - coalesce((SELECT sum(amount) FROM ledger_transfer b
                                  WHERE b.credit = $1 AND b.debit = $2 AND b.phase = 'posted'
                                    AND b.credit_limit IS NULL), 0)::bigint AS consumed,
                      coalesce(sum(amount) FILTER (WHERE credit = $3), 0)::bigint AS expired
               FROM ledger_transfer WHERE debit = $1 AND credit_limit IS NULL AND phase IN ('posted', 'post')""",
            account, CONSUMPTION.id, EXPIRED.id,
        )  # fmt: skip
        expiring = await _expiring(resident, balance)
    assert gone is not None
    return Wallet(
        available_g=balance.available,
        held_g=balance.debits_pending,
        consumed_g=gone["consumed"],
        expired_g=gone["expired"],
        earned_g=balance.available + balance.debits_pending + gone["consumed"] + gone["expired"],
        expiring=expiring,
    )


async def _expiring(resident: UUID, balance: ledger.Balance) -> list[Expiring]:
    """What lapses within 90 days. Lots are spent oldest first, so what is held or awaits its serials comes off them."""
    rows = await db.fetch(
        """SELECT expires_at, sum(amount_g - assigned_g)::bigint AS left_g FROM lot
           WHERE resident = $1 AND assigned_g < amount_g GROUP BY expires_at ORDER BY expires_at""",
        resident,
    )
    spoken_for = sum(row["left_g"] for row in rows) - balance.available
    expiring = []
    for row in rows:
        taken = min(spoken_for, row["left_g"])
        spoken_for -= taken
        if row["left_g"] > taken and row["expires_at"] <= clock.now() + EXPIRING_WITHIN:
            expiring.append(Expiring(row["left_g"] - taken, row["expires_at"]))
    return expiring


async def entries_of(resident: UUID, *, limit: int, before: UUID | None = None) -> list[Entry]:
    """The movements of a wallet, newest first, before the entry `before`: at most `limit` of them.

    What was available after each is what is now, less what came later, all of one snapshot.
    """
    rows = await db.fetch(
        """WITH moves AS NOT MATERIALIZED (
               SELECT t.id, t.debit, t.credit, t.kind, t.phase, t.subject, t.created_at,
                      CASE WHEN t.credit = $1 THEN CASE WHEN t.phase IN ('posted', 'post') THEN t.amount ELSE 0 END
                           WHEN t.phase IN ('posted', 'pending') THEN -t.amount
                           ELSE p.amount - CASE WHEN t.phase = 'post' THEN t.amount ELSE 0 END END AS amount
               FROM ledger_transfer t LEFT JOIN ledger_transfer p ON p.id = t.pending_id
               WHERE t.credit_limit IS NULL),  -- grams have no limit; the index leaves out what has
           shown AS ((SELECT * FROM moves WHERE debit = $1 AND id < $2 ORDER BY id DESC LIMIT $3)
                     UNION ALL (SELECT * FROM moves WHERE credit = $1 AND id < $2 ORDER BY id DESC LIMIT $3)
                     ORDER BY id DESC LIMIT $3),
           newest AS (SELECT (SELECT credits_posted - debits_posted - debits_pending FROM ledger_account WHERE id = $1)
                             - coalesce((SELECT sum(amount) FROM moves WHERE $1 IN (debit, credit) AND id >= $2), 0)
                             AS available)
           SELECT s.*, d.id AS redemption, v.terms ->> 'title' AS title, l.methodology,
                  (n.available - sum(s.amount) OVER (ORDER BY s.id DESC) + s.amount)::bigint AS available_after
           FROM shown s CROSS JOIN newest n
           LEFT JOIN redemption d ON d.id = s.subject LEFT JOIN offer_version v ON v.id = d.offer_version
           LEFT JOIN lot l ON l.record = s.subject ORDER BY s.id DESC""",
        wallet(resident).id, before or _AFTER_ALL, limit,
    )  # fmt: skip
    return [
        Entry(
            id=row["id"],
            kind=_KINDS.get(row["phase"], row["kind"]),
            amount_g=row["amount"],
            available_after_g=row["available_after"],
            at=row["created_at"],
            about=row["title"] or row["methodology"],
            redemption_id=row["redemption"],
        )
        for row in rows
    ]


_KINDS: Final = {"pending": "hold", "post": "capture", "void": "release"}
