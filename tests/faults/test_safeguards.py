"""A check of the checks: with a safeguard taken away, the suite must turn red; with it, the same scenario is green."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from marketplace import clock, settlement
from marketplace.registry import EmbeddedRegistry, Receipt, Retirement
from marketplace.settlement import worker
from tests.faults import books
from tests.faults.client import Crowd
from tests.faults.conftest import Site
from tests.faults.machines import connected, opened

NO_GUARD_IN_SQL = """
    ALTER TABLE ledger_account DROP CONSTRAINT ledger_account_not_overdrawn;
    ALTER TABLE ledger_account DROP CONSTRAINT ledger_account_unlimited_has_no_balance;"""
NO_UNIQUE_KEY = "ALTER TABLE idempotency DROP CONSTRAINT idempotency_pkey"


async def without(site: Site, sql: str) -> None:
    """Take a constraint away from the site's database."""
    async with connected(site.url) as connection:
        await connection.execute(sql)


@pytest.mark.parametrize(
    "guarded", [pytest.param(True, marks=pytest.mark.whole), False], ids=["guarded", "unguarded"]
)
async def test_without_the_balance_guard_the_suite_is_red(site: Site, guarded: bool) -> None:
    if not guarded:
        await without(site, NO_GUARD_IN_SQL)
    server = await site.serve(broken="" if guarded else "no_balance_guard")
    crowd = site.crowd(server)

    await asyncio.gather(*(crowd.ask(crowd.redeeming(0, site.world.everything)) for _ in range(30)))

    await is_red(site, crowd, unless=guarded, because="audit: no_account_is_overdrawn")


@pytest.mark.whole
async def test_without_the_guard_in_python_the_one_in_sql_stands(site: Site) -> None:
    server = await site.serve(broken="no_balance_guard")
    crowd = site.crowd(server)
    intents = [crowd.redeeming(0, site.world.everything) for _ in range(30)]
    await asyncio.gather(*(crowd.send(intent) for intent in intents))
    assert crowd.statuses[201] == 1
    assert not await books.audited(home=site.home, url=site.url)


@pytest.mark.whole
@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "unguarded"])
async def test_without_the_unique_key_the_suite_is_red(site: Site, guarded: bool) -> None:
    if not guarded:
        await without(site, NO_UNIQUE_KEY)
    server = await site.serve(broken="" if guarded else "no_memory_of_keys")
    crowd = site.crowd(server)
    intent = crowd.redeeming(0, site.world.offers[0])

    await asyncio.gather(*(crowd.send(intent) for _ in range(10)))

    await is_red(site, crowd, unless=guarded, because=f"{intent.key}: answered differently")


@pytest.mark.whole
@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "unguarded"])
async def test_without_the_mark_before_sending_the_suite_is_red(
    site: Site, guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry commits, the worker dies before it knows, and the till undoes what it verified."""
    server = await site.serve()
    crowd = site.crowd(server)
    verification = await a_verification(crowd)
    if not guarded:
        monkeypatch.setattr(worker, "_claim", unmarked(site))

    async with opened(site.url):
        with pytest.raises(KeyboardInterrupt):
            await settlement.settle(DiesAfterwards(), everything=True)
    await crowd.ask(crowd.reversing(verification))
    monkeypatch.undo()
    async with opened(site.url):
        with clock.travelled(worker.LEASE + timedelta(seconds=1)):
            await settlement.settle(EmbeddedRegistry(), everything=True)

    await is_red(site, crowd, unless=guarded, because="audit: recorded_consumption_is_in_the_registry")


class DiesAfterwards(EmbeddedRegistry):
    async def retire(self, retirements: Sequence[Retirement]) -> dict[UUID, Receipt]:
        await super().retire(retirements)
        raise KeyboardInterrupt


def unmarked(site: Site) -> Any:
    """`_claim` that leaves no mark of what it is about to send."""
    marking = worker._claim

    async def claim(*, everything: bool) -> list[worker.Claimed]:
        claimed = await marking(everything=everything)
        await without(site, "UPDATE consumption_record SET state = 'pending' WHERE state = 'sending'")
        return claimed

    return claim


async def a_verification(crowd: Crowd) -> str:
    redeemed = await crowd.ask(crowd.redeeming(0, crowd.world.offers[0]))
    assert redeemed is not None
    verified = await crowd.ask(crowd.verifying(redeemed[1]["coupon"]["code"], redeemed[1]["id"]))
    assert verified is not None
    return str(verified[1]["id"])


async def is_red(site: Site, crowd: Crowd, *, unless: bool, because: str) -> None:
    """The scenario's end finds it, or, with the safeguard in its place, nothing."""
    if unless:
        await site.close_books(crowd)
        return
    with pytest.raises(AssertionError) as found:
        await site.close_books(crowd)
    assert because in str(found.value)
