"""A forecast of an offer: how many residents could take it, how much of it will be taken, and when there is no more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec

from incentives.forecasts.history import Level, PastOffer, comparable
from incentives.forecasts.paths import PATHS, Ending, Quantiles
from incentives.forecasts.reading import open_shares, past_of, read_sample, standing_of
from incentives.forecasts.replay import Estimate
from incentives.forecasts.worker import worked_out
from incentives.forecasts.working import Found, Question
from marketplace import clock, db
from marketplace.errors import FieldError, Invalid, NotFound, Refused, Unavailable
from marketplace.offers import view
from marketplace.offers.terms import face_value_fen
from marketplace.offers.view import OfferView, Record

HORIZON: Final = 90
MOST_WAITING: Final = 4
MAX_SEED: Final = 2**53 - 1

Step = Literal["all", "active", "enough_grams", "rule_holds"]
_STEPS: Final[tuple[Step, ...]] = ("all", "active", "enough_grams", "rule_holds")


class FunnelStep(Estimate, frozen=True, kw_only=True):
    """How many residents come so far: rounded to tens, null for fewer than ten."""

    step: Step


class Basis(msgspec.Struct, frozen=True):
    """What the rate was learnt from: past offers, how like this one they are, and what was taken of them; of none, the
    prior. `rate` is coupons a day by 100,000 active residents who could take it."""

    level: Level | Literal["prior"]
    offers: int
    taken: int
    rate: Quantiles


class Day(msgspec.Struct, frozen=True):
    """A day: what is taken `on` it, and `by` its end since the first."""

    day: date
    on: Quantiles
    by: Quantiles


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be expected of a version of an offer. `sampled` of the residents were looked at.

    `cap` is how many coupons stock and budget allow, and `cap_by` which of them it is. Where fewer than ten residents
    could take it there are no `days`, and nothing is `taken`. `ending` is there where there is a cap.
    """

    offer: UUID
    version: UUID
    made_at: datetime
    seed: int
    paths: int
    sampled: int
    funnel: list[FunnelStep]
    basis: Basis
    first: date
    last: date
    cap: int | None
    cap_by: str | None
    taken: Quantiles | None
    ending: Ending | None
    days: list[Day]


async def forecast(offer: UUID, *, publisher: UUID | None = None, seed: int | None = None) -> Forecast:
    """The forecast of the terms in force, or of a draft as it is; the same again for the same data and `seed`.

    Raises NotFound (another's is not there), Invalid without a price, Refused `offer_ended`, Unavailable when others
    have to be waited for too long. One is made at a time: the next ones wait.
    """
    global _waiting  # noqa: PLW0603  (how many wait in this process)
    if _waiting >= MOST_WAITING:
        raise Unavailable(what="forecast")
    _waiting += 1
    try:
        async with _one_at_a_time:
            return await _made(offer, publisher=publisher, seed=seed)
    finally:
        _waiting -= 1


_one_at_a_time = asyncio.Lock()
_waiting = 0


async def _made(offer: UUID, *, publisher: UUID | None, seed: int | None) -> Forecast:
    record, city = await _record(offer, publisher)
    today = clock.local_day(clock.now())
    first, last = _days(record, today=today)
    shown = (await view.views([record], inside=True))[0]
    cap, cap_by = _units(record, shown)
    seed = record.version.int % (MAX_SEED + 1) if seed is None else seed
    with db.replica():  # the offer itself is as it is now; who could take it may be as it was a second ago
        past = await comparable(offer, record.terms, city=city, today=today)
        question = await _question(
            record, past.offers, today=today, first=first, last=last, units=cap, seed=seed
        )
    found = await worked_out(question)
    return Forecast(
        offer=offer, version=record.version, made_at=clock.now(), seed=seed, paths=PATHS,
        sampled=len(question.wallets), funnel=_funnel(found),
        basis=Basis(past.level if found.past_offers else "prior", found.past_offers, found.past_takes, found.rate),
        first=first, last=last, cap=cap, cap_by=cap_by, taken=found.by_day[-1] if found.by_day else None,
        ending=found.ending if cap is not None else None, days=_shown_days(found, first),
    )  # fmt: skip


