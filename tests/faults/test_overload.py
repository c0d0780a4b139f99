"""Locks that somebody holds, no connection, more requests than can be served: an early 503, then recovery."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, suppress
from uuid import UUID

import asyncpg
import pytest

from marketplace import chart
from tests.faults.client import Crowd, Intent
from tests.faults.conftest import Site
from tests.faults.machines import connected, until

pytestmark = pytest.mark.whole

WITHIN_SECONDS = 60  # a bound, no speed: without one these would wait for many minutes, or for ever
SERVERS = "application_name = 'chutan' AND datname = current_database()"


async def test_a_transaction_that_holds_a_wallet_costs_503_and_others_go_on(site: Site) -> None:
    server = await site.serve()
    crowd = site.crowd(server)
    await crowd.ask(crowd.redeeming(0, site.world.offers[0]))

    async with connected(site.url) as holder:
        await holder.execute("BEGIN")
        await lock_wallet(holder, site.world.residents[0])
        blocked = crowd.redeeming(0, site.world.offers[0])
        others = [crowd.redeeming(n, site.world.offers[0]) for n in range(1, WITHIN_SECONDS)]
        answers = await asyncio.wait_for(all_of(crowd, [blocked, *others]), WITHIN_SECONDS)
        assert answers[0] == 503
        # Whoever came in the same batch may be told to try again; whoever comes then is served.
        assert set(answers) <= {201, 503}
        await asyncio.wait_for(asyncio.gather(*(crowd.ask(intent) for intent in others)), WITHIN_SECONDS)
        await holder.execute("ROLLBACK")

    assert (await crowd.ask(blocked) or (0,))[0] == 201
    await site.close_books(crowd)


async def test_a_hot_offer_that_is_locked_costs_503_within_bounds(site: Site) -> None:
    server = await site.serve()
    crowd, hot = site.crowd(server), site.world.offers[1]
    await crowd.ask(crowd.redeeming(0, hot))

    async with connected(site.url) as holder:
        await holder.execute("BEGIN")
        await holder.execute("SELECT 1 FROM ledger_account WHERE code = 'stock' FOR UPDATE")
        intents = [crowd.redeeming(n, hot) for n in range(100)]
        answers = await asyncio.wait_for(all_of(crowd, intents), WITHIN_SECONDS)
        assert Counter(answers) == {503: 100}
        await holder.execute("ROLLBACK")

    await asyncio.gather(*(crowd.ask(intent) for intent in intents))
    assert {intent.final[0] for intent in intents if intent.final} == {201}
    await site.close_books(crowd)


async def test_a_table_that_is_locked_exhausts_the_pool_and_costs_503_within_bounds(site: Site) -> None:
    server = await site.serve()
    crowd = site.crowd(server)

    async with connected(site.url) as holder:
        await holder.execute("BEGIN; LOCK TABLE offer, access_token")
        reading = [crowd.get("/api/v1/offers") for _ in range(100)]
        intents = [crowd.redeeming(n, site.world.offers[0]) for n in range(100)]
        pages, answers = await asyncio.wait_for(
            asyncio.gather(asyncio.gather(*reading), all_of(crowd, intents)), WITHIN_SECONDS
        )
        assert {page.status_code for page in pages} == {503}
        assert all("retry-after" in page.headers for page in pages)
        assert set(answers) == {503}
        assert (await crowd.get("/healthz")).status_code == 200
        await holder.execute("ROLLBACK")

    await asyncio.gather(*(crowd.ask(intent) for intent in intents))
    await site.close_books(crowd)


async def test_a_database_without_a_free_connection_costs_503(site: Site) -> None:
    server = await site.serve()
    crowd = site.crowd(server)
    await crowd.ask(crowd.redeeming(0, site.world.offers[0]))

    async with AsyncExitStack() as hogs, connected(site.url) as holder:
        with suppress(asyncpg.TooManyConnectionsError):
            for _ in range(1_000):
                await hogs.enter_async_context(connected(site.url))
        await holder.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {SERVERS}")
        with suppress(asyncpg.TooManyConnectionsError):  # what the server just lost
            for _ in range(1_000):
                await hogs.enter_async_context(connected(site.url))
        intents = [crowd.redeeming(n, site.world.offers[0]) for n in range(40)]
        answers = await asyncio.wait_for(all_of(crowd, intents), WITHIN_SECONDS)
        assert set(answers) <= {201, 503}  # some are served where the server was quicker than the hogs

    await asyncio.gather(*(crowd.ask(intent) for intent in intents))
    assert {intent.final[0] for intent in intents if intent.final} == {201}
    await site.close_books(crowd)


async def test_a_server_that_gets_more_than_it_can_do_refuses_early(site: Site) -> None:
    server = await site.serve(broken="a_short_queue")
    crowd = site.crowd(server)
    intents = [crowd.redeeming(n % 100, site.world.offers[n % 5]) for n in range(300)]

    async with connected(site.url) as holder:
        await holder.execute("BEGIN; LOCK TABLE idempotency IN SHARE MODE")
        sent = [asyncio.create_task(crowd.send(intent)) for intent in intents]
        await until("whoever does not fit is refused", lambda: crowd.statuses[503])
        await holder.execute("ROLLBACK")
        await asyncio.gather(*sent)

    assert crowd.statuses[201]
    await crowd.settle_doubts()
    await site.close_books(crowd)


async def lock_wallet(holder: asyncpg.Connection, resident: str) -> None:
    await holder.execute(
        "SELECT 1 FROM ledger_account WHERE id = $1 FOR UPDATE", chart.wallet(UUID(resident)).id
    )


async def all_of(crowd: Crowd, intents: list[Intent]) -> list[int]:
    """The statuses of one try of each, all at once."""
    answers = await asyncio.gather(*(crowd.send(intent) for intent in intents))
    return [answer[0] if answer else 0 for answer in answers]
