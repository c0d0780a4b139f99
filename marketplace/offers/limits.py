"""The limits of an offer as the ledger counts them: which counters a redemption goes against, and when they start anew.

A counter belongs to a limit and its period: a Shanghai day, a week from Monday, or all time. A redemption counts in the
periods that it is made in, and what it gives back goes back to those, whenever that is. A cap is no part of its
counter: each redemption is judged by the one in force, so that a change of it rewrites nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from marketplace import chart, clock
from marketplace.ledger import Account
from marketplace.offers.shared_limits import SharedLimit
from marketplace.offers.terms import Terms, face_value_fen
from marketplace.offers.windows import next_opening


class Counter(msgspec.Struct, frozen=True, kw_only=True):
    """What one redemption adds to a counter, and how far that may come before one is refused with `refusal`.

    `limit` is the field that sets the cap; `source` is the ledger's other side.
    """

    limit: str
    account: Account
    source: Account = chart.UNITS
    amount: int = 1
    cap: int
    refusal: str


def counters(
    offer: UUID, terms: Terms, shared: Sequence[SharedLimit], *, resident: UUID, at: datetime
) -> list[Counter]:
    """All counters that a redemption of `offer` by `resident` at the instant `at` goes against."""
    return [
        *_of_stock(offer, terms, at),
        *_of_resident(offer, terms, resident, at),
        *(counter for limit in shared for counter in _of_shared(limit, resident, at)),
        *_of_budget(offer, terms, at),
    ]


def offer_counters(offer: UUID, terms: Terms, *, at: datetime) -> list[Counter]:
    """Those of them that all residents have in common: stock and budgets."""
    return [*_of_stock(offer, terms, at), *_of_budget(offer, terms, at)]


def resets_at(refusal: str, terms: Terms, *, at: datetime) -> datetime | None:
    """When what was refused at the instant `at` may be possible again by itself; None if it is not time that helps."""
    if refusal.endswith("_today"):
        return clock.end_of_day(clock.local_day(at))
    if refusal.endswith("_this_week"):
        return clock.end_of_week(clock.local_day(at))
    return next_opening(terms.redeem_windows, at) if refusal == "outside_redeem_hours" else None


def _of_stock(offer: UUID, terms: Terms, at: datetime) -> Iterator[Counter]:
    if terms.stock_total is not None:
        yield Counter(
            limit="stock_total", account=chart.stock(offer), cap=terms.stock_total, refusal="sold_out"
        )
    if terms.stock_per_day is not None:
        yield Counter(limit="stock_per_day", account=chart.stock(offer, _day(at)), cap=terms.stock_per_day,
                      refusal="sold_out_today")  # fmt: skip


def _of_resident(offer: UUID, terms: Terms, resident: UUID, at: datetime) -> Iterator[Counter]:
    if (cap := terms.per_resident_limit) is not None:
        yield Counter(limit="per_resident_limit", account=chart.uses(offer, resident), cap=cap,
                      refusal="limit_reached")  # fmt: skip
    if (cap := terms.limits.per_resident_per_day) is not None:
        yield Counter(limit="per_resident_per_day", account=chart.uses(offer, resident, _day(at)), cap=cap,
                      refusal="limit_reached_today")  # fmt: skip
    if (cap := terms.limits.per_resident_per_week) is not None:
        yield Counter(limit="per_resident_per_week", account=chart.uses(offer, resident, _week(at)), cap=cap,
                      refusal="limit_reached_this_week")  # fmt: skip


def _of_shared(limit: SharedLimit, resident: UUID, at: datetime) -> Iterator[Counter]:
    if (cap := limit.per_resident) is not None:
        yield Counter(limit="per_resident", account=chart.shared_uses(limit.id, resident), cap=cap,
                      refusal="shared_limit_reached")  # fmt: skip
    if (cap := limit.per_resident_per_day) is not None:
        yield Counter(limit="per_resident_per_day", account=chart.shared_uses(limit.id, resident, _day(at)), cap=cap,
                      refusal="shared_limit_reached_today")  # fmt: skip
    if (cap := limit.per_resident_per_week) is not None:
        yield Counter(limit="per_resident_per_week", account=chart.shared_uses(limit.id, resident, _week(at)), cap=cap,
                      refusal="shared_limit_reached_this_week")  # fmt: skip


def _of_budget(offer: UUID, terms: Terms, at: datetime) -> Iterator[Counter]:
    if terms.budget_fen is None and terms.budget_per_day_fen is None:
        return
    value_fen = face_value_fen(terms)
    if not value_fen:  # what is worth nothing uses no budget
        return
    if terms.budget_fen is not None:
        yield Counter(limit="budget_fen", account=chart.promised(offer), source=chart.PROMISES, amount=value_fen,
                      cap=terms.budget_fen, refusal="budget_exhausted")  # fmt: skip
    if terms.budget_per_day_fen is not None:
        yield Counter(limit="budget_per_day_fen", account=chart.promised(offer, _day(at)), source=chart.PROMISES,
                      amount=value_fen, cap=terms.budget_per_day_fen,
                      refusal="budget_exhausted_today")  # fmt: skip


def _day(at: datetime) -> str:
    return clock.day_name(clock.local_day(at))


def _week(at: datetime) -> str:
    return clock.week_name(clock.local_day(at))
