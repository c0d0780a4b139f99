"""The qualification figures: one resident over 1,000 live offers, each with a rule of its own."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from statistics import median, quantiles
from typing import Any
from uuid import UUID

from incentives.channels import MAX_RECORDS, QuantityRecord, open_channel, submit_records
from incentives.eligibility import RuleEligibility
from incentives.rules import rule_of
from marketplace import clock, db
from marketplace.offers import catalogue, view
from marketplace.offers.view import Record
from marketplace.residents import create_resident, link
from tests import builders
from tests.bench import world
from tests.bench.redeeming import Bench

OFFERS, RECORDS, PUBLISHERS, ROUNDS = 1_000, 1_000, 20, 100
RULES = (
    "resident.city == '420100' && year.saved_g >= {n} && now.weekday in [1, 2, 3, 4, 5, 6, 7]",
    "resident.first_redemption && wallet.earned_g >= {n}",
    "year.mobility_g > {n} && (resident.verified || resident.tier >= 2)",
    "!('metro' in resident.programmes) && resident.city in ['420100', '420500'] && year.energy_g >= {n}",
    "now.hour < 24 && wallet.available_g >= {n} && resident.tier >= 1 && year.saved_g >= 1",
)


async def measure(bench: Bench, database: str) -> dict[str, Any]:
    """Milliseconds: the rules by themselves, and with stock, limits and balances as the catalogue judges."""
    bench.say(f"one resident over {OFFERS:,} offers with rules")
    url = await bench.cluster.empty(database)
    async with world.opened(url, bench.home):
        resident, records = await make(offers=OFFERS, done=RECORDS)
        await db.execute("VACUUM ANALYZE")
        return await qualified(resident, records, rounds=ROUNDS)


async def make(*, offers: int, done: int) -> tuple[UUID, list[Record]]:
    """A resident with so many activity records of the last year, and live offers, each with a stock and a limit."""
    resident = await create_resident(city="420100")
    await open_channel(key="metro", name="地铁", methodology="metro-wuhan")
    await link(resident=resident, channel="metro", subject="one")
    rides = [
        QuantityRecord(record_id=str(n), subject="one", quantity=Decimal(1 + n % 9),
                       started_at=(clock.now() - timedelta(hours=1 + 8 * n)).isoformat())
        for n in range(done)
    ]  # fmt: skip
    for start in range(0, done, MAX_RECORDS):
        await submit_records("metro", rides[start : start + MAX_RECORDS])
    shops = [await builders.a_publisher(stores=["光谷店"]) for _ in range(PUBLISHERS)]
    for n in range(offers):
        rule = RULES[n % len(RULES)].format(n=500 * n)
        await builders.an_offer(publisher=shops[n % PUBLISHERS], stock=world.STOCK, limit=3, eligibility=rule,
                                rules=RuleEligibility())  # fmt: skip
    rows = await db.fetch(f"{view.SELECT_OFFERS} WHERE o.status = 'live'")
    return resident, [view.record(row) for row in rows]


async def qualified(resident: UUID, records: list[Record], *, rounds: int) -> dict[str, Any]:
    """The figures; every round reads the facts anew."""
    rules = [record.terms.eligibility for record in records if record.terms.eligibility is not None]
    left: Mapping[UUID, int | None] = dict.fromkeys((record.id for record in records), None)
    eligibility = RuleEligibility()

    async def by_rules() -> int:
        return sum(
            not one.reasons for one in (await eligibility.verdicts(resident=resident, rules=rules)).values()
        )

    async def by_all() -> int:
        judged = await catalogue.judge(records, left=left, resident=resident, eligibility=eligibility)
        return sum(not reasons for reasons in judged.values())

    rule_of.cache_clear()
    (first_ms,) = await _timed(by_rules, 1)
    each_ms, all_ms = await _timed(by_rules, rounds), await _timed(by_all, rounds)
    return {
        "offers": len(records), "eligible": await by_rules(), "first_ms": round(first_ms, 1),
        "ms": round(median(each_ms), 2), "p99_ms": round(quantiles(each_ms, n=100)[98], 2),
        "judged_ms": round(median(all_ms), 2),
    }  # fmt: skip


async def _timed(ask: Callable[[], Awaitable[int]], rounds: int) -> list[float]:
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        await ask()
        taken.append((time.perf_counter() - begun) * 1e3)
    return taken