async def _record(offer: UUID, publisher: UUID | None) -> tuple[Record, str]:
    row = await db.fetch_row(
        f"{view.SELECT_OFFERS} WHERE o.id = $1 AND ($2::uuid IS NULL OR o.publisher = $2)", offer, publisher
    )
    if row is None:
        raise NotFound
    record = view.record(row)
    if record.terms.price_g is None:
        raise Invalid(FieldError("price_g", "required"))
    city: str = await db.fetch_value("SELECT city FROM publisher WHERE id = $1", record.publisher.id)
    return (await view.with_shared_limits([record]))[0], city


def _days(record: Record, *, today: date) -> tuple[date, date]:
    """From tomorrow, or the day it starts, to the day it ends, or for 90 days."""
    first = today + timedelta(days=1)
    if record.terms.starts_at is not None:
        first = max(first, clock.local_day(record.terms.starts_at))
    last = first + timedelta(days=HORIZON - 1)
    if record.terms.ends_at is not None:
        last = min(last, clock.local_day(record.terms.ends_at - timedelta(microseconds=1)))
    if last < first or record.status == "ended":
        raise Refused("offer_ended", starts_at=record.terms.starts_at, ends_at=record.terms.ends_at)
    return first, last


def _units(record: Record, shown: OfferView) -> tuple[int | None, str | None]:
    """How many coupons stock and budgets have left together, and which of them has the fewest."""
    value_fen = face_value_fen(record.terms)
    bounds: dict[str, int] = {}
    for usage in shown.usage if isinstance(shown.usage, list) else ():
        left = max(0, usage.cap - usage.used)
        if usage.limit == "stock_total":
            bounds["stock"] = left
        elif usage.limit in ("budget_fen", "campaign_budget_fen") and value_fen:
            bounds["budget" if usage.limit == "budget_fen" else "campaign_budget"] = left // value_fen
    waits_for_codes = record.terms.kind == "code" and record.status in ("draft", "rejected")
    if (
        record.terms.kind == "code"
        and shown.stock_left is not None
        and (shown.stock_left or not waits_for_codes)
    ):
        bounds["stock"] = shown.stock_left
    if not bounds:
        return None, None
    least = min(bounds, key=lambda name: bounds[name])
    return bounds[least], least


async def _question(
    record: Record, past: Sequence[PastOffer], *, today: date, first: date, last: date, units: int | None, seed: int
) -> Question:  # fmt: skip
    terms, shared = record.terms, record.shared_limits
    sample = await read_sample(today=today)
    rules = list(dict.fromkeys(one.terms.eligibility for one in past))
    standing = await standing_of(sample, [terms.eligibility, *rules])
    value_fen = face_value_fen(terms)
    budget = terms.budget_per_day_fen // value_fen if terms.budget_per_day_fen and value_fen else None
    open_by_weekday = open_shares(terms.redeem_windows, sample)
    assert terms.price_g is not None
    return Question(
        residents=sample.residents, wallets=sample.wallets, redeemed=sample.redeemed,
        judged=standing[terms.eligibility], price_g=terms.price_g,
        per_resident_limit=_least([terms.per_resident_limit, *(one.per_resident for one in shared)]),
        per_resident_per_day=_least(
            [terms.limits.per_resident_per_day, *(one.per_resident_per_day for one in shared)]
        ),
        per_resident_per_week=_least(
            [terms.limits.per_resident_per_week, *(one.per_resident_per_week for one in shared)]
        ),
        units=units, units_per_day=_least([terms.stock_per_day, budget]), today=today, first=first,
        open=[open_by_weekday[(first.weekday() + day) % 7] for day in range((last - first).days + 1)],
        past=await past_of(past, sample, rules, today=today),
        rules=[[any(one.holds) for one in standing[rule]] for rule in rules], seed=seed, paths=PATHS,
    )  # fmt: skip


def _least(caps: Iterable[int | None]) -> int | None:
    return min((cap for cap in caps if cap is not None), default=None)


def _funnel(found: Found) -> list[FunnelStep]:
    return [
        FunnelStep(step=step, count=one.count, low=one.low, high=one.high)
        for step, one in zip(_STEPS, found.funnel, strict=True)
    ]


def _shown_days(found: Found, first: date) -> list[Day]:
    if found.by_day is None or found.on_day is None:
        return []
    return [
        Day(first + timedelta(days=number), on, by)
        for number, (on, by) in enumerate(zip(found.on_day, found.by_day, strict=True))
    ]
