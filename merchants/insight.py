"""Insight: what a publisher's offers brought over a period, by time, store and offer. Never by resident.

Everything in one answer is read in one snapshot, and is exact by then: see `merchants.rollup`. Exposures and details
are counters that come in every few seconds: see `merchants.seen`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID

import msgspec

from marketplace import chart, clock, db, ledger
from marketplace.offers import view
from marketplace.offers.state import Shown
from merchants.hours import Asked, Counts, asked_for, by_all, by_time_and_place, one_snapshot, total
from merchants.periods import Period, Span

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)

Step = Literal["exposure", "detail", "redemption", "use", "return"]


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """What happened. `used` is what was verified less what was reversed, with what was captured at redemption
    (`fulfilled`); `returned` counts first visits of a day within 30 days after a use on an earlier one."""

    exposures: int = 0
    details: int = 0
    redeemed: int = 0
    fulfilled: int = 0
    cancelled: int = 0
    expired: int = 0
    verified: int = 0
    reversed: int = 0
    used: int = 0
    returned: int = 0
    bill_fen: int = 0
    discount_fen: int = 0


class FunnelStep(msgspec.Struct, frozen=True):
    """A step from being shown to coming back; `of_before_bp` is its share of the step before."""

    step: Step
    count: int
    previous: int
    of_before_bp: int | None


class Slot(msgspec.Struct, frozen=True):
    """An hour or a day, from `start` on."""

    start: datetime
    numbers: Numbers


class HourOfDay(msgspec.Struct, frozen=True):
    """All hours of the period that begin at `hour` o'clock in Shanghai."""

    hour: int
    numbers: Numbers


class StoreNumbers(msgspec.Struct, frozen=True):
    """What happened at a store; what is redeemed happens at none."""

    id: UUID
    name: str
    numbers: Numbers


class OfferNumbers(msgspec.Struct, frozen=True):
    """An offer, what is left of it now (None: unlimited, or paid by the publisher), and what happened with it."""

    id: UUID
    title: str
    status: Shown
    stock_total: int | None
    stock_left: int | None
    budget_fen: int | None
    budget_left_fen: int | None
    numbers: Numbers


class Insight(msgspec.Struct, frozen=True):
    """The dashboard: exact `as_of`, for the publisher's own eyes."""

    as_of: datetime
    period: Period
    offer: UUID | None
    totals: Numbers
    previous: Numbers
    funnel: list[FunnelStep]
    timeline: list[Slot]
    hours: list[HourOfDay]
    stores: list[StoreNumbers]
    offers: list[OfferNumbers]


class Detail(NamedTuple):
    """What happened in an hour with an offer, at a store or at none."""

    hour: datetime
    offer: str
    store: str | None
    numbers: Numbers


# ------------------------------------------------------------------ the dashboard
async def insight(*, publisher: UUID, period: Period, offer: UUID | None = None) -> Insight:
    """What the offers of `publisher`, or the one `offer`, brought in `period`. Raises NotFound for another's offer."""
    async with one_snapshot():
        asked = await asked_for(publisher, offer)
        hours, pairs = await by_time_and_place(asked, period.span)
        previous = _numbers(await total(asked, period.previous))
        stores = await _stores(publisher, pairs)
        offers = await _offers(asked, pairs)
    totals = _numbers(_sum(hours.values()))
    return Insight(
        as_of=clock.now(), period=period, offer=offer, totals=totals, previous=previous,
        funnel=list(_funnel(totals, previous)), timeline=list(_timeline(period, hours)),
        hours=list(_of_day(hours)), stores=stores, offers=offers,
    )  # fmt: skip


async def details(
    *, publisher: UUID, period: Period, offer: UUID | None = None
) -> AsyncIterator[list[Detail]]:
    """The same by the hour, day after day, each as it is when it is read. Raises NotFound for another's offer."""
    names = {row["id"]: row["name"] for row in await db.fetch(_STORE_NAMES, publisher)}
    titles = {row["id"]: row["title"] for row in await db.fetch(_TITLES, publisher)}
    start = period.span.start
    while start < period.span.end:
        span = Span(start, min(start + _DAY, period.span.end))
        async with one_snapshot():
            found = await by_all(await asked_for(publisher, offer), span)
        yield [
            Detail(hour, titles[of], names.get(store), _numbers(counts))
            for (hour, of, store), counts in sorted(found.items())
        ]
        start = span.end


