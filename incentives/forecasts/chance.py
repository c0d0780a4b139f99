"""Counts by chance: Poisson and negative binomial numbers, and quantiles of what was drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final, TypeVar

_NORMAL: Final = NormalDist()
_LARGE: Final = 100.0
_LEAST: Final = 1e-12

Number = TypeVar("Number", int, float)


def poisson(mean: float, at: float) -> int:
    """The quantile `at` (0 to 1) of a Poisson number: with `at` drawn evenly it is one, and it grows with its mean.

    Exact below a mean of 100; above, the normal quantile with the correction for skewness (Cornish and Fisher), which
    is within one of it.
    """
    if mean <= 0:
        return 0
    at = min(max(at, _LEAST), 1 - _LEAST)
    if mean >= _LARGE:
        z = _NORMAL.inv_cdf(at)
        return max(0, math.floor(mean + z * math.sqrt(mean) + (z * z - 1) / 6 + 0.5))
    count, chance = 0, math.exp(-mean)
    reached = chance
    while at > reached and chance > 0:
        count += 1
        chance *= mean / count
        reached += chance
    return count


def capped(mean: float, shape: float, most: int) -> list[float]:
    """What is expected of min(N, m) for each m from 0 to `most`, N being negative binomial (a Poisson number whose
    rate is gamma distributed with `shape`)."""
    expected = [0.0] * (most + 1)
    if mean <= 0:
        return expected
    rest, share = 1.0, mean / (shape + mean)
    chance = math.exp(-shape * math.log1p(mean / shape))
    for m in range(most):
        rest -= chance
        expected[m + 1] = expected[m] + max(rest, 0.0)
        chance *= (shape + m) / (m + 1) * share
    return expected


def quantile(drawn: Sequence[Number], at: float) -> Number:
    """The quantile `at` of sorted draws: the least of them that no fewer than that share reach."""
    return drawn[max(0, math.ceil(at * len(drawn)) - 1)]
