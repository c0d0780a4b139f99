"""An offer as the API shows it, made of its terms in force, its publisher, its stores and its counters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from marketplace import chart, clock, db, ledger
from marketplace.offers.benefits import Kind, benefit_shown
from marketplace.offers.eligibility import Reason
from marketplace.offers.state import Shown, Status, shown_status
from marketplace.offers.terms import Capture, Conditions, Funding, Terms, capture, face_value_fen, terms_from
from marketplace.pools import free_codes

SELECT_OFFERS = """
    SELECT o.id, o.status, o.reason, v.id AS version, v.terms,
           p.id AS publisher, p.name AS publisher_name, p.kind AS publisher_kind, p.status AS publisher_status
    FROM offer o
    JOIN offer_version v ON v.offer = o.id AND v.number = o.version
    JOIN publisher p ON p.id = o.publisher
"""


@dataclass(frozen=True, slots=True)
class Record:
    """An offer as it is stored, with its terms in force."""

    id: UUID
    version: UUID
    status: Status
    reason: str | None
    terms: Terms
    publisher: PublisherView
    publisher_active: bool

    def shown(self, now: datetime, *, stock_left: int | None = None) -> Shown:
        """Its state at `now`; the offers of a publisher that is not active have ended."""
        status: Status = self.status
        if not self.publisher_active and status in {"approved", "live", "paused"}:
            status = "ended"
        return shown_status(
            status, starts_at=self.terms.starts_at, ends_at=self.terms.ends_at, now=now, stock_left=stock_left
        )


class PublisherView(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    kind: str


class StoreView(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    address: str


class OfferView(msgspec.Struct, frozen=True, kw_only=True):
    """An offer. `eligible` and `reasons` are there when it was judged for a resident, `reason` when it was rejected.

    `reasons` are the codes that a redemption would be refused with; `reason_details` say more about each: of a rule,
    every condition that is not met.
    """

    id: UUID
    publisher: PublisherView
    kind: Kind
    title: str | None
    summary: str
    terms: str
    image_url: str | None
    price_g: int | None
    cash_fen: int
    benefit: dict[str, Any] | None
    conditions: Conditions
    funding: Funding
    face_value_fen: int | None
    stock_total: int | None
    stock_left: int | None
    per_resident_limit: int | None
    status: Shown
    starts_at: datetime | None
    ends_at: datetime | None
    coupon_valid_days: int
    capture: Capture
    stores: list[StoreView]
    eligibility: str | None
    reason: str | UnsetType = UNSET
    eligible: bool | UnsetType = UNSET
    reasons: list[str] | UnsetType = UNSET
    reason_details: list[Reason] | UnsetType = UNSET


def record(row: db.Row) -> Record:
    """A row of SELECT_OFFERS."""
    return Record(
        id=row["id"], version=row["version"], status=row["status"], reason=row["reason"],
        terms=terms_from(row["terms"]),
        publisher=PublisherView(row["publisher"], row["publisher_name"], row["publisher_kind"]),
        publisher_active=row["publisher_status"] == "active",
    )  # fmt: skip


async def stock_left(records: Iterable[Record]) -> dict[UUID, int | None]:
    """What is left of each offer by the stock of its terms in force, never below zero; None is unlimited.

    Of an offer of codes never more than its pool still has.
    """
    records = list(records)
    free = await free_codes({r.id for r in records if r.terms.kind == "code"})
    counters = {r.id: chart.stock(r.id).id for r in records if r.terms.stock_total is not None}
    used = await ledger.balances(list(counters.values())) if counters else {}
    left: dict[UUID, int | None] = {}
    for r in records:
        bounds = [free[r.id]] if r.id in free else []
        if r.terms.stock_total is not None:
            bounds.append(r.terms.stock_total - used[counters[r.id]].counted)
        left[r.id] = max(0, min(bounds)) if bounds else None
    return left


async def views(records: Sequence[Record]) -> list[OfferView]:
    """`records` as they are shown now, in their order, with as many queries for many as for one."""
    if not records:
        return []
    now = clock.now()
    left = await stock_left(records)
    stores = await _stores(records)
    return [_view(r, now=now, left=left[r.id], stores=stores) for r in records]


async def _stores(records: Iterable[Record]) -> dict[UUID, StoreView]:
    wanted = {store for r in records for store in r.terms.stores or ()}
    if not wanted:
        return {}
    rows = await db.fetch("SELECT id, name, address FROM store WHERE id = ANY($1)", list(wanted))
    return {row["id"]: StoreView(row["id"], row["name"], row["address"]) for row in rows}


def _view(r: Record, *, now: datetime, left: int | None, stores: dict[UUID, StoreView]) -> OfferView:
    terms = r.terms
    return OfferView(
        id=r.id, publisher=r.publisher, kind=terms.kind, title=terms.title, summary=terms.summary,
        terms=terms.terms, image_url=terms.image_url, price_g=terms.price_g, cash_fen=terms.cash_fen,
        benefit=None if terms.benefit is None else benefit_shown(terms.benefit),
        conditions=terms.conditions, funding=terms.funding, face_value_fen=face_value_fen(terms),
        stock_total=terms.stock_total, stock_left=left, per_resident_limit=terms.per_resident_limit,
        status=r.shown(now, stock_left=left), starts_at=terms.starts_at, ends_at=terms.ends_at,
        coupon_valid_days=terms.coupon_valid_days, capture=capture(terms),
        stores=[stores[store] for store in terms.stores or () if store in stores],
        eligibility=terms.eligibility, reason=UNSET if r.reason is None else r.reason,
    )  # fmt: skip
