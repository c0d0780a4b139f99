"""How many resident-days could have taken a past offer: what its rate is counted against."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec

from incentives.forecasts.rates import Past
from incentives.forecasts.replay import DAYS, Able


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a past offer; days are told by how many days ago they were.

    `live` is the share of a day that it was live on; `taken` is known from `known_from` on; `gone`: all of it was.
    `open` is how much of a usual day it was open, by weekday from Monday. `rule` says by whom it could be taken.
    """

    price_g: int
    per_resident_limit: int | None
    stock_per_day: int | None
    live: dict[int, float]
    taken: dict[int, int]
    known_from: int
    gone: bool
    open: tuple[float, ...]
    rule: int


def exposed(seen: Seen, able: Able, *, weight: float, today: date) -> Past:
    """Its days, those left out on which its stock, and not residents, decided what was taken.

    Who has had as many as one may have could take no more. The day before a stock ran out is the last that counts.
    """
    last = min((ago for ago, count in seen.taken.items() if count), default=0) if seen.gone else 0
    days: list[tuple[int, float]] = []
    so_far = 0
    for ago in range(min(DAYS - 1, seen.known_from), 0, -1):
        count, live = seen.taken.get(ago, 0), seen.live.get(ago, 0.0)
        full = seen.stock_per_day is not None and count >= seen.stock_per_day
        if live > 0 and ago > last and not full:
            could = weight * able.count(ago, seen.price_g)
            if seen.per_resident_limit is not None:
                could -= so_far / seen.per_resident_limit
            share = seen.open[(today - timedelta(days=ago)).weekday()]
            if (exposure := could * live * share) > 0:
                days.append((count, exposure))
        so_far += count
    return Past(tuple(days))
