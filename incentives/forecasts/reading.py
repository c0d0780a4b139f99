"""What a forecast is made of, read: the sample, how rules stand to it, and what became of past offers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from incentives.forecasts import sample as sampling
from incentives.forecasts.exposure import Seen
from incentives.forecasts.history import PastOffer, sold_out, taken_of
from incentives.forecasts.judging import EVERYBODY, judged
from incentives.forecasts.rates import pattern
from incentives.forecasts.replay import Judged
from incentives.forecasts.sample import PAGE, Sample
from incentives.rules import Facts, NotARule, Rule, rule_of
from marketplace import clock
from marketplace.offers.windows import Windows, open_at

_A_BREATH: Final = 25  # residents judged before others have their turn
_MONDAY: Final = datetime(2024, 1, 1, 0, 30, tzinfo=clock.SHANGHAI).astimezone(UTC)


async def read_sample(*, today: date) -> Sample:
    """The sample, whole."""
    found = await sampling.drawn()
    for start in range(0, len(found.ids), PAGE):
        await sampling.read_page(found, start, today=today)
    return found


async def standing_of(sample: Sample, rules: Sequence[str | None]) -> dict[str | None, list[Judged]]:
    """How each of `rules` stands to each of the sample; one that can be read no more holds for nobody."""
    readable = {text: rule for text in {*rules} if text is not None and (rule := _readable(text)) is not None}
    nobody = Judged((0.0,) * 7)
    found: dict[str | None, list[Judged]] = {None: [EVERYBODY] * len(sample.ids)}
    found |= {text: [nobody] * len(sample.ids) for text in rules if text is not None and text not in readable}
    if not readable:
        return found
    names = frozenset[str]().union(*(rule.names for rule in readable.values()))
    facts: list[Facts] = []
    for start in range(0, len(sample.ids), PAGE):
        page = slice(start, start + PAGE)
        facts += await sampling.facts_of_page(sample.ids[page], names, sample.wallets[page])
    busy = pattern(sample.hours)
    for text, rule in readable.items():
        found[text] = stands = []
        for number, each in enumerate(facts):
            stands.append(judged(rule, each, busy=busy))
            if number % _A_BREATH == 0:
                await asyncio.sleep(0)
    return found


def _readable(text: str) -> Rule | None:
    try:
        return rule_of(text)
    except NotARule:
        return None


async def past_of(
    offers: Sequence[PastOffer], sample: Sample, rules: Sequence[str | None], *, today: date
) -> list[Seen]:
    """What became of each of `offers`; `rules` are the rules that they are told by, in order."""
    gone = await sold_out(offers)
    of = {one: await taken_of(one, today=today) for one in {offer.publisher for offer in offers}}
    seen = []
    for one in offers:
        taken, known_from = of[one.publisher]
        assert one.terms.price_g is not None
        seen.append(Seen(
            price_g=one.terms.price_g, per_resident_limit=one.terms.per_resident_limit,
            stock_per_day=one.terms.stock_per_day, live=dict(one.live),
            taken=taken.get(one.id, {}), known_from=known_from, gone=one.id in gone,
            open=open_shares(one.terms.redeem_windows, sample),
            rule=rules.index(one.terms.eligibility),
        ))  # fmt: skip
    return seen


def open_shares(windows: Windows, sample: Sample) -> tuple[float, ...]:
    """How much of a usual day each weekday from Monday is for an offer that can be redeemed in `windows`."""
    busy, days = pattern(sample.hours), pattern(sample.weekdays)
    shares = []
    for weekday in range(7):
        midnight = _MONDAY + timedelta(days=weekday)
        open_hours = (busy[hour] for hour in range(24) if open_at(windows, midnight + timedelta(hours=hour)))
        shares.append(days[weekday] * sum(open_hours) / sum(busy))
    return tuple(shares)
