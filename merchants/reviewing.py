"""What an operator reads beside a submitted offer: hints of risk, and what changed since it was sent back.

The facts are read for all the offers of a page together; people are counted, and never named.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from marketplace import clock, db
from marketplace.offers.differences import Difference, differences
from marketplace.offers.eligibility import Eligibility
from marketplace.offers.risks import Facts, Peer, Risk, risks
from marketplace.offers.terms import face_value_fen, terms_from
from marketplace.offers.view import OfferView

PEERS: Final = 200  # the newest live offers of a kind
TRIED: Final = 30  # the residents who redeemed last: of a thousand redemptions, at most
MOST: Final = 10_000  # redemptions of a publisher that are looked at, the newest
_OWN_SINCE: Final = timedelta(days=90)
_LATELY: Final = timedelta(days=30)


class Review(msgspec.Struct, frozen=True):
    """About one offer: hints, the gravest first, and what is different from the version that was sent
    back last, None where none was."""

    risks: list[Risk]
    changes: list[Difference] | None


async def reviews(offers: Sequence[OfferView], *, eligibility: Eligibility) -> dict[UUID, Review]:
    """What there is to say about each of `offers`, which were submitted."""
    publishers = await _publishers({offer.publisher.id for offer in offers})
    peers = {kind: await _peers(kind) for kind in {offer.kind for offer in offers}}
    passed, tried = await _tried(
        {offer.eligibility for offer in offers if offer.eligibility}, eligibility=eligibility
    )
    changes = await _changes([offer.id for offer in offers])
    return {
        offer.id: Review(
            risks(Facts(
                price_g=offer.price_g or 0, face_value_fen=offer.face_value_fen, peers=peers[offer.kind],
                tried=tried if offer.eligibility else 0, passed=passed.get(offer.eligibility or "", 0),
                **publishers[offer.publisher.id],
            )),
            changes.get(offer.id),
        )
        for offer in offers
    }  # fmt: skip


async def _publishers(publishers: set[UUID]) -> dict[UUID, dict[str, Any]]:
    """About each publisher: how long it is here, and who redeemed its offers. Its people's numbers are the contact's of
    its application, and logins that are a number."""
    now = clock.now()
    rows = await db.fetch(
        """SELECT p.id, extract(day FROM $2::timestamptz - p.created_at)::int AS publisher_age_days,
                  EXISTS (SELECT 1 FROM store s JOIN verification v ON v.store = s.id
                          WHERE s.publisher = p.id) AS ever_verified,
                  r.redeemed, r.own, h.lately, h.busiest_hour
           FROM publisher p
           CROSS JOIN LATERAL (
               SELECT count(*) AS redeemed, count(*) FILTER (WHERE d.resident IN (
                          SELECT e.id FROM resident e WHERE e.phone IN (
                              SELECT contact_phone FROM application WHERE publisher = p.id
                              UNION SELECT s.login FROM membership m JOIN staff s ON s.id = m.staff
                              WHERE m.publisher = p.id))) AS own
               FROM (SELECT resident, created_at FROM redemption WHERE publisher = p.id
                     ORDER BY id DESC LIMIT $5) AS d WHERE d.created_at > $3) AS r
           CROSS JOIN LATERAL (
               SELECT coalesce(sum(n), 0)::bigint AS lately, coalesce(max(n), 0) AS busiest_hour FROM (
                   SELECT count(*) AS n
                   FROM (SELECT created_at FROM redemption WHERE publisher = p.id ORDER BY id DESC LIMIT $5) AS d
                   WHERE d.created_at > $4 GROUP BY date_trunc('hour', d.created_at)) AS hours) AS h
           WHERE p.id = ANY($1)""",
        list(publishers), now, now - _OWN_SINCE, now - _LATELY, MOST,
    )  # fmt: skip
    return {row["id"]: {name: value for name, value in row.items() if name != "id"} for row in rows}


async def _peers(kind: str) -> list[Peer]:
    """The live offers of a kind that have a face value."""
    rows = await db.fetch(
        """SELECT v.terms FROM offer o JOIN offer_version v ON v.offer = o.id AND v.number = o.version
           JOIN publisher p ON p.id = o.publisher AND p.status = 'active'
           WHERE o.status = 'live' AND o.kind = $1 ORDER BY o.id DESC LIMIT $2""",
        kind, PEERS,
    )  # fmt: skip
    terms = [terms_from(row["terms"]) for row in rows]
    return [Peer(one.price_g, value) for one in terms if one.price_g and (value := face_value_fen(one))]


async def _tried(rules: set[str], *, eligibility: Eligibility) -> tuple[dict[str, int], int]:
    """How many of the residents who redeemed last each rule lets pass, and how many they were."""
    passed = dict.fromkeys(rules, 0)
    if not rules:
        return passed, 0
    rows = await db.fetch(
        """SELECT DISTINCT resident FROM (SELECT resident FROM redemption ORDER BY id DESC LIMIT 1000) AS lately
           LIMIT $1""",
        TRIED,
    )
    for row in rows:
        verdicts = await eligibility.verdicts(resident=row["resident"], rules=rules)
        for rule in rules:
            passed[rule] += not verdicts[rule].reasons
    return passed, len(rows)


async def _changes(offers: list[UUID]) -> dict[UUID, list[Difference]]:
    """What is different from the version that each offer had when it was sent back last, where it was."""
    rows = await db.fetch(
        """SELECT o.id, now.terms AS after, (
                      SELECT b.terms FROM offer_version b WHERE b.offer = o.id AND b.created_at <= e.created_at
                      ORDER BY b.number DESC LIMIT 1) AS before
           FROM offer o
           JOIN offer_version now ON now.offer = o.id AND now.number = o.version
           JOIN LATERAL (SELECT created_at FROM offer_event WHERE offer = o.id AND event = 'rejected'
                         ORDER BY id DESC LIMIT 1) AS e ON true
           WHERE o.id = ANY($1)""",
        offers,
    )
    return {
        row["id"]: differences(terms_from(row["before"]), terms_from(row["after"]))
        for row in rows
        if row["before"] is not None
    }


__all__ = ["Review", "reviews"]
