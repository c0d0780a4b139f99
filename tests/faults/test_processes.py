"""Several processes on one database; one that is killed; and a server that is asked to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.faults.conftest import Site
from tests.faults.machines import Server, command, until


@pytest.mark.whole
async def test_two_workers_are_right_together_and_a_killed_one_takes_nothing_with_it(site: Site) -> None:
    redis = await site.redis()
    server = await site.serve(workers=2, redis_url=redis.url)
    crowd, chance = site.crowd(server), Random(site.seed)

    async with crowd.at_work():
        for _ in range(4):
            await asyncio.sleep(chance.uniform(0.5, 1.5))
            before = workers_of(server)
            killed = chance.choice(before)
            os.kill(killed, signal.SIGKILL)
            await until("another took its place", lambda gone=killed: is_replaced(server, gone, by=2))
        answered = crowd.statuses[201]
        await until("residents redeem", lambda: crowd.statuses[201] > answered + 20)
    await crowd.settle_doubts()
    await crowd.repeat()

    await site.close_books(crowd)
    await server.stop()


@pytest.mark.whole
async def test_a_server_among_two_that_is_stopped_takes_nothing_with_it(site: Site) -> None:
    """As in a rolling release: two servers on one database, one ends in peace and comes again, under load."""
    redis = await site.redis()
    one, other = [await site.serve(redis_url=redis.url) for _ in range(2)]
    crowd, second = site.crowd(one), site.crowd(other, seed=1)

    async with crowd.at_work(), second.at_work():
        for server in (one, other):
            await asyncio.sleep(0.5)
            await server.stop()
            await server.start()
    await crowd.settle_doubts()
    await second.settle_doubts()

    crowd.intents += second.intents
    crowd.faults += second.faults
    await site.close_books(crowd)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.whole)])
async def test_sigterm_answers_what_was_accepted_and_then_stops(site: Site, workers: int) -> None:
    redis_url = (await site.redis()).url if workers > 1 else ""
    server = await site.serve(workers=workers, redis_url=redis_url)
    crowd = site.crowd(server)

    async with crowd.at_work(actors=60):
        await until("residents redeem", lambda: crowd.statuses[201] > 50)
        await server.stop()  # and it exits with 0
    # Nobody asked again: whatever had an effect was answered.
    unheard = [intent for intent in crowd.intents if not intent.answers]
    settled = [intent for intent in crowd.intents if intent.answers]
    crowd.intents = settled
    await site.close_books(crowd)
    assert unheard, "the load went on while it stopped"


@pytest.mark.whole
@pytest.mark.parametrize("both", [False, True], ids=["the server", "the server and its database"])
async def test_a_server_with_an_embedded_database_is_killed_and_starts_again(both: bool) -> None:
    """As `make run` has it: the database is started by the server, and stopped by the last one who leaves."""
    with tempfile.TemporaryDirectory(prefix="chutan-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        server = Server(home, url="")
        try:
            await command("demo", home=home, url="")
            credentials = await command("demo-credentials", home=home, url="")
            await server.start()
            async with httpx.AsyncClient(base_url=server.base_url, trust_env=False, timeout=60) as client:
                done = await redeemed(client, credentials)
            server.kill()
            if both:
                os.kill(postmaster(home), signal.SIGKILL)
            await server.start()
            async with httpx.AsyncClient(base_url=server.base_url, trust_env=False, timeout=60) as client:
                assert await redeemed(client, credentials) == done
            await server.stop()
            assert (await command("audit", home=home, url=""))["ok"]
            assert postmaster(home) == 0
        finally:
            server.kill()
            if left := postmaster(home):
                with suppress(ProcessLookupError):
                    os.kill(left, signal.SIGINT)


async def redeemed(client: httpx.AsyncClient, credentials: Any) -> dict[str, Any]:
    """The answer of one and the same request."""
    headers = {"Authorization": f"Bearer {credentials['residents'][0]['token']}", "Idempotency-Key": "one"}
    offer = (await client.get("/api/v1/offers", params={"kind": "transit"})).json()["items"][0]
    answer = await client.post("/api/v1/redemptions", json={"offer_id": offer["id"]}, headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def postmaster(home: Path) -> int:
    """The process of the embedded PostgreSQL; 0 when it does not run."""
    with suppress(FileNotFoundError):
        return int((home / "pg" / "postmaster.pid").read_text().split()[0])
    return 0


def workers_of(server: Server) -> list[int]:
    """The processes that serve: children of the one that was started, its resource tracker aside."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [
        int(pid)
        for pid in children
        if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    ]


async def is_replaced(server: Server, gone: int, *, by: int) -> bool:
    now = workers_of(server)
    return gone not in now and len(now) == by and await server.is_ready()
