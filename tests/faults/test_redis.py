"""Redis is emptied, killed, frozen: no value changes. Who signed in with a session may have to sign in again."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.faults.client import Crowd
from tests.faults.conftest import Site
from tests.faults.machines import until

pytestmark = pytest.mark.whole

SIGN_IN = "/api/v1/auth/staff-sessions"
STAFF = {"login": "demo-merchant", "password": "chutan-demo"}


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_redis_that_is_emptied_and_killed_changes_no_value(site: Site, workers: int) -> None:
    redis = await site.redis()
    server = await site.serve(redis_url=redis.url, workers=workers)
    crowd = site.crowd(server)

    async with crowd.at_work():
        await progress(crowd)
        await redis.flush()
        await progress(crowd)
        redis.kill()
        await progress(crowd)  # long-lived tokens are the database's: residents go on redeeming
        assert not await server.is_ready()
        await redis.start()
        await until("the server is well again", server.is_ready)
        await progress(crowd)
    await crowd.settle_doubts()

    assert set(crowd.statuses) <= {200, 201, 409}
    await site.close_books(crowd)


async def test_a_redis_that_freezes_changes_no_value(site: Site) -> None:
    redis = await site.redis()
    server = await site.serve(redis_url=redis.url)
    crowd = site.crowd(server)

    async with crowd.at_work(actors=8):
        await progress(crowd)
        redis.signal(signal.SIGSTOP)
        await progress(crowd, by=3)
        assert not await server.is_ready()
        redis.signal(signal.SIGCONT)
        await until("the server is well again", server.is_ready)
    await crowd.settle_doubts()

    assert set(crowd.statuses) <= {200, 201, 409}
    await site.close_books(crowd)


async def test_sessions_are_lost_with_redis_and_nothing_else_is(site: Site) -> None:
    redis = await site.redis()
    server = await site.serve(redis_url=redis.url)
    crowd = site.crowd(server)
    own, session = "/api/v1/publisher/offers", await a_session(crowd)
    assert (await crowd.get(own, session)).status_code == 200

    await redis.flush()
    assert (await crowd.get(own, session)).status_code == 401
    redis.kill()
    unknown = await crowd.get(own, session)
    assert (unknown.status_code, unknown.json()["code"]) == (503, "unavailable")
    assert "retry-after" in unknown.headers
    for path, body in ((SIGN_IN, STAFF), ("/api/v1/auth/otp", {"phone": "13900000001"})):
        refused = await crowd.post(path, body)
        assert refused.status_code == 503, refused.text
    assert (await crowd.get("/api/v1/offers")).status_code == 200
    assert (await crowd.get(own, site.world.staff_token)).status_code == 200

    await redis.start()
    assert (await crowd.get(own, await a_session(crowd))).status_code == 200
    await site.close_books(crowd)


async def a_session(crowd: Crowd) -> str:
    """A member of staff signs in with a password."""
    answer = await crowd.post(SIGN_IN, STAFF)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


async def progress(crowd: Crowd, *, by: int = 20) -> None:
    """Return when residents have redeemed `by` more."""
    before = crowd.statuses[201]
    await until("residents redeem", lambda: crowd.statuses[201] >= before + by)
    await asyncio.sleep(0.2)