async def offer_titles(*, publisher: UUID) -> list[tuple[str, str]]:
    """The offers that were ever submitted, by id, the newest first: those that something may have happened with."""
    rows = await db.fetch(
        "SELECT id, title FROM offer WHERE publisher = $1 AND status <> 'draft' ORDER BY id DESC", publisher
    )
    return [(str(row["id"]), row["title"]) for row in rows]


# ------------------------------------------------------------------ what is left
_STORE_NAMES: Final = "SELECT id, name FROM store WHERE publisher = $1 ORDER BY id"
_TITLES: Final = "SELECT id, title FROM offer WHERE publisher = $1"


async def _stores(publisher: UUID, pairs: Mapping[tuple[UUID, UUID], Counts]) -> list[StoreNumbers]:
    counts: defaultdict[UUID, Counts] = defaultdict(Counter)
    for (_, store), found in pairs.items():
        counts[store].update(found)
    rows = await db.fetch(_STORE_NAMES, publisher)
    return [StoreNumbers(row["id"], row["name"], _numbers(counts[row["id"]])) for row in rows]


async def _offers(asked: Asked, pairs: Mapping[tuple[UUID, UUID], Counts]) -> list[OfferNumbers]:
    """The offers that something happened with, and those that residents can or could take now; the newest first."""
    counts: defaultdict[UUID, Counts] = defaultdict(Counter)
    for (offer, _), found in pairs.items():
        counts[offer].update(found)
    rows = await db.fetch(
        f"""{view.SELECT_OFFERS} WHERE o.publisher = $1 AND ($2::uuid IS NULL OR o.id = $2)
              AND (o.id = ANY($3) OR o.status IN ('approved', 'live', 'paused')) ORDER BY o.id DESC""",
        asked.publisher, asked.offer, list(counts),
    )  # fmt: skip
    records = [view.record(row) for row in rows]
    now = clock.now()
    left = await view.stock_left(records, now=now)
    budgets = await ledger.balances({
        chart.budget(one.terms.funding.campaign).id for one in records if one.terms.funding.campaign
    })  # fmt: skip
    return [
        _offer(one, left=left[one.id].total, budgets=budgets, now=now, numbers=_numbers(counts[one.id]))
        for one in records
    ]


def _offer(
    one: view.Record,
    *,
    left: int | None,
    budgets: Mapping[UUID, ledger.Balance],
    now: datetime,
    numbers: Numbers,
) -> OfferNumbers:
    campaign = one.terms.funding.campaign
    budget = budgets[chart.budget(campaign).id] if campaign else None
    return OfferNumbers(
        id=one.id, title=one.terms.title or "", status=one.shown(now, stock_left=left),
        stock_total=one.terms.stock_total, stock_left=left,
        budget_fen=budget.credits_posted if budget else None,
        budget_left_fen=budget.available if budget else None, numbers=numbers,
    )  # fmt: skip


# ------------------------------------------------------------------ counting
def _sum(some: Iterable[Counts]) -> Counts:
    total: Counts = Counter()
    for one in some:
        total.update(one)
    return total


def _numbers(counts: Mapping[str, int]) -> Numbers:
    used = counts.get("verified", 0) - counts.get("reversed", 0) + counts.get("fulfilled", 0)
    return Numbers(**counts, used=used)


def _funnel(now: Numbers, before: Numbers) -> Iterator[FunnelStep]:
    steps: tuple[tuple[Step, str], ...] = (
        ("exposure", "exposures"), ("detail", "details"), ("redemption", "redeemed"), ("use", "used"),
        ("return", "returned"),
    )  # fmt: skip
    last = 0
    for step, name in steps:
        count: int = getattr(now, name)
        yield FunnelStep(
            step, count, getattr(before, name), round(count * 10_000 / last) if last > 0 else None
        )
        last = count


def _timeline(period: Period, hours: Mapping[datetime, Counts]) -> Iterator[Slot]:
    step = _HOUR if period.grain == "hour" else _DAY
    counts: defaultdict[int, Counts] = defaultdict(Counter)
    for hour, found in hours.items():
        counts[(hour - period.span.start) // step].update(found)
    for n in range(-((period.span.start - period.span.end) // step)):
        yield Slot(period.span.start + n * step, _numbers(counts[n]))


def _of_day(hours: Mapping[datetime, Counts]) -> Iterator[HourOfDay]:
    counts: defaultdict[int, Counts] = defaultdict(Counter)
    for hour, found in hours.items():
        counts[hour.astimezone(clock.SHANGHAI).hour].update(found)
    return (HourOfDay(hour, _numbers(counts[hour])) for hour in range(24))
