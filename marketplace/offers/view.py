"""An offer as the API shows it, made of its terms in force, its publisher, its stores and its counters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from marketplace import chart, clock, db, ledger
from marketplace.offers.benefits import Kind, benefit_shown
from marketplace.offers.eligibility import Reason
from marketplace.offers.shared_limits import SharedLimit, limits_over
from marketplace.offers.state import Shown, Status, shown_status
from marketplace.offers.terms import (
    Capture,
    Conditions,
    Funding,
    Limits,
    Terms,
    capture,
    face_value_fen,
    terms_from,
)
from marketplace.offers.usage import Usage, usage_of
from marketplace.offers.windows import Windows
from marketplace.pools import free_codes

SELECT_OFFERS = """
    SELECT o.id, o.status, o.reason, o.limits_revision, v.id AS version, v.terms,
           p.id AS publisher, p.name AS publisher_name, p.kind AS publisher_kind, p.status AS publisher_status,
           p.city AS publisher_city
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
    publisher_status: str
    publisher_city: str
    limits_revision: int
    shared_limits: tuple[SharedLimit, ...] = ()

    def shown(self, now: datetime, *, stock_left: int | None = None) -> Shown:
        """Its state at `now`; the offers of a suspended publisher are paused, those of a closed one have ended."""
        status: Status = self.status
        if self.publisher_status != "active" and status in {"approved", "live", "paused"}:
            status = "paused" if self.publisher_status == "suspended" else "ended"
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
    """An offer. `eligible` and `reasons` are there when it was judged for a resident, with `resets` that say when a
    reason goes away by itself; `reason` when it was rejected; budgets and `usage` for its publisher and the operator.

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
    stock_per_day: int | None
    stock_left_today: int | None
    per_resident_limit: int | None
    limits: Limits
    shared_limits: list[SharedLimit]
    redeem_windows: Windows
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
    resets: dict[str, datetime] | UnsetType = UNSET
    budget_fen: int | None | UnsetType = UNSET
    budget_per_day_fen: int | None | UnsetType = UNSET
    usage: list[Usage] | UnsetType = UNSET


def record(row: db.Row) -> Record:
    """A row of SELECT_OFFERS."""
    return Record(
        id=row["id"], version=row["version"], status=row["status"], reason=row["reason"],
        terms=terms_from(row["terms"]),
        publisher=PublisherView(row["publisher"], row["publisher_name"], row["publisher_kind"]),
        publisher_status=row["publisher_status"],
        publisher_city=row["publisher_city"],
        limits_revision=row["limits_revision"],
    )  # fmt: skip


class Left(NamedTuple):
    """What is left of an offer's stock, in all and today, never below zero; None is unlimited."""

    total: int | None
    today: int | None


async def stock_left(records: Iterable[Record], *, now: datetime) -> dict[UUID, Left]:
    """What is left of each offer at `now` by its terms in force; of an offer of codes never more than its pool has."""
    records = list(records)
    free = await free_codes({r.id for r in records if r.terms.kind == "code"})
    today = clock.day_name(clock.local_day(now))
    totals = {r.id: chart.stock(r.id).id for r in records if r.terms.stock_total is not None}
    days = {r.id: chart.stock(r.id, today).id for r in records if r.terms.stock_per_day is not None}
    counted = [*totals.values(), *days.values()]
    used = await ledger.balances(counted) if counted else {}
    left = {}
    for r in records:
        bounds = [free[r.id]] if r.id in free else []
        if r.terms.stock_total is not None:
            bounds.append(r.terms.stock_total - used[totals[r.id]].counted)
        total = max(0, min(bounds)) if bounds else None
        if r.terms.stock_per_day is not None:
            bounds.append(r.terms.stock_per_day - used[days[r.id]].counted)
            left[r.id] = Left(total, max(0, min(bounds)))
        else:
            left[r.id] = Left(total, None)
    return left


async def with_shared_limits(records: Sequence[Record]) -> list[Record]:
    """`records` with the limits that they stand under together with other offers."""
    over = await limits_over({r.id: r.terms.funding.campaign for r in records})
    return [replace(r, shared_limits=tuple(over[r.id])) for r in records]


async def views(records: Sequence[Record], *, inside: bool = False) -> list[OfferView]:
    """`records` as they are shown now, in their order, with as many queries for many as for one.

    `inside` is for whom budgets are meant: the publisher and the operator.
    """
    if not records:
        return []
    now = clock.now()
    records = await with_shared_limits(records)
    left = await stock_left(records, now=now)
    stores = await _stores(records)
    shown = [_view(r, now=now, left=left[r.id], stores=stores) for r in records]
    if not inside:
        return shown
    usage = await usage_of({r.id: r.terms for r in records}, at=now)
    return [_inside(offer, r, usage) for offer, r in zip(shown, records, strict=True)]


def _inside(offer: OfferView, r: Record, usage: Mapping[UUID, list[Usage]]) -> OfferView:
    return msgspec.structs.replace(
        offer, budget_fen=r.terms.budget_fen, budget_per_day_fen=r.terms.budget_per_day_fen, usage=usage[r.id]
    )


async def _stores(records: Iterable[Record]) -> dict[UUID, StoreView]:
    wanted = {store for r in records for store in r.terms.stores or ()}
    if not wanted:
        return {}
    rows = await db.fetch("SELECT id, name, address FROM store WHERE id = ANY($1)", list(wanted))
    return {row["id"]: StoreView(row["id"], row["name"], row["address"]) for row in rows}


def _view(r: Record, *, now: datetime, left: Left, stores: dict[UUID, StoreView]) -> OfferView:
    terms = r.terms
    return OfferView(
        id=r.id, publisher=r.publisher, kind=terms.kind, title=terms.title, summary=terms.summary,
        terms=terms.terms, image_url=terms.image_url, price_g=terms.price_g, cash_fen=terms.cash_fen,
        benefit=None if terms.benefit is None else benefit_shown(terms.benefit),
        conditions=terms.conditions, funding=terms.funding, face_value_fen=face_value_fen(terms),
        stock_total=terms.stock_total, stock_left=left.total, stock_per_day=terms.stock_per_day,
        stock_left_today=left.today, per_resident_limit=terms.per_resident_limit, limits=terms.limits,
        shared_limits=list(r.shared_limits), redeem_windows=terms.redeem_windows,
        status=r.shown(now, stock_left=left.total), starts_at=terms.starts_at, ends_at=terms.ends_at,
        coupon_valid_days=terms.coupon_valid_days, capture=capture(terms),
        stores=[stores[store] for store in terms.stores or () if store in stores],
        eligibility=terms.eligibility, reason=UNSET if r.reason is None else r.reason,
    )  # fmt: skip
