"""Past offers that are comparable: of the same kind, city and price for their value, or as much of it as there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID

from incentives.forecasts.replay import DAYS
from marketplace import chart, clock, db, ledger
from marketplace.offers.terms import Terms, face_value_fen, terms_from

Level = Literal["kind_city_price", "kind_price", "kind", "any"]

ENOUGH: Final = 3
MOST: Final = 20
_LOOKED_THROUGH: Final = 300
_TAKES_READ: Final = 200_000  # of a publisher: a fifth of a second
_EVER: Final = datetime(2000, 1, 1, tzinfo=UTC)
_BANDS: Final = (0.5, 1.0, 2.0)  # grams a fen: the demonstration's coupons cost between half a gram and two


class PastOffer(NamedTuple):
    """An offer that was live within the 13 weeks: the share of each day that it was live on, by days ago."""

    id: UUID
    publisher: UUID
    terms: Terms
    city: str
    live: Mapping[int, float]


class Comparable(NamedTuple):
    """Past offers, and by how much they are like the one that is asked about."""

    level: Level
    offers: list[PastOffer]


def band(terms: Terms) -> int | None:
    """The price for the value: 0 is the cheapest. None where the benefit has no value in money."""
    value_fen = face_value_fen(terms)
    if not value_fen or terms.price_g is None:
        return None
    return sum(terms.price_g >= bound * value_fen for bound in _BANDS)


async def comparable(offer: UUID, terms: Terms, *, city: str, today: date) -> Comparable:
    """The nearest past offers of which there are enough; else all of the kind, few as they are."""
    found = await _past(offer, terms.kind, today=today)
    of_kind = [one for one in found if one.terms.kind == terms.kind]
    at_price = [one for one in of_kind if band(one.terms) == band(terms)]
    levels: tuple[tuple[Level, list[PastOffer]], ...] = (
        ("kind_city_price", [one for one in at_price if one.city == city]), ("kind_price", at_price),
        ("kind", of_kind), ("any", found),
    )  # fmt: skip
    for level, offers in levels:
        if len(offers) >= ENOUGH:
            return Comparable(level, offers[:MOST])
    return Comparable("kind", of_kind)


async def _past(offer: UUID, kind: str, *, today: date) -> list[PastOffer]:
    rows = await db.fetch(
        """SELECT o.id, o.publisher, v.terms, p.city FROM offer o
           JOIN offer_version v ON v.offer = o.id AND v.number = o.version JOIN publisher p ON p.id = o.publisher
           WHERE o.id <> $1 AND o.status IN ('approved', 'live', 'paused', 'ended')
             AND (o.ends_at IS NULL OR o.ends_at > $3) AND (o.starts_at IS NULL OR o.starts_at < $4)
           ORDER BY o.kind = $2 DESC, o.id DESC LIMIT $5""",
        offer, kind, clock.end_of_day(today - timedelta(days=DAYS)), clock.end_of_day(today - timedelta(days=1)),
        _LOOKED_THROUGH,
    )  # fmt: skip
    events: dict[UUID, list[tuple[str, datetime]]] = {row["id"]: [] for row in rows}
    for row in await db.fetch(
        """SELECT offer, event, created_at FROM offer_event
           WHERE offer = ANY($1) AND event IN ('approved', 'paused', 'resumed', 'ended') ORDER BY offer, id""",
        list(events),
    ):  # fmt: skip
        events[row["offer"]].append((row["event"], row["created_at"]))
    past = []
    for row in rows:
        terms = terms_from(row["terms"])
        live = live_days(events[row["id"]], terms, today=today)
        if live and terms.price_g is not None:
            past.append(PastOffer(row["id"], row["publisher"], terms, row["city"], live))
    return past


def live_days(events: Sequence[tuple[str, datetime]], terms: Terms, *, today: date) -> dict[int, float]:
    """The share of each day of the 13 weeks, today aside, that an offer was live on, of its trail and its window."""
    spans: list[tuple[datetime, datetime]] = []
    since: datetime | None = None
    end = clock.end_of_day(today - timedelta(days=1))
    for event, at in events:
        if event in ("approved", "resumed") and since is None:
            since = at
        elif event in ("paused", "ended") and since is not None:
            spans.append((since, at))
            since = None
    if since is not None:
        spans.append((since, end))
    shares: dict[int, float] = {}
    opens, closes = terms.starts_at or _EVER, terms.ends_at or end
    for ago in range(1, DAYS):
        midnight = clock.end_of_day(today - timedelta(days=ago))
        begins = midnight - timedelta(days=1)
        live = sum(
            max(0.0, (min(stop, closes, midnight) - max(start, opens, begins)).total_seconds())
            for start, stop in spans
        )
        if live > 0:
            shares[ago] = live / 86_400
    return shares


async def taken_of(publisher: UUID, *, today: date) -> tuple[dict[UUID, dict[int, int]], int]:
    """How many were taken of each of a publisher's offers by how many days ago; and from how many days ago on that is
    known, of a publisher so busy that not all of it is read."""
    rows = await db.fetch(
        """SELECT offer, $3::date - (created_at AT TIME ZONE 'Asia/Shanghai')::date AS ago,
                  count(*)::int AS read, (count(*) FILTER (WHERE status <> 'cancelled'))::int AS count
           FROM (SELECT offer, created_at, status FROM redemption WHERE publisher = $1 AND created_at >= $2
                 ORDER BY created_at DESC LIMIT $4) AS latest
           GROUP BY 1, 2""",
        publisher, clock.end_of_day(today - timedelta(days=DAYS)), today, _TAKES_READ,
    )  # fmt: skip
    taken: dict[UUID, dict[int, int]] = {}
    for row in rows:
        taken.setdefault(row["offer"], {})[row["ago"]] = row["count"]
    whole = sum(row["read"] for row in rows) < _TAKES_READ
    return taken, DAYS - 1 if whole else max(row["ago"] for row in rows) - 1


async def sold_out(offers: Sequence[PastOffer]) -> set[UUID]:
    """Those of which none is left: what they did not sell afterwards says nothing."""
    stocks = {chart.stock(one.id).id: one for one in offers if one.terms.stock_total is not None}
    balances = await ledger.balances(list(stocks)) if stocks else {}
    return {
        one.id
        for account, one in stocks.items()
        if one.terms.stock_total is not None and balances[account].counted >= one.terms.stock_total
    }
