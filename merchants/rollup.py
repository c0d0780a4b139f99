"""What happened by publisher, hour, offer and store: added up once it is settled, and read live until then.

The past is added up until the *horizon*, and all that happened after it is counted from the redemptions themselves, in
the same snapshot: the numbers are exact at every moment, and cost what the hours cost, not what the redemptions do.

How the past is known to be settled, though transactions commit in no order that a clock could tell: who writes about a
time more than twenty minutes ago notes that as a late event (the triggers of `marketplace` see to it). Whoever wrote
without a note about a time before `next_at` had therefore begun to write when `next_at` was twenty minutes ago. Then
a transaction's number is drawn, and `next_at` becomes the horizon when all with lower ones have ended. What late events
are about is read live until it is added up anew.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from marketplace import clock, db

NOWHERE: Final = UUID(int=0)  # the store of what happens at none
COUNTS: Final = (
    "redeemed", "fulfilled", "cancelled", "expired", "verified", "reversed", "returned", "bill_fen", "discount_fen",
)  # fmt: skip
SETTLED_AFTER: Final = timedelta(
    minutes=20
)  # as the triggers have it, and longer than a verification can be reversed
_AT_ONCE: Final = timedelta(days=1)  # what one transaction adds up, when there is much to be caught up with

# $1 is the publisher, or NULL for all; $2 and $3 are from when until when.
_EVENTS: Final = """
    SELECT p.id AS publisher, r.offer, NULL::uuid AS store, r.created_at AS at, r.resident, r.id AS visit,
           1 AS redeemed, (r.status = 'fulfilled')::int AS fulfilled, 0 AS cancelled, 0 AS expired,
           0 AS verified, 0 AS reversed, 0 AS bill_fen, 0 AS discount_fen
    FROM publisher p CROSS JOIN LATERAL (
        SELECT * FROM redemption r WHERE r.publisher = p.id AND r.created_at >= $2 AND r.created_at < $3) AS r
    WHERE $1::uuid IS NULL OR p.id = $1
    UNION ALL
    SELECT p.id, r.offer, NULL, r.closed_at, r.resident, NULL,
           0, 0, (r.status = 'cancelled')::int, (r.status = 'expired')::int, 0, 0, 0, 0
    FROM publisher p CROSS JOIN LATERAL (
        SELECT * FROM redemption r
        WHERE r.publisher = p.id AND r.status IN ('cancelled', 'expired') AND r.closed_at >= $2 AND r.closed_at < $3
    ) AS r
    WHERE $1::uuid IS NULL OR p.id = $1
    UNION ALL
    SELECT s.publisher, r.offer, s.id, v.verified_at, r.resident, CASE WHEN v.reversed_at IS NULL THEN r.id END,
           0, 0, 0, 0, 1, 0, coalesce(v.bill_fen, 0), v.discount_fen
    FROM store s CROSS JOIN LATERAL (
        SELECT * FROM verification v WHERE v.store = s.id AND v.verified_at >= $2 AND v.verified_at < $3) AS v
    CROSS JOIN LATERAL (SELECT * FROM redemption r WHERE r.id = v.redemption OFFSET 0) AS r  -- by its id, one by one
    WHERE $1::uuid IS NULL OR s.publisher = $1
    UNION ALL
    SELECT s.publisher, r.offer, s.id, v.reversed_at, r.resident, NULL,
           0, 0, 0, 0, 0, 1, -coalesce(v.bill_fen, 0), -v.discount_fen
    FROM store s CROSS JOIN LATERAL (
        SELECT * FROM verification v WHERE v.store = s.id AND v.reversed_at >= $2 AND v.reversed_at < $3) AS v
    CROSS JOIN LATERAL (SELECT * FROM redemption r WHERE r.id = v.redemption OFFSET 0) AS r  -- by its id, one by one
    WHERE $1::uuid IS NULL OR s.publisher = $1"""

# A return: a resident's first visit of a day in Shanghai (a redemption, or a verification that stands), within 30 days
# after a use on an earlier day. A use is a verification that stands, or a redemption that was captured at once.
_RETURNED: Final = """
    (e.visit IS NOT NULL AND EXISTS (
        SELECT FROM redemption u
        WHERE u.resident = e.resident AND u.publisher = e.publisher AND u.status IN ('verified', 'fulfilled')
          AND u.closed_at >= e.at - interval '30 days' AND u.closed_at < date_trunc('day', e.at, 'Asia/Shanghai')
    ) AND NOT EXISTS (
        SELECT FROM redemption u
        WHERE u.resident = e.resident AND u.publisher = e.publisher
          AND ((u.created_at >= date_trunc('day', e.at, 'Asia/Shanghai') AND (u.created_at, u.id) < (e.at, e.visit))
            OR (u.status = 'verified' AND u.closed_at >= date_trunc('day', e.at, 'Asia/Shanghai')
                AND (u.closed_at, u.id) < (e.at, e.visit)))
    ))"""

COUNTED: Final = f"""
    SELECT e.publisher, date_trunc('hour', e.at, 'UTC') AS hour, e.offer,
           coalesce(e.store, '00000000-0000-0000-0000-000000000000') AS store,
           sum(e.redeemed)::int AS redeemed, sum(e.fulfilled)::int AS fulfilled, sum(e.cancelled)::int AS cancelled,
           sum(e.expired)::int AS expired, sum(e.verified)::int AS verified, sum(e.reversed)::int AS reversed,
           (count(*) FILTER (WHERE {_RETURNED}))::int AS returned,
           sum(e.bill_fen)::bigint AS bill_fen, sum(e.discount_fen)::bigint AS discount_fen
    FROM ({_EVENTS}) AS e GROUP BY 1, 2, 3, 4"""  # noqa: S608  (of constants)

_NAMES: Final = ", ".join(COUNTS)
_SUMMED: Final = ", ".join(f"sum({name})" for name in COUNTS)
_ADDED: Final = ", ".join(f"{name} = o.{name} + excluded.{name}" for name in COUNTS)
_FOLD: Final = f"""
    WITH counted AS MATERIALIZED ({COUNTED}), hours AS (
        INSERT INTO insight_hour AS o (publisher, hour, offer, store, {_NAMES})
        SELECT * FROM counted ORDER BY 1, 2, 3, 4
        ON CONFLICT (publisher, hour, offer, store) DO UPDATE SET {_ADDED}
    )
    INSERT INTO insight_day AS o (publisher, day, offer, store, {_NAMES})
    SELECT publisher, date_trunc('day', hour, 'Asia/Shanghai'), offer, store, {_SUMMED}
    FROM counted GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (publisher, day, offer, store) DO UPDATE SET {_ADDED}"""  # noqa: S608


async def fold() -> None:
    """Add up what is settled by now, and again what late events are about. One process does it at a time, and another
    finds nothing to do meanwhile."""
    while await _step():
        pass
    while await _again():
        pass


async def _step() -> bool:
    """Move the horizon as far as one transaction should; answers whether it is to be moved further at once."""
    async with db.transaction():
        state = await _locked()
        if state is None:
            return False
        folded_until, next_at = state["folded_until"], state["next_at"]
        moved = next_at is not None and state["ended"]
        if moved:
            before, folded_until = folded_until, min(next_at, folded_until + _AT_ONCE)
            await db.execute(_FOLD, None, before, folded_until)
            await db.execute(
                """UPDATE insight_horizon SET folded_until = $1, next_at = nullif(next_at, $1),
                       next_xid = CASE WHEN next_at > $1 THEN next_xid END""",
                folded_until,
            )
        if folded_until == next_at or next_at is None:
            # Time first, then the number: whoever begins to write with a higher one does it after that time.
            await db.execute(
                """UPDATE insight_horizon SET next_at = t.at, next_xid = pg_current_xact_id()
                   FROM (SELECT least($1, now()) - $2::interval AS at) AS t WHERE t.at > folded_until""",
                clock.now(), SETTLED_AFTER,
            )  # fmt: skip
    return moved and next_at > folded_until


async def _locked() -> db.Row | None:
    """The horizon, locked; None while another process has it. The first time it is a day before all redemptions."""
    await db.execute("SET LOCAL statement_timeout = 0")
    await db.execute(
        """INSERT INTO insight_horizon (folded_until)
           SELECT coalesce((SELECT min(r.created_at) FROM publisher p CROSS JOIN LATERAL (
                                SELECT created_at FROM redemption WHERE publisher = p.id
                                ORDER BY created_at LIMIT 1) AS r), $1) - interval '1 day'
           WHERE NOT EXISTS (SELECT FROM insight_horizon) ON CONFLICT DO NOTHING""",
        clock.now(),
    )
    return await db.fetch_row(
        """SELECT folded_until, next_at, pg_snapshot_xmin(pg_current_snapshot()) >= next_xid AS ended
           FROM insight_horizon FOR UPDATE SKIP LOCKED"""
    )


async def _again() -> bool:
    """Count anew one publisher's days from the earliest that late events are about; answers whether there was one."""
    async with db.transaction():
        state = await _locked()
        if state is None:
            return False
        publisher = await db.fetch_value("SELECT publisher FROM late_event ORDER BY id LIMIT 1")
        if publisher is None:
            return False
        since = await db.fetch_value(
            """WITH gone AS (DELETE FROM late_event WHERE publisher = $1 RETURNING since)
               SELECT date_trunc('day', min(since), 'Asia/Shanghai') FROM gone""",
            publisher,
        )
        await db.execute("DELETE FROM insight_hour WHERE publisher = $1 AND hour >= $2", publisher, since)
        await db.execute("DELETE FROM insight_day WHERE publisher = $1 AND day >= $2", publisher, since)
        if since < state["folded_until"]:
            await db.execute(_FOLD, publisher, since, state["folded_until"])
    return True
