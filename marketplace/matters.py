"""How publishers stand with the operator: what was done to them, what is still open, and what holders are told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from marketplace import chart, clock, db
from marketplace.errors import NotFound

TOLD_FOR: Final = timedelta(days=30)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A publisher as the operator sees it."""

    id: UUID
    name: str
    kind: str
    city: str
    status: str
    coupons_out: str | None
    giving_back: bool
    licence: str | None
    created_at: datetime


class StandingEvent(msgspec.Struct, frozen=True):
    """What an operator did to a publisher."""

    event: str
    coupons_out: str | None
    reason: str
    at: datetime


class Matters(msgspec.Struct, frozen=True, kw_only=True):
    """What of a publisher is open: coupons out, captures that the registry does not have yet, and money that it is owed
    (or owes, below zero)."""

    coupons_out: int
    unsettled: int
    owed_fen: int

    @property
    def any(self) -> bool:
        return bool(self.coupons_out or self.unsettled or self.owed_fen)


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What a resident is told about a coupon: `suspended` (good still), `given_back` or `clawed_back` (ended)."""

    redemption_id: UUID
    kind: str
    title: str
    publisher: str
    amount_g: int
    at: datetime


_STANDING: Final = """SELECT id, name, kind, city, status, coupons_out, gives_back_until IS NOT NULL AS giving_back,
                             licence, created_at FROM publisher"""


async def standings(
    *, city: str | None = None, q: str = "", status: str | None = None, limit: int, before: UUID | None = None
) -> list[Standing]:  # fmt: skip
    """Up to `limit` publishers that were approved once, newest first; `q` is a part of the name, or the licence."""
    rows = await db.fetch(
        f"""{_STANDING} WHERE ($1::text IS NULL OR city = $1) AND status <> 'applied'
              AND ($2 = '' OR strpos(lower(name), lower($2)) > 0 OR licence = $2)
              AND ($3::text IS NULL OR status = $3) AND ($4::uuid IS NULL OR id < $4)
            ORDER BY id DESC LIMIT $5""",
        city, q, status, before, limit,
    )  # fmt: skip
    return [Standing(**row) for row in rows]


async def standing_of(publisher: UUID, *, city: str | None = None) -> Standing:
    """How `publisher` stands. Raises NotFound, for one that is not of `city` too."""
    row = await db.fetch_row(
        f"{_STANDING} WHERE id = $1 AND ($2::text IS NULL OR city = $2)", publisher, city
    )
    if row is None:
        raise NotFound
    return Standing(**row)


async def history_of(publisher: UUID) -> list[StandingEvent]:
    """What was done to `publisher`, newest first."""
    rows = await db.fetch(
        """SELECT event, coupons_out, reason, created_at AS at FROM publisher_standing
           WHERE publisher = $1 ORDER BY id DESC""",
        publisher,
    )
    return [StandingEvent(**row) for row in rows]


async def suspension_of(publisher: UUID) -> StandingEvent | None:
    """How and why `publisher` was suspended last."""
    history = await history_of(publisher)
    return next((event for event in history if event.event == "suspended"), None)


async def open_matters(publisher: UUID) -> Matters:
    """What of `publisher` is open."""
    row = await db.fetch_row(
        """SELECT (SELECT count(*) FROM redemption
                   WHERE publisher = $1 AND status IN ('issued', 'awaiting_payment')) AS coupons_out,
                  (SELECT count(*) FROM consumption_record
                   WHERE state NOT IN ('recorded', 'reversed') AND publisher = $1) AS unsettled,
                  (SELECT coalesce(sum(amount) FILTER (WHERE credit = $2), 0)
                        - coalesce(sum(amount) FILTER (WHERE debit = $2), 0)
                   FROM ledger_transfer WHERE phase IN ('posted', 'post') AND $2 IN (debit, credit))::bigint
                      AS owed_fen""",
        publisher, chart.payable(publisher).id,
    )  # fmt: skip
    assert row is not None
    return Matters(**row)


async def notices(resident: UUID, *, redemption: UUID | None = None) -> list[Notice]:
    """What `resident` is told, newest first, of all coupons or of one: those that are good though their publisher is
    suspended, and those that somebody else ended in the last 30 days."""
    rows = await db.fetch(
        """SELECT r.id AS redemption_id, coalesce(n.kind, 'suspended') AS kind, v.terms ->> 'title' AS title,
                  p.name AS publisher, coalesce(n.amount_g, r.price_g) AS amount_g,
                  coalesce(n.created_at, (SELECT max(s.created_at) FROM publisher_standing s
                                          WHERE s.publisher = p.id AND s.event = 'suspended'), r.created_at) AS at
           FROM (SELECT id FROM redemption WHERE resident = $1 AND status = 'issued'
                 UNION SELECT redemption FROM holder_notice WHERE resident = $1 AND created_at > $2) AS told
           JOIN redemption r ON r.id = told.id AND r.resident = $1
           JOIN offer_version v ON v.id = r.offer_version
           JOIN publisher p ON p.id = r.publisher
           LEFT JOIN holder_notice n ON n.redemption = r.id AND n.resident = r.resident
           WHERE ($3::uuid IS NULL OR r.id = $3) AND (
               n.redemption IS NOT NULL OR (p.status = 'suspended' AND p.coupons_out IS DISTINCT FROM 'given_back'))
           ORDER BY at DESC, r.id LIMIT 20""",
        resident, clock.now() - TOLD_FOR, redemption,
    )  # fmt: skip
    return [Notice(**row) for row in rows]


__all__ = ["Matters", "Notice", "Standing", "StandingEvent", "history_of", "notices", "open_matters", "standing_of",
           "standings", "suspension_of"]  # fmt: skip
