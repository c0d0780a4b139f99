"""How eagerly residents take an offer: learnt from comparable offers, with a prior for where there are none.

A rate is coupons a day for each active resident who could take the offer. Each offer has one of its own, gamma
distributed among comparable offers with mean m and coefficient of variation c; what was taken is Poisson around it.
m and c are not estimated but kept as a grid of how likely each is, so that little history gives a wide forecast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

PRIOR_RATE: Final = 0.002  # the median before anything is known: six coupons a day of 3,000 who could take it
PRIOR_SPREAD: Final = 1.1  # standard deviation of its logarithm: three times more or less is usual
_STEP: Final = 0.1
_RATES: Final = [math.exp(math.log(1e-6) + _STEP * n) for n in range(170)]
_CVS: Final = (0.2, 0.4, 0.7, 1.0, 1.5)

PRIOR_DAY_CV: Final = 0.3  # how much days of one offer differ beyond chance and weekday
_DAY_WEIGHT: Final = 400.0
PRIOR_TASTE: Final = 0.7  # gamma shape of how much residents differ: one in ten takes about two fifths
_LEAST_TAKES: Final = 30
_PATTERN_WEIGHT: Final = 5.0


class Past(NamedTuple):
    """A comparable offer: by day, what was taken and how many resident-days could have taken it."""

    days: tuple[tuple[int, float], ...]

    @property
    def takes(self) -> int:
        return sum(taken for taken, _ in self.days)

    @property
    def exposure(self) -> float:
        return sum(exposed for _, exposed in self.days)


class Rates(NamedTuple):
    """What is known of an offer's rate: means with their variation and weight; and how much its days differ."""

    means: tuple[tuple[float, float], ...]
    weights: tuple[float, ...]
    day_cv: float

    def drawn(self, chance: Random) -> float:
        """A rate that the offer may have."""
        mean, cv = chance.choices(self.means, self.weights)[0]
        shape = 1 / cv**2
        within_the_step = math.exp(_STEP * (chance.random() - 0.5))
        return chance.gammavariate(shape, mean * within_the_step / shape)


def learnt(pasts: Sequence[Past]) -> Rates:
    """The rates of offers like `pasts`; of none, the prior."""
    counted = [(past.takes, past.exposure) for past in pasts if past.exposure > 0]
    scores = {}
    for cv in _CVS:
        shape = 1 / cv**2
        alike = [math.lgamma(shape + takes) - math.lgamma(shape) for takes, _ in counted]
        for rate in _RATES:
            score = -((math.log(rate / PRIOR_RATE) / PRIOR_SPREAD) ** 2) / 2
            for (takes, exposure), fixed in zip(counted, alike, strict=True):
                mean = rate * exposure
                score += fixed - shape * math.log1p(mean / shape) + takes * math.log(mean / (shape + mean))
            scores[rate, cv] = score
    best = max(scores.values())
    likely = {at: math.exp(score - best) for at, score in scores.items() if score > best - 20}
    return Rates(tuple(likely), tuple(likely.values()), _day_cv(pasts))


def _day_cv(pasts: Sequence[Past]) -> float:
    """How much days differ beyond chance, by moments, pulled towards the prior where there is little to see."""
    beyond, weight = PRIOR_DAY_CV**2 * _DAY_WEIGHT, _DAY_WEIGHT
    for past in pasts:
        rate = past.takes / past.exposure if past.exposure > 0 else 0.0
        for taken, exposed in past.days:
            beyond += (taken - rate * exposed) ** 2 - rate * exposed
            weight += (rate * exposed) ** 2
    return math.sqrt(min(max(beyond / weight, 0.01), 1.0))


def taste(takes: Sequence[int]) -> float:
    """The gamma shape of how much residents differ, of what each has taken; small is unequal."""
    if sum(takes) < _LEAST_TAKES:
        return PRIOR_TASTE
    mean = sum(takes) / len(takes)
    variance = sum((each - mean) ** 2 for each in takes) / len(takes)
    return min(max(mean**2 / max(variance - mean, 1e-9), 0.1), 20.0)


def pattern(counts: Sequence[int]) -> list[float]:
    """How busy each weekday or hour is, 1 on average; even where little was seen."""
    seen = [count + _PATTERN_WEIGHT for count in counts]
    return [len(seen) * each / sum(seen) for each in seen]
