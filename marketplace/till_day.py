"""What a store's tills did: the last verification, and a day with its sums."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from marketplace import clock, db
from marketplace.offers.benefits import Kind
from marketplace.redemptions import REVERSAL_WINDOW

# What a cashier subtracts; a gift or a ticket is handed over, and its value is nobody's discount.
OFF_THE_BILL: Final[frozenset[Kind]] = frozenset({"cash_coupon", "discount", "transit"})


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What a till did, and whether it can still be undone."""

    id: UUID
    title: str
    kind: Kind
    bill_fen: int | None
    discount_fen: int
    verified_at: datetime
    reversed_at: datetime | None
    reversible: bool

    @property
    def off_the_bill(self) -> bool:
        """Whether the customer pays less by it."""
        return self.kind in OFF_THE_BILL

    @property
    def pays_fen(self) -> int | None:
        """What the customer pays; None where the bill is not known."""
        return None if self.bill_fen is None or not self.off_the_bill else self.bill_fen - self.discount_fen


_VERIFICATIONS: Final = """
    SELECT u.id, v.terms ->> 'title' AS title, v.terms ->> 'kind' AS kind,
           u.bill_fen, u.discount_fen, u.verified_at, u.reversed_at,
           coalesce(k.state = 'pending', false) AND u.reversed_at IS NULL AS reversible
    FROM till t JOIN verification u ON u.store = t.store
    JOIN redemption r ON r.id = u.redemption JOIN offer_version v ON v.id = r.offer_version
    LEFT JOIN consumption_record k ON k.redemption = r.id AND k.state <> 'reversed'
    WHERE t.id = $1 AND """


async def last_verification(*, till: UUID, verification: UUID | None = None) -> Verification | None:
    """The latest verification at `till`, or the one with the id `verification` if it was made in its store."""
    if verification is None:
        row = await db.fetch_row(_VERIFICATIONS + "u.till = t.id ORDER BY u.id DESC LIMIT 1", till)
    else:
        row = await db.fetch_row(_VERIFICATIONS + "u.id = $2", till, verification)
    return None if row is None else _as_it_stands(row)


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """A store's day: what was verified and stands, what was reversed, and what was taken off bills."""

    verified: int
    reversed: int
    discount_fen: int


async def verifications_of_day(
    *, till: UUID, day: date, limit: int, before: UUID | None = None
) -> list[Verification]:
    """Up to `limit` verifications of the till's store on `day` in Shanghai, newest first, from `before` on."""
    rows = await db.fetch(
        _VERIFICATIONS + "u.verified_at >= $2 AND u.verified_at < $3 AND ($4::uuid IS NULL OR u.id < $4)"
        " ORDER BY u.id DESC LIMIT $5",
        till, *_bounds(day), before, limit,
    )  # fmt: skip
    return [_as_it_stands(row) for row in rows]


async def totals_of_day(*, till: UUID, day: date) -> Totals:
    """What the till's store did on `day` in Shanghai."""
    row = await db.fetch_row(
        """SELECT count(*) FILTER (WHERE u.reversed_at IS NULL) AS verified, count(u.reversed_at) AS reversed,
                  coalesce(sum(u.discount_fen) FILTER (
                      WHERE u.reversed_at IS NULL AND v.terms ->> 'kind' = ANY($4)), 0)::bigint AS discount_fen
           FROM till t JOIN verification u ON u.store = t.store
           JOIN redemption r ON r.id = u.redemption JOIN offer_version v ON v.id = r.offer_version
           WHERE t.id = $1 AND u.verified_at >= $2 AND u.verified_at < $3""",
        till, *_bounds(day), sorted(OFF_THE_BILL),
    )  # fmt: skip
    assert row is not None
    return Totals(**row)


def _bounds(day: date) -> tuple[datetime, datetime]:
    return clock.end_of_day(day - timedelta(days=1)), clock.end_of_day(day)


def _as_it_stands(row: db.Row) -> Verification:
    open_still = row["reversible"] and clock.now() < row["verified_at"] + REVERSAL_WINDOW
    return Verification(**{**row, "reversible": open_still})
