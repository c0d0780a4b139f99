"""The figures of the books: settlement of what was captured, and the audit of a million transfers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import Any
from uuid import UUID

from marketplace import db, ledger
from marketplace.offers.eligibility import NoRules
from marketplace.redemptions import redeem
from tests import builders
from tests.bench import world
from tests.bench.redeeming import Bench
from tests.bench.running import command
from tests.bench.world import World

AT_ONCE = 256
AUDIT_WITHIN_SECONDS = 240
LEGS = 4  # the transfers of a redemption


async def measure(
    bench: Bench, our_world: World, database: str, *, donations: int, transfers: int
) -> dict[str, Any]:
    """Settle `donations`, then audit at least so many transfers, in the database that the loads have filled."""
    url = bench.cluster.url(database)
    bench.say(f"{donations:,} donations, and up to {transfers:,} transfers")
    async with world.opened(url, bench.home):
        donation = await builders.an_offer(kind="donation", price_g=world.PRICE_G)
        await take(donations, our_world.residents, [donation.id])
        written = (
            await db.fetch_value("SELECT count(*) FROM ledger_transfer") + donations
        )  # which settling adds
        await take(max(0, -(-(transfers - written) // LEGS)), our_world.residents, our_world.spread)
        await db.execute("ANALYZE")
    bench.say("settlement")
    await bench.cluster.calm()
    settled = command("settle", url=url, home=bench.home)
    if settled.answer is None or settled.answer["recorded"] != donations:
        raise RuntimeError(f"not every donation was settled: {settled}")
    return {
        "settlement": {"records": donations, "seconds": settled.seconds,
                       "per_second": round(donations / settled.seconds, 1)},
        "audit": await _audit(bench, database),
    }  # fmt: skip


async def _audit(bench: Bench, database: str) -> dict[str, Any]:
    """How long the audit took. One that takes too long is stopped, and counts as that long."""
    bench.say("audit")
    await bench.cluster.calm()
    told = command(
        "audit", url=bench.cluster.url(database), home=bench.home, within_seconds=AUDIT_WITHIN_SECONDS
    )
    if told.answer is None:  # its query goes on, unless it is told
        await bench.cluster.disconnect(database)
    audited = (await bench.cluster.run("SELECT count(*) AS n FROM ledger_transfer", database))[0]["n"]
    return {
        "transfers": audited, "seconds": told.seconds, "memory_mb": told.memory_mb, "ended": told.answer is not None,
        "seconds_per_million": round(told.seconds / audited * 1e6, 1),
    }  # fmt: skip


async def take(number: int, residents: Sequence[UUID], offers: Sequence[UUID]) -> None:
    """So many redemptions in the open database, by turns, in batches as the server makes them."""
    turns = islice(zip(cycle(residents), cycle(offers), strict=False), number)
    async with ledger.batching():
        await asyncio.gather(*(_take_one_by_one(turns) for _ in range(AT_ONCE)))


async def _take_one_by_one(turns: Iterator[tuple[UUID, UUID]]) -> None:
    for resident, offer in turns:
        await redeem(resident=resident, offer=offer, key=None, eligibility=NoRules())
