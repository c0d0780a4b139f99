"""The server is killed, or the database crashes, at any moment: what was acknowledged is there, the rest can be asked
again."""

from __future__ import annotations

import asyncio
from random import Random

import asyncpg
import pytest

from tests.faults import books
from tests.faults.conftest import Site
from tests.faults.machines import connected, until


async def test_kill_9_under_load_loses_nothing_and_repeats_nothing(site: Site, whole: bool) -> None:
    server = await site.serve()
    crowd, chance = site.crowd(server), Random(site.seed)

    for _ in range(8 if whole else 1):
        async with crowd.at_work():
            await asyncio.sleep(chance.uniform(0.4, 2))
            server.kill()
            await server.start()
    await crowd.settle_doubts()
    await crowd.repeat()

    assert crowd.statuses[201]
    await site.close_books(crowd)


async def test_a_database_that_crashes_is_503_meanwhile_and_the_server_recovers_by_itself(
    site: Site, whole: bool
) -> None:
    server = await site.serve()
    crowd, chance = site.crowd(server), Random(site.seed)

    for _ in range(5 if whole else 1):
        async with crowd.at_work():
            await asyncio.sleep(chance.uniform(0.4, 2))
            await site.cluster.crash()
            refused = crowd.statuses[503]
            await until("the server says so", lambda before=refused: crowd.statuses[503] > before)
            assert not await server.is_ready()
            assert (await crowd.get("/healthz")).status_code == 200
            await site.cluster.start()
            await until("the server is well again", server.is_ready)
            await asyncio.sleep(chance.uniform(0.2, 0.5))
    await crowd.settle_doubts()
    await crowd.repeat()

    await site.close_books(crowd)


@pytest.mark.whole
async def test_what_is_killed_before_its_commit_never_happened_and_happens_when_asked_again(
    site: Site,
) -> None:
    server = await site.serve()
    crowd = site.crowd(server)
    intents = [crowd.redeeming(n, site.world.offers[n % 5]) for n in range(40)]

    async with connected(site.url) as gate:
        await gate.execute("BEGIN; LOCK TABLE idempotency IN SHARE MODE")  # keys are what is written last
        sent = [asyncio.create_task(crowd.send(intent)) for intent in intents]
        await until("a batch waits for its keys", lambda: waiting(gate, "relation"))
        server.kill()
        await asyncio.gather(*sent)
        assert not crowd.statuses
        await gate.execute("COMMIT")
    await until("the killed server's session is over", lambda: nobody_works_in(site))
    assert (await books.read(site.url)).redemptions == {}

    await server.start()
    assert await crowd.settle_doubts() == 40
    assert crowd.statuses[201] == 40
    await site.close_books(crowd)


@pytest.mark.whole
async def test_what_is_killed_after_its_commit_is_answered_when_asked_again(site: Site) -> None:
    server = await site.serve()
    crowd = site.crowd(server)
    intents = [crowd.redeeming(n, site.world.offers[n % 5]) for n in range(40)]

    async with connected(site.url) as gate:
        # A commit is on disk, and then waits for a standby that does not exist: its answer never comes.
        await gate.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        try:
            await gate.execute("SELECT pg_reload_conf()")
            await until("it waits", lambda: shown(gate, "synchronous_standby_names", "nobody"))
            sent = [asyncio.create_task(crowd.send(intent)) for intent in intents]
            await until("a batch has committed", lambda: waiting(gate, "SyncRep"))
            server.kill()
            await asyncio.gather(*sent)
            assert not crowd.statuses
        finally:
            await gate.execute("ALTER SYSTEM RESET synchronous_standby_names")
            await gate.execute("SELECT pg_reload_conf()")
    await until("the killed server's session is over", lambda: nobody_works_in(site))
    there = set((await books.read(site.url)).redemptions)
    assert there

    await server.start()
    await crowd.settle_doubts()
    again = {intent.final[1]["id"] for intent in intents if intent.final is not None}
    assert there <= again
    assert len(again) == crowd.statuses[201] == 40
    await site.close_books(crowd)


async def waiting(gate: asyncpg.Connection, event: str) -> bool:
    """Whether a session of the server's waits for `event`."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'chutan' AND wait_event = $1"
    await gate.execute(
        "SELECT pg_stat_clear_snapshot()"
    )  # a transaction sees the activity as it was when it first asked
    return bool(await gate.fetchval(sql, event))


async def shown(gate: asyncpg.Connection, setting: str, value: str) -> bool:
    return bool(await gate.fetchval("SELECT current_setting($1) = $2", setting, value))


async def nobody_works_in(site: Site) -> bool:
    """Whether no session of a server's is left in the site's database."""
    sql = """SELECT count(*) FROM pg_stat_activity
             WHERE application_name = 'chutan' AND datname = current_database()"""
    async with connected(site.url) as connection:
        return bool(await connection.fetchval(sql) == 0)
