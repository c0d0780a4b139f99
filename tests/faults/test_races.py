"""Many at once over HTTP, clients that hang up in the middle, and records that come twice."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx
import pytest

from marketplace import clock
from tests.faults import books
from tests.faults.client import Crowd
from tests.faults.conftest import Site
from tests.faults.machines import Server, connected, until

pytestmark = pytest.mark.whole


@pytest.mark.parametrize("workers", [1, 2])
async def test_200_redemptions_at_once_with_grams_for_one(site: Site, workers: int) -> None:
    crowd = await served(site, workers)
    intents = [crowd.redeeming(0, site.world.everything) for _ in range(200)]

    await asyncio.gather(*(crowd.ask(intent) for intent in intents))

    assert outcomes(crowd) == {201: 1, "insufficient_reductions": 199}
    await site.close_books(crowd)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_key_sent_fifty_times_at_once_has_one_effect(site: Site, workers: int) -> None:
    crowd = await served(site, workers)
    intent = crowd.redeeming(0, site.world.offers[0], key="the-one")

    await asyncio.gather(*(crowd.send(intent) for _ in range(50)))

    told = [body["code"] for status, body in intent.answers if status == 409]
    assert set(told) <= {"idempotency_in_flight"}
    assert [status for status, _ in intent.answers if status != 409] == [201] * (50 - len(told))
    await site.close_books(crowd)


async def test_a_key_answers_the_same_after_a_month_and_never_another_request(site: Site) -> None:
    server = await site.serve()
    crowd = site.crowd(server)
    first = crowd.redeeming(0, site.world.offers[0], key="kept")
    await crowd.ask(first)
    other = crowd.intend("redeem", first.path, first.token, {"offer_id": site.world.dated.id}, key="other")
    headers = {"Authorization": f"Bearer {first.token}", "Idempotency-Key": "kept"}

    async def reused() -> tuple[int, str]:
        async with httpx.AsyncClient(base_url=server.base_url, trust_env=False) as client:
            answer = await client.post(other.path, json=other.body, headers=headers)
            return answer.status_code, answer.json()["code"]

    assert await reused() == (422, "idempotency_key_reused")
    await server.stop()
    await server.start(shift="P31D")

    await crowd.send(first)
    assert await reused() == (422, "idempotency_key_reused")
    assert [status for status, _ in first.answers] == [201, 201]
    await site.close_books(crowd)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_hundred_residents_go_for_the_last_unit(site: Site, workers: int) -> None:
    crowd = await served(site, workers)
    intents = [crowd.redeeming(n, site.world.last_unit) for n in range(100)]

    await asyncio.gather(*(crowd.ask(intent) for intent in intents))

    assert outcomes(crowd) == {201: 1, "sold_out": 99}
    held = [(await crowd.get("/api/v1/me/wallet", site.world.tokens[n])).json()["held_g"] for n in range(100)]
    assert Counter(held) == {0: 99, site.world.last_unit.price_g: 1}
    await site.close_books(crowd)


# ------------------------------------------------------------------ clients that hang up
async def test_a_client_that_hangs_up_leaves_all_or_nothing_and_no_connection(site: Site) -> None:
    server = await site.serve()
    crowd = site.crowd(server)
    coupons = [await crowd.ask(crowd.redeeming(n, site.world.offers[0])) for n in range(20)]
    intents = [crowd.redeeming(n, site.world.offers[n % 5]) for n in range(40)]
    intents += [crowd.cancelling(n, coupons[n][1]["id"]) for n in range(10)]
    intents += [crowd.verifying(c[1]["coupon"]["code"], c[1]["id"]) for c in coupons[10:]]

    for number, intent in enumerate(intents):
        whole = as_sent(intent)
        cut = (len(whole), len(whole) - 3, len(whole) // 2, 20)[number % 4]
        hang_up(server, whole[:cut], rudely=number % 3 == 0)
        intent.unanswered += 1
    await until("nothing is under way", lambda: idle(site))

    assert await crowd.settle_doubts() == len(intents)
    assert {intent.final[0] for intent in intents if intent.final} == {200, 201}
    async with connected(site.url) as connection:
        sessions = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'chutan' AND datname = current_database()"
        )
    assert sessions <= 10
    await site.close_books(crowd)


def as_sent(intent: Any) -> bytes:
    request = httpx.Request(
        "POST", f"http://chutan{intent.path}", json=intent.body,
        headers={"Authorization": f"Bearer {intent.token}", "Idempotency-Key": intent.key},
    )  # fmt: skip
    head = b"".join(b"%s: %s\r\n" % header for header in request.headers.raw)
    return b"POST %s HTTP/1.1\r\n%s\r\n%s" % (intent.path.encode(), head, request.content)


def hang_up(server: Server, sent: bytes, *, rudely: bool) -> None:
    """Send so much of a request and be gone, with a RST if `rudely`."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as line:
        if rudely:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.sendall(sent)


