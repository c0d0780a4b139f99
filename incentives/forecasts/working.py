"""The whole of what is worked out for a forecast, from what was read: pure, and run in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from random import Random
from typing import Final

import msgspec

from incentives.forecasts.chance import quantile
from incentives.forecasts.exposure import Seen, exposed
from incentives.forecasts.paths import Ending, Outcome, Plan, Quantiles, outcome, played
from incentives.forecasts.rates import Past, Rates, learnt, taste
from incentives.forecasts.replay import (
    Able,
    Estimate,
    Judged,
    Wallet,
    able_by_day,
    estimated,
    share_error,
)

_PER: Final = 100_000


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What was read, and the draft: `judged` is how its rule stands to each wallet of the sample, `open` how much of
    a usual day each day from `first` on is; `rules` are those of past offers, each with whom it holds for.
    """

    residents: int
    wallets: list[Wallet]
    redeemed: list[int]
    judged: list[Judged]
    price_g: int
    per_resident_limit: int | None
    per_resident_per_day: int | None
    per_resident_per_week: int | None
    units: int | None
    units_per_day: int | None
    today: date
    first: date
    open: list[float]
    past: list[Seen]
    rules: list[list[bool]]
    seed: int
    paths: int


class Found(msgspec.Struct, frozen=True):
    """The funnel (all, active, with enough grams, whom the rule holds for); coupons a day by 100,000 who could take it;
    what is taken, by the end of each day and on it; and when it ends. Null where fewer than ten could take it."""

    funnel: list[Estimate]
    rate: Quantiles
    past_offers: int
    past_takes: int
    by_day: list[Quantiles] | None
    on_day: list[Quantiles] | None
    ending: Ending | None


def work_out(question: Question, *, progress: Callable[[int], None] | None = None) -> Found:
    """The forecast that the question asks for; `progress` is told how many paths were played."""
    sample = len(question.wallets)
    active = [wallet.active for wallet in question.wallets]
    enough = [is_active and wallet.available_g >= question.price_g
              for is_active, wallet in zip(active, question.wallets, strict=True)]  # fmt: skip
    could = [has and any(one.holds) for has, one in zip(enough, question.judged, strict=True)]
    steps = [sample, sum(active), sum(enough), sum(could)]
    funnel = [estimated(found, sample=sample, residents=question.residents) for found in steps]
    past = _past(question)
    rates = learnt(past)
    offers, takes = sum(one.exposure > 0 for one in past), sum(one.takes for one in past)
    rate = _rate(rates, question)
    count = funnel[-1].count
    if count is None:
        return Found(funnel, rate, offers, takes, None, None, None)
    plan = _plan(question, rates, weight=count / steps[-1], error=share_error(
        steps[-1], sample=sample, residents=question.residents))  # fmt: skip
    taken = []
    for path in played(plan, seed=question.seed, paths=question.paths):
        taken.append(path)
        if progress is not None:
            progress(len(taken))
    result: Outcome = outcome(plan, taken)
    return Found(funnel, rate, offers, takes, result.by_day, result.on_day, result.ending)


def _past(question: Question) -> list[Past]:
    """The past offers' days, each against those of the sample who could have taken it."""
    weight = question.residents / max(len(question.wallets), 1)
    able = [
        Able(wallet for wallet, holds in zip(question.wallets, mask, strict=True) if holds)
        for mask in question.rules
    ]
    return [exposed(seen, able[seen.rule], weight=weight, today=question.today) for seen in question.past]


def _rate(rates: Rates, question: Question) -> Quantiles:
    chances = (Random(f"{question.seed}/{number}") for number in range(question.paths))  # noqa: S311  (as the paths')
    drawn = sorted(rates.drawn(chance) for chance in chances)
    return Quantiles(*(round(quantile(drawn, at) * _PER) for at in (0.1, 0.5, 0.9)))


def _plan(question: Question, rates: Rates, *, weight: float, error: float) -> Plan:
    days = len(question.open)
    able = able_by_day(
        question.wallets, question.judged, price_g=question.price_g, limit=question.per_resident_limit, weight=weight,
        skip=(question.first - question.today).days - 1,
        weekdays=[(question.first.weekday() + day) % 7 for day in range(days)],
    )  # fmt: skip
    return Plan(
        first=question.first, able=able, open=question.open, rates=rates,
        taste=taste([n for n, wallet in zip(question.redeemed, question.wallets, strict=True) if wallet.active]),
        able_error=error, units=question.units, units_per_day=question.units_per_day,
        per_resident_per_day=question.per_resident_per_day, per_resident_per_week=question.per_resident_per_week,
    )  # fmt: skip
