"""What happened is found in the rows that it left, once each, and owed to the endpoints that asked for it.

Up to the *horizon* all has been found; what is later is looked through at each round, and what is known already passed
over. How the horizon can move, though transactions commit in no order that a clock could tell: who writes about a time
more than a minute ago notes that time (the triggers of `marketplace` see to it). Whoever wrote without a note about a
time before `next_at` had therefore begun to write when `next_at` was a minute ago. Then a transaction's number is
drawn, and `next_at` becomes the horizon when all with lower ones have ended. What was noted is looked for by its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from marketplace import clock, db
from marketplace.ids import new_id
from merchants.webhooks.events import OF_OFFERS, OF_PUBLISHERS

SETTLED_AFTER: Final = timedelta(minutes=1)  # as the triggers have it
_AT_ONCE: Final = timedelta(
    hours=1
)  # what one transaction looks through, when there is much to be caught up with
_MOST: Final = 2_000
_EVER: Final = datetime.max.replace(tzinfo=UTC)


def _moment(column: str) -> str:
    return f"""to_char({column}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


_REDEMPTION: Final = f"""jsonb_build_object(
    'redemption_id', r.id, 'offer_id', r.offer, 'offer_version_id', r.offer_version, 'price_g', r.price_g,
    'cash_fen', r.cash_fen, 'redeemed_at', {_moment("r.created_at")})"""
_VERIFICATION: Final = f"""jsonb_build_object(
    'verification_id', v.id, 'redemption_id', v.redemption, 'offer_id', r.offer, 'store_id', v.store, 'till_id', v.till,
    'bill_fen', v.bill_fen, 'discount_fen', v.discount_fen, 'verified_at', {_moment("v.verified_at")},
    'reversed_at', """  # a verification is told of as it was then, when it had not been reversed

# $1 are the publishers who have endpoints, with ($2) when the first of them was made; $3 and $4 are from when until
# when. A reversal is within 15 minutes of its verification, so that the index of verifications serves for both.
_HAPPENED: Final = f"""
    WITH listener AS (SELECT * FROM unnest($1::uuid[], $2::timestamptz[]) AS l (publisher, since))
    SELECT 'redemption.created' AS kind, r.id AS source, l.publisher, r.created_at AS at, {_REDEMPTION} AS facts
    FROM listener l CROSS JOIN LATERAL (
        SELECT * FROM redemption r
        WHERE r.publisher = l.publisher AND r.created_at >= greatest($3, l.since) AND r.created_at < $4) AS r
    UNION ALL
    SELECT 'redemption.' || r.status, r.id, l.publisher, r.closed_at, {_REDEMPTION}
    FROM listener l CROSS JOIN LATERAL (
        SELECT * FROM redemption r
        WHERE r.publisher = l.publisher AND r.status IN ('cancelled', 'expired')
          AND r.closed_at >= greatest($3, l.since) AND r.closed_at < $4) AS r
    UNION ALL
    SELECT 'redemption.verified', v.id, l.publisher, v.verified_at, {_VERIFICATION} NULL)
    FROM listener l JOIN store s ON s.publisher = l.publisher CROSS JOIN LATERAL (
        SELECT * FROM verification v
        WHERE v.store = s.id AND v.verified_at >= greatest($3, l.since) AND v.verified_at < $4) AS v
    JOIN redemption r ON r.id = v.redemption
    UNION ALL
    SELECT 'redemption.reversed', v.id, l.publisher, v.reversed_at, {_VERIFICATION} {_moment("v.reversed_at")})
    FROM listener l JOIN store s ON s.publisher = l.publisher CROSS JOIN LATERAL (
        SELECT * FROM verification v
        WHERE v.store = s.id AND v.verified_at >= greatest($3, l.since) - interval '1 hour' AND v.verified_at < $4
          AND v.reversed_at >= greatest($3, l.since) AND v.reversed_at < $4) AS v
    JOIN redemption r ON r.id = v.redemption
    UNION ALL
    SELECT 'offer.' || e.event, e.id, l.publisher, e.created_at,
           jsonb_build_object('offer_id', o.id, 'title', o.title, 'reason', e.reason)
    FROM offer_event e JOIN offer o ON o.id = e.offer JOIN listener l ON l.publisher = o.publisher
    WHERE e.created_at >= greatest($3, l.since) AND e.created_at >= $3 AND e.created_at < $4 AND e.event = ANY($5)
    UNION ALL
    SELECT e.kind, e.id, l.publisher, e.created_at,
           CASE e.kind WHEN 'pool.low' THEN e.facts - 'offer' || jsonb_build_object('offer_id', e.subject)
                       ELSE e.facts END
    FROM publisher_event e JOIN listener l ON l.publisher = e.publisher
    WHERE e.created_at >= greatest($3, l.since) AND e.created_at >= $3 AND e.created_at < $4 AND e.kind = ANY($6)"""  # noqa: S608  (of constants)

_NEW: Final = f"""
    SELECT h.* FROM ({_HAPPENED}) AS h
    WHERE NOT EXISTS (SELECT FROM webhook_event e WHERE e.source = h.source AND e.kind = h.kind)
    ORDER BY h.at, h.source LIMIT $7"""  # noqa: S608  (of constants)


async def find() -> int:
    """Note what happened, and to whom it is owed; answers how many events were new. One process does it at a time, and
    another finds nothing to do meanwhile."""
    count, more = 0, True
    while more:
        found, more = await _step()
        count += found
    return count


async def _step() -> tuple[int, bool]:
    """Look through as much as one transaction should; answers what was new, and whether to go on at once."""
    async with db.transaction():
        state = await _locked()
        if state is None:
            return 0, False
        endpoints = await db.fetch(
            """SELECT id, publisher, events, enabled, created_at FROM webhook_endpoint
               WHERE deleted_at IS NULL ORDER BY id"""
        )
        since = state["found_until"]
        until = since + _AT_ONCE if since + _AT_ONCE < state["present"] else _EVER
        found = await _between(endpoints, since, until)
        if found == _MOST:
            return found, True
        moved = await _moved(state, until)
        late = await _late(endpoints)
    return found + late, moved and until != _EVER


async def _moved(state: db.Row, until: datetime) -> bool:
    """Move the horizon towards `until`, if it can be; draw the next number where none is out."""
    horizon, next_at = state["found_until"], state["next_at"]
    moved = next_at is not None and state["ended"]
    if moved:
        horizon = min(next_at, until)
        await db.execute(
            """UPDATE webhook_horizon SET found_until = $1, next_at = nullif(next_at, $1),
                   next_xid = CASE WHEN next_at > $1 THEN next_xid END""",
            horizon,
        )
    if next_at is None or horizon == next_at:
        # Time first, then the number: whoever begins to write with a higher one does it after that time.
        await db.execute(
            """UPDATE webhook_horizon SET next_at = t.at, next_xid = pg_current_xact_id()
               FROM (SELECT least($1, now()) - $2::interval AS at) AS t WHERE t.at > found_until""",
            clock.now(), SETTLED_AFTER,
        )  # fmt: skip
    return moved


async def _locked() -> db.Row | None:
    """The horizon, locked; None while another process has it. The first time it is before every endpoint."""
    await db.execute(
        """INSERT INTO webhook_horizon (found_until)
           SELECT least($1, now(), (SELECT min(created_at) FROM webhook_endpoint)) - $2::interval
           WHERE NOT EXISTS (SELECT FROM webhook_horizon) ON CONFLICT DO NOTHING""",
        clock.now(), SETTLED_AFTER,
    )  # fmt: skip
    return await db.fetch_row(
        """SELECT found_until, next_at, now() AS present, pg_snapshot_xmin(pg_current_snapshot()) >= next_xid AS ended
           FROM webhook_horizon FOR UPDATE SKIP LOCKED"""
    )


async def _late(endpoints: Sequence[db.Row]) -> int:
    """What happened at the times that were noted, and so between them."""
    noted = await db.fetch_row(
        """WITH gone AS (DELETE FROM late_happening WHERE id IN (
               SELECT id FROM late_happening ORDER BY id LIMIT $1) RETURNING at)
           SELECT min(at) AS first, max(at) AS last FROM gone""",
        _MOST,
    )
    found, new = 0, _MOST
    while noted is not None and noted["first"] is not None and new == _MOST:
        new = await _between(endpoints, noted["first"], noted["last"] + timedelta(microseconds=1))
        found += new
    return found


async def _between(endpoints: Sequence[db.Row], since: datetime, until: datetime) -> int:
    """Keep what happened from `since` until `until` and is not known, with the messages that are owed for it."""
    if not endpoints:
        return 0
    first: dict[object, datetime] = {}
    for endpoint in endpoints:
        first[endpoint["publisher"]] = min(
            endpoint["created_at"], first.get(endpoint["publisher"], endpoint["created_at"])
        )
    rows = await db.fetch(
        _NEW, list(first), list(first.values()), since, until, OF_OFFERS, OF_PUBLISHERS, _MOST
    )
    await keep_events(rows, endpoints)
    return len(rows)


async def keep_events(found: Sequence[db.Row], endpoints: Sequence[db.Row]) -> None:
    """Write events, and a message for each endpoint that is on and asked for their kind; in the open transaction."""
    now = clock.now()
    events = [(new_id(), e["publisher"], e["kind"], e["source"], e["facts"], e["at"], now) for e in found]
    await db.insert_many(
        "webhook_event", ["id", "publisher", "kind", "source", "facts", "at", "created_at"], events
    )
    owed = [
        (new_id(), endpoint["id"], event, "waiting", now, now)
        for event, publisher, kind, _, _, at, _ in events
        for endpoint in endpoints
        if endpoint["publisher"] == publisher and endpoint["enabled"] and kind in endpoint["events"]
        and at >= endpoint["created_at"]
    ]  # fmt: skip
    await db.insert_many(
        "webhook_delivery", ["id", "endpoint", "event", "state", "next_at", "created_at"], owed
    )


__all__ = ["SETTLED_AFTER", "find", "keep_events"]