async def idle(site: Site) -> bool:
    async with connected(site.url) as connection:
        busy = await connection.fetchval(
            """SELECT count(*) FROM pg_stat_activity
               WHERE application_name = 'chutan' AND datname = current_database() AND state <> 'idle'"""
        )
    return bool(busy == 0)


# ------------------------------------------------------------------ records that come twice
async def test_an_activity_that_comes_again_overlapping_or_from_two_channels_is_credited_once(
    site: Site,
) -> None:
    async with connected(site.url) as connection:
        await connection.execute(
            """INSERT INTO channel (key, name, methodology, created_at)
               VALUES ('bike-other', '另一家单车', 'bike-wuhan', now());
               INSERT INTO channel_link (id, channel, subject, resident, linked_at)
               SELECT gen_random_uuid(), 'bike-other', subject, resident, now() FROM channel_link
               WHERE channel = 'bike-share' AND subject = 'demo-rider-00'"""
        )
    server = await site.serve()
    resident = site.world.demonstration["residents"][0]
    trips = [
        ("bike-share", "new-1", 0), ("bike-share", "new-1", 0), ("bike-share", "new-2", 0), ("bike-share", "new-3", 10),
        ("bike-other", "new-1", 0), ("bike-other", "new-9", 5),
    ]  # fmt: skip
    async with httpx.AsyncClient(base_url=server.base_url, trust_env=False, timeout=60) as client:
        before = await earned_g(client, resident)
        tokens = await channel_tokens(client, site)
        answers = await asyncio.gather(*(
            client.post(
                f"/api/v1/channels/{channel}/activities", json={"records": [a_trip(trip, minutes)]},
                headers={"Authorization": f"Bearer {tokens[channel]}", "Idempotency-Key": f"trips-{number}"},
            )
            for number, (channel, trip, minutes) in enumerate(trips)
        ))  # fmt: skip
        assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
        results = [answer.json()["results"][0] for answer in answers]
        credited = [result["credited_g"] for result in results if result["credited_g"]]
        assert len(credited) == 1, results
        assert await earned_g(client, resident) == before + credited[0]
    assert not await books.audited(home=site.home, url=site.url)


def a_trip(trip: str, minutes_later: int) -> dict[str, Any]:
    start = (clock.now() - timedelta(days=20)).replace(hour=4, minute=0) + timedelta(minutes=minutes_later)
    return {
        "trip_id": trip, "rider_id": "demo-rider-00", "bike_id": "b", "started_at": start.isoformat(),
        "ended_at": (start + timedelta(minutes=20)).isoformat(), "track_distance_m": 3000,
    }  # fmt: skip


async def earned_g(client: httpx.AsyncClient, resident: dict[str, str]) -> int:
    wallet = await client.get("/api/v1/me/wallet", headers={"Authorization": f"Bearer {resident['token']}"})
    return int(wallet.json()["earned_g"])


async def channel_tokens(client: httpx.AsyncClient, site: Site) -> dict[str, str]:
    """A token of each bike channel: the other one gets the credentials of the first for its own key."""
    credentials = next(c for c in site.world.demonstration["channels"] if c["key"] == "bike-share")
    async with connected(site.url) as connection:
        await connection.execute(
            """INSERT INTO oauth_client (client_id, role, subject, secret_hash, created_at)
               SELECT 'other', role, 'bike-other', secret_hash, now() FROM oauth_client WHERE client_id = $1""",
            credentials["client_id"],
        )
    tokens = {}
    for key, client_id in (("bike-share", credentials["client_id"]), ("bike-other", "other")):
        granted = await client.post("/oauth/token", data={
            "grant_type": "client_credentials", "client_id": client_id, "client_secret": credentials["client_secret"],
        })  # fmt: skip
        tokens[key] = granted.json()["access_token"]
    return tokens


# ------------------------------------------------------------------ shared
async def served(site: Site, workers: int) -> Crowd:
    redis_url = (await site.redis()).url if workers > 1 else ""
    server = await site.serve(workers=workers, redis_url=redis_url)
    return site.crowd(server)


def outcomes(crowd: Crowd) -> Counter[int | str]:
    finals = [intent.final for intent in crowd.intents if intent.final is not None]
    return Counter(status if status < 300 else body["code"] for status, body in finals)
