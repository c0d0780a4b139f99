"""How cost grows: the redemption figures with ever more residents, and with a journal that is already long."""

from __future__ import annotations

from typing import Any

from marketplace import db
from tests.bench import books, comparators, redeeming, world
from tests.bench.redeeming import MANY, Bench
from tests.bench.running import ours

SIZES = (10_000, 100_000, 1_000_000)
LONG_AT, JOURNALS = 100_000, (1_000_000, 10_000_000)
SOME = 2_000  # redemptions before anything is measured
BEST = {"hot": 16, "spread": 32}  # of the clients that pgbench is tried with


async def measure(
    bench: Bench, database: str, floor: str, *, offers: int, largest: int
) -> list[dict[str, Any]]:
    """A row for each size up to `largest`, and one for each of the longer journals."""
    rows = []
    for residents in (size for size in SIZES if size <= largest):
        bench.say(f"growth: {residents:,} residents")
        url = await bench.cluster.empty(database)
        async with world.opened(url, bench.home):
            made = await world.make(residents=residents, offers=offers)
            await books.take(SOME, made.residents, made.spread)
            await db.execute("VACUUM ANALYZE")
        await comparators.make_floor(bench.cluster, floor, residents=residents, offers=offers)
        pgbench = {
            f"pgbench_{which}": comparators.pgbench(
                bench.cluster, floor, which=which, clients=clients, seconds=bench.seconds, residents=residents,
                offers=offers, home=bench.home,
            ).per_second
            for which, clients in BEST.items()
        }  # fmt: skip
        rows.append(await _row(bench, made, database) | pgbench)
        for journal in JOURNALS if residents == LONG_AT else ():
            bench.say(f"growth: a journal of {journal:,} transfers")
            async with world.opened(url, bench.home):
                missing = journal - await db.fetch_value("SELECT count(*) FROM ledger_transfer")
                await books.take(max(0, missing) // books.LEGS, made.residents, made.spread)
                await db.execute("VACUUM ANALYZE")
            rows.append(await _row(bench, made, database))
    return rows


async def _row(bench: Bench, made: world.World, database: str) -> dict[str, Any]:
    transfers = (await bench.cluster.run("SELECT count(*) AS n FROM ledger_transfer", database))[0]["n"]
    row: dict[str, Any] = {"residents": len(made.residents), "transfers": transfers}
    with ours(bench.cluster.url(database), bench.home) as server:
        for which in ("hot", "spread"):
            seen = await redeeming.loaded(bench, server, made, which, MANY)
            row |= {
                which: seen["per_second"],
                f"{which}_us": round(seen["server_us"] + seen["postgres_us"], 1),
            }
    return row
