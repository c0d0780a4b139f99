"""An offer as the API shows it, made of its terms in force, its publisher, its stores and its counters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from marketplace import chart, clock, db, ledger
from marketplace.campaigns.state import CampaignState
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
    check_whole,
    face_value_fen,
    terms_from,
)
from marketplace.offers.usage import Usage, usage_of
from marketplace.offers.windows import Windows
from marketplace.pools import free_codes

SELECT_OFFERS = """
    SELECT o.id, o.status, o.reason, o.limits_revision, v.id AS version, v.number, v.created_at AS edited_at, v.terms,
           p.id AS publisher, p.name AS publisher_name, p.kind AS publisher_kind, p.status AS publisher_status,
           p.city AS publisher_city, c.id AS campaign, c.name AS campaign_name, c.status AS campaign_status,
           c.starts_at AS campaign_starts_at, c.ends_at AS campaign_ends_at
    FROM offer o
    JOIN offer_version v ON v.offer = o.id AND v.number = o.version
    JOIN publisher p ON p.id = o.publisher
    LEFT JOIN campaign c ON c.id = (v.terms #>> '{funding,campaign}')::uuid
"""


@dataclass(frozen=True, slots=True)
class Record:
    """An offer as it is stored, with its terms in force."""

    id: UUID
    version: UUID
    number: int
    edited_at: datetime
    status: Status
    reason: str | None
    terms: Terms
    publisher: PublisherView
    publisher_status: str
    publisher_city: str
    limits_revision: int
    shared_limits: tuple[SharedLimit, ...] = ()
    campaign: CampaignState | None = None

    def shown(self, now: datetime, *, stock_left: int | None = None) -> Shown:
        """Its state at `now`, which is that of the campaign that pays for it where this one is not open."""
        own = self.own(now, stock_left=stock_left)
        if self.campaign is None or own not in {"live", "sold_out"}:
            return own
        return _AS_ITS_CAMPAIGN.get(self.campaign.shown(now), own)

    def starts_at(self) -> datetime | None:
        """When it can be redeemed from: by its own window and its campaign's period."""
        starts = (self.terms.starts_at, self.campaign.starts_at if self.campaign else None)
        return max((at for at in starts if at is not None), default=None)

    def ends_at(self) -> datetime | None:
        """When it cannot be redeemed any more: by its own window and its campaign's period."""
        ends = (self.terms.ends_at, self.campaign.ends_at if self.campaign else None)
        return min((at for at in ends if at is not None), default=None)

    def own(self, now: datetime, *, stock_left: int | None = None) -> Shown:
        """Its own state at `now`, whoever pays; a suspended publisher's offers are paused, a closed one's ended."""
        status: Status = self.status
        if self.publisher_status != "active" and status in {"approved", "live", "paused"}:
            status = "paused" if self.publisher_status == "suspended" else "ended"
        return shown_status(
            status, starts_at=self.terms.starts_at, ends_at=self.terms.ends_at, now=now, stock_left=stock_left
        )


_AS_ITS_CAMPAIGN: Final[Mapping[str, Shown]] = {
    "upcoming": "approved", "paused": "paused", "over": "ended", "ended": "ended",
}  # fmt: skip


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
    reason goes away by itself; `reason` when it was rejected; budgets and `usage` for its publisher and the operator,
    with the number of its terms' `version`, when that was made, and of a draft what is `missing`.


    `reasons` are the codes that a redemption would be refused with; `reason_details` say more about each: of a rule,
    every condition that is not met. `budget_exhausted` is for everybody: one coupon more cannot be paid.
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
    budget_exhausted: bool = False
    reasons: list[str] | UnsetType = UNSET
    reason_details: list[Reason] | UnsetType = UNSET
    resets: dict[str, datetime] | UnsetType = UNSET
    budget_fen: int | None | UnsetType = UNSET
    budget_per_day_fen: int | None | UnsetType = UNSET
    usage: list[Usage] | UnsetType = UNSET
    version: int | UnsetType = UNSET
    edited_at: datetime | UnsetType = UNSET
    missing: list[str] | UnsetType = UNSET


def record(row: db.Row) -> Record:
    """A row of SELECT_OFFERS."""
    return Record(
        id=row["id"], version=row["version"], number=row["number"], edited_at=row["edited_at"],
        status=row["status"], reason=row["reason"],
        terms=terms_from(row["terms"]),
        publisher=PublisherView(row["publisher"], row["publisher_name"], row["publisher_kind"]),
        publisher_status=row["publisher_status"], publisher_city=row["publisher_city"],
        limits_revision=row["limits_revision"], campaign=_campaign(row),
    )  # fmt: skip


def _campaign(row: db.Row) -> CampaignState | None:
    if row["campaign"] is None:
        return None
    return CampaignState(row["campaign"], row["campaign_name"], row["campaign_status"], row["campaign_starts_at"],
                         row["campaign_ends_at"])  # fmt: skip


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
    unpaid = await out_of_budget(records)
    shown = [_view(r, now=now, left=left[r.id], stores=stores, unpaid=r.id in unpaid) for r in records]
    if not inside:
        return shown
    usage = await usage_of({r.id: r.terms for r in records}, at=now)
    return [_inside(offer, r, usage) for offer, r in zip(shown, records, strict=True)]


async def out_of_budget(records: Sequence[Record]) -> set[UUID]:
    """Those of which one coupon more cannot be paid: by their campaign's budget, or within their own."""
    worth = {r.id: face_value_fen(r.terms) or 0 for r in records}
    paid = [
        r for r in records if worth[r.id] and (r.terms.funding.campaign or r.terms.budget_fen is not None)
    ]
    if not paid:
        return set()
    balances = await ledger.balances(
        [chart.budget(r.terms.funding.campaign).id for r in paid if r.terms.funding.campaign]
        + [chart.promised(r.id).id for r in paid if r.terms.budget_fen is not None]
    )
    return {
        r.id for r in paid
        if (r.terms.funding.campaign
            and balances[chart.budget(r.terms.funding.campaign).id].available < worth[r.id])
        or (r.terms.budget_fen is not None
            and balances[chart.promised(r.id).id].counted + worth[r.id] > r.terms.budget_fen)
    }  # fmt: skip


def _inside(offer: OfferView, r: Record, usage: Mapping[UUID, list[Usage]]) -> OfferView:
    return msgspec.structs.replace(
        offer, budget_fen=r.terms.budget_fen, budget_per_day_fen=r.terms.budget_per_day_fen, usage=usage[r.id],
        version=r.number, edited_at=r.edited_at,
        missing=_missing(r, offer.stock_left) if r.status in {"draft", "rejected"} else UNSET,
    )  # fmt: skip


def _missing(r: Record, stock_left: int | None) -> list[str]:
    missing = [error.field for error in check_whole(r.terms)]
    return [*missing, "codes"] if r.terms.kind == "code" and stock_left == 0 else missing


async def _stores(records: Iterable[Record]) -> dict[UUID, StoreView]:
    wanted = {store for r in records for store in r.terms.stores or ()}
    if not wanted:
        return {}
    rows = await db.fetch("SELECT id, name, address FROM store WHERE id = ANY($1)", list(wanted))
    return {row["id"]: StoreView(row["id"], row["name"], row["address"]) for row in rows}


def _view(r: Record, *, now: datetime, left: Left, stores: dict[UUID, StoreView], unpaid: bool) -> OfferView:
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
        eligibility=terms.eligibility, reason=UNSET if r.reason is None else r.reason, budget_exhausted=unpaid,
    )  # fmt: skip
