"""The days to come, drawn many times over: how much of an offer is taken, and when there is no more.

In a path the offer has one rate. Residents differ in taste (gamma), take by chance, and stop at what their grams and
limits allow; days differ beyond that. What stock and budget of the day refuse is not taken, and may be on another day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

import msgspec

from incentives.forecasts.chance import capped, poisson, quantile
from incentives.forecasts.rates import Rates

PATHS: Final = 500
MOST_TIMES: Final = 40  # who could take it more often is bound by nothing
_NEVER: Final = 10**9


@dataclass(frozen=True, slots=True)
class Plan:
    """What is played: from `first` on, by day, how many residents could take it exactly m times in all (m from 0 to
    `MOST_TIMES`, the last: or more), and how much of a usual day it is open.

    Caps are coupons: `units` of stock and budget in all and a day, and of a resident a day and a week. None is no cap.
    """

    first: date
    able: Sequence[Sequence[float]]
    open: Sequence[float]
    rates: Rates
    taste: float
    able_error: float = 0.0  # the standard error of `able`, as a share of it
    units: int | None = None
    units_per_day: int | None = None
    per_resident_per_day: int | None = None
    per_resident_per_week: int | None = None


class Quantiles(msgspec.Struct, frozen=True):
    """One in ten is below `p10`, half are below `p50`, nine in ten below `p90`."""

    p10: int
    p50: int
    p90: int


class Ending(msgspec.Struct, frozen=True):
    """The day on which the last coupon goes, early, usual and late; None: not within the days that were played.
    `within_bp` is how many of the paths end within them."""

    p10: date | None
    p50: date | None
    p90: date | None
    within_bp: int


class Outcome(NamedTuple):
    """What is taken by the end of each day, what is taken on it, and when it ends."""

    by_day: list[Quantiles]
    on_day: list[Quantiles]
    ending: Ending


def played(plan: Plan, *, seed: int, paths: int = PATHS) -> Iterator[list[int]]:
    """What is taken day by day, path after path: a path takes a millisecond or two, so that its caller can breathe."""
    for number in range(paths):
        yield _path(plan, Random(f"{seed}/{number}"))  # noqa: S311  (to be repeated, not to be secret)


def outcome(plan: Plan, taken: Sequence[Sequence[int]]) -> Outcome:
    """The quantiles of the paths, exactly as they were drawn."""
    totals = [list(accumulate(path)) for path in taken]
    ends = sorted(_end(plan, total) for total in totals)
    days = [
        None if (at := quantile(ends, share)) == _NEVER else plan.first + timedelta(days=at)
        for share in (0.1, 0.5, 0.9)
    ]
    return Outcome(
        by_day=[_quantiles(values) for values in zip(*totals, strict=True)],
        on_day=[_quantiles(values) for values in zip(*taken, strict=True)],
        ending=Ending(days[0], days[1], days[2], 10_000 * sum(end < _NEVER for end in ends) // len(ends)),
    )


def _quantiles(values: Sequence[int]) -> Quantiles:
    drawn = sorted(values)
    return Quantiles(quantile(drawn, 0.1), quantile(drawn, 0.5), quantile(drawn, 0.9))


def _end(plan: Plan, totals: Sequence[int]) -> int:
    if plan.units is None:
        return _NEVER
    return next((day for day, total in enumerate(totals) if total >= plan.units), _NEVER)


def _path(plan: Plan, chance: Random) -> list[int]:
    rate = plan.rates.drawn(chance)
    size = max(0.0, 1 + plan.able_error * chance.gauss(0, 1))
    shape = 1 / plan.rates.day_cv**2
    left = plan.units if plan.units is not None else _NEVER
    taken: list[int] = []
    before = this_week = 0.0
    for day, (able, share) in enumerate(zip(plan.able, plan.open, strict=True)):
        # Drawn whether they are needed or not, so that two plans with one seed meet the same days.
        busy, luck = chance.gammavariate(shape, 1 / shape), chance.random()
        if (plan.first + timedelta(days=day)).weekday() == 0:
            this_week = 0.0
        if left <= 0 or share <= 0:
            taken.append(0)
            continue
        eager = rate * share * busy
        wanted = poisson(size * _expected(plan, able, before, this_week, eager), luck)
        given = min(wanted, left, plan.units_per_day if plan.units_per_day is not None else _NEVER)
        taken.append(given)
        left -= given
        served = eager * given / wanted if wanted else eager
        before += served
        this_week += served
    return taken


def _expected(plan: Plan, able: Sequence[float], before: float, this_week: float, eager: float) -> float:
    """What is expected to be asked for on a day: of each resident no more than grams and limits let them."""
    bound = min(
        _added(0.0, eager, plan.taste, plan.per_resident_per_day),
        _added(this_week, eager, plan.taste, plan.per_resident_per_week),
    )
    most = len(able) - 1
    was, will = capped(before, plan.taste, most), capped(before + eager, plan.taste, most)
    expected = sum(count * min(will[m] - was[m], bound) for m, count in enumerate(able[:most]) if count and m)
    unbound = eager if most == MOST_TIMES else will[most] - was[most]
    return expected + able[most] * min(unbound, bound)


def _added(before: float, eager: float, shape: float, cap: int | None) -> float:
    if cap is None or cap > MOST_TIMES:
        return eager
    return capped(before + eager, shape, cap)[cap] - capped(before, shape, cap)[cap]
