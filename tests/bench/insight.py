"""The dashboard figure: a publisher with a million redemptions looks at its ninety days, and at the ninety before."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import asyncpg

from marketplace import db
from marketplace.identity.tokens import Principal, issue_token
from merchants.rollup import fold
from merchants.staff import add_staff
from tests import builders
from tests.bench import world
from tests.bench.redeeming import WARM_SECONDS, Bench
from tests.bench.running import load, ours

OFFERS, STORES, RESIDENTS, DAYS = 20, 5, 100_000, 180
PATH = "/api/v1/publisher/insight?period=90d"

# Past the ledger and its triggers: nobody audits this database. Three of five are verified, mostly within a day; a
# hundredth is reversed, a tenth cancelled; and a thousand are of the last minutes, which nothing has added up.
_REDEMPTIONS = """
    INSERT INTO redemption
        (id, resident, offer, offer_version, publisher, status, price_g, cash_fen, created_at, closed_at)
    SELECT uuidv7(at - now()), r.id, v.offer, v.id, v.publisher,
           s.status, 10, 0, at, CASE WHEN s.status <> 'issued' THEN closes_at END
    FROM (SELECT n, now() - CASE WHEN n <= 1000 THEN random() * interval '20 minutes'
                                 ELSE random() * $2::int * interval '1 day' END AS at,
                 1 + floor(random() * $3::int)::int AS pick, random() AS fate,
                 1 + floor(random() * $4::int)::int AS who
          FROM generate_series(1, $1::int) AS n) AS g
    CROSS JOIN LATERAL (SELECT at + random() * interval '1 day' AS closes_at WHERE n > 0) AS c
    JOIN (SELECT id, row_number() OVER () AS n FROM resident) AS r ON r.n = g.who
    JOIN (SELECT *, row_number() OVER (ORDER BY id) AS n FROM offer_version) AS v ON v.n = g.pick
    CROSS JOIN LATERAL (
        SELECT CASE WHEN closes_at > now() THEN 'issued' WHEN fate < 0.6 THEN 'verified'
                    WHEN fate < 0.7 THEN 'cancelled' ELSE 'issued' END AS status) AS s"""
_VERIFICATIONS = """
    INSERT INTO verification (id, redemption, store, till, bill_fen, discount_fen, verified_at, reversed_at)
    SELECT uuidv7(r.closed_at - now()), r.id, t.store, t.id, 5000, 1000, r.closed_at, NULL
    FROM (SELECT *, 1 + floor(random() * $1::int)::int AS pick FROM redemption WHERE status = 'verified') AS r
    JOIN (SELECT *, row_number() OVER (ORDER BY id) AS n FROM till) AS t ON t.n = r.pick
    UNION ALL
    SELECT uuidv7(r.created_at - now()), r.id, t.store, t.id, 5000, 1000, r.created_at,
           r.created_at + interval '1 minute'
    FROM (SELECT * FROM redemption WHERE random() < 0.01) AS r CROSS JOIN (SELECT * FROM till LIMIT 1) AS t"""
_SEEN = """
    INSERT INTO insight_seen (publisher, hour, offer, exposures, details)
    SELECT o.publisher, hour, o.id, 500, 40
    FROM offer o CROSS JOIN generate_series(date_trunc('hour', now()) - $1::int * interval '1 day',
                                            date_trunc('hour', now()), interval '1 hour') AS hour"""


async def measure(bench: Bench, database: str, *, redemptions: int) -> dict[str, Any]:
    """How long the dashboard takes, and how long it took to add up what it stands on."""
    bench.say(f"a dashboard of {redemptions:,} redemptions")
    url = await bench.cluster.empty(database)
    async with world.opened(url, bench.home):
        publisher, token = await _make(url, redemptions)
        begun = time.perf_counter()
        await fold()
        await fold()
        fold_seconds = time.perf_counter() - begun
        await db.execute("VACUUM ANALYZE")
        hours = await db.fetch_value("SELECT count(*) FROM insight_hour WHERE publisher = $1", publisher)
    await bench.cluster.calm()
    with ours(url, bench.home) as server:
        plan = {"kind": "pages", "port": server.port, "clients": 1, "due": "200", "path": PATH,
                "accept": "application/json", "tokens": [token], "run": "insight"}  # fmt: skip
        load(plan | {"seconds": WARM_SECONDS})
        seen = load(plan | {"seconds": bench.seconds})
    return {"redemptions": redemptions, "rows": hours, "fold_seconds": round(fold_seconds, 1),
            "p50_ms": seen["p50_ms"], "p99_ms": seen["p99_ms"]}  # fmt: skip


async def _make(url: str, redemptions: int) -> tuple[UUID, str]:
    """Answers the publisher, and the token of its owner."""
    await world.make_residents(RESIDENTS)
    publisher = await builders.a_publisher(stores=[f"{n} 号店" for n in range(STORES)])
    for row in await db.fetch("SELECT id FROM store"):
        await builders.a_till(row["id"])
    for n in range(OFFERS):
        await builders.an_offer(publisher=publisher, kind="cash_coupon", title=f"权益 {n:02d}", stock=10**7)
    owner = await add_staff(
        publisher=publisher, login="bench", name="店长", password="of nobody else", role="owner"
    )
    connection = await asyncpg.connect(url)
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(_REDEMPTIONS, redemptions, DAYS, OFFERS, RESIDENTS)
    await connection.execute(_VERIFICATIONS, STORES)
    await connection.execute(_SEEN, DAYS)
    await connection.close()
    await db.execute("VACUUM ANALYZE")
    return publisher, await issue_token(Principal("staff", str(owner.id)))
