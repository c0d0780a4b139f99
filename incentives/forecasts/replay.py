"""Wallets of a sample of residents, played back over 13 weeks and on from today.

Thirteen weeks are 91 days, so that a day to come and the day that it repeats are the same weekday. To come is what is
available today and every movement of the day 91 days before, expiry and what is spent elsewhere among them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from incentives.forecasts.paths import MOST_TIMES

DAYS: Final = 91
FEWEST: Final = 10  # of fewer residents nothing is told
_ROUND: Final = 10
_Z95: Final = 1.96


class Wallet(msgspec.Struct, frozen=True, array_like=True):
    """A sampled resident's: what is available now, and what was moved in all by how many days ago (0 to 90)."""

    available_g: int
    moved_g: dict[int, int]

    @property
    def active(self) -> bool:
        """Whether anything moved within the 13 weeks."""
        return bool(self.moved_g)

    def past_g(self) -> list[int]:
        """What was available at the end of each day, from 90 days ago to today."""
        balances = [self.available_g]
        for ago in range(DAYS - 1):
            balances.append(balances[-1] - self.moved_g.get(ago, 0))
        return [max(0, balance) for balance in reversed(balances)]

    def coming_g(self, days: int) -> Iterator[int]:
        """What is available on each of the `days` after today, if they go as 91 days before."""
        balance = self.available_g
        for day in range(days):
            balance = max(0, balance + self.moved_g.get(DAYS - 1 - day % DAYS, 0))
            yield balance


class Judged(msgspec.Struct, frozen=True, array_like=True):
    """How a rule stands to a resident: the share of the day on which it holds, by weekday from Monday; and whether it
    holds for a first redemption only."""

    holds: tuple[float, ...] = (1.0,) * 7
    first_only: bool = False


def able_by_day(
    wallets: Sequence[Wallet], judged: Sequence[Judged], *, price_g: int, limit: int | None, weight: float,
    skip: int, weekdays: Sequence[int],
) -> list[list[float]]:  # fmt: skip
    """How many residents could take it exactly m times, for each day of `weekdays` (0 is Monday), `skip` days from
    today; `weight` residents stand behind each of the sample."""
    most = min(limit or MOST_TIMES, MOST_TIMES)
    able = [[0.0] * (most + 1) for _ in weekdays]
    skip = skip if skip <= DAYS else DAYS - 7 + skip % 7
    for wallet, judgement in zip(wallets, judged, strict=True):
        if not wallet.active or not any(judgement.holds):
            continue
        cap = 1 if judgement.first_only else most
        for day, available_g in enumerate(wallet.coming_g(skip + len(weekdays))):
            if day >= skip and available_g >= price_g:
                share = judgement.holds[weekdays[day - skip]]
                able[day - skip][min(available_g // price_g, cap)] += weight * share
    return able


class Able:
    """How many of some residents had at least so many grams at the end of a day of the 13 weeks."""

    def __init__(self, wallets: Iterable[Wallet]) -> None:
        past = [wallet.past_g() for wallet in wallets if wallet.active]
        self._by_day = [sorted(day) for day in zip(*past, strict=True)] if past else [[] for _ in range(DAYS)]

    def count(self, ago: int, price_g: int) -> int:
        day = self._by_day[DAYS - 1 - ago]
        return len(day) - bisect_left(day, price_g)


class Estimate(msgspec.Struct, frozen=True):
    """How many residents, rounded to tens, with 95 in 100 certainty between `low` and `high`; all three are null where
    there are, or were found in the sample, fewer than ten."""

    count: int | None
    low: int | None
    high: int | None


def estimated(found: int, *, sample: int, residents: int) -> Estimate:
    """How many of `residents` there are, of `found` in a `sample` of them; the interval is Wilson's."""
    if found < FEWEST:
        return Estimate(None, None, None)
    count = found * residents / sample
    if sample >= residents:
        return Estimate(*[_rounded(count)] * 3)
    share, z2 = found / sample, _Z95**2 * (1 - sample / residents)
    middle, width = (
        share + z2 / (2 * sample),
        (z2 * (share * (1 - share) / sample + z2 / (4 * sample**2))) ** 0.5,
    )
    low, high = ((middle + side) / (1 + z2 / sample) * residents for side in (-width, width))
    return Estimate(_rounded(count), _rounded(max(0.0, low)), _rounded(min(float(residents), high)))


def _rounded(count: float) -> int:
    return math.floor(count / _ROUND + 0.5) * _ROUND


def share_error(found: int, *, sample: int, residents: int) -> float:
    """The standard error of a number of residents that was found in a sample, as a share of it."""
    if found == 0 or sample >= residents:
        return 0.0
    share = found / sample
    return math.sqrt((1 - share) / (share * sample) * (1 - sample / residents))
