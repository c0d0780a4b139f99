"""The hot path answers as the framework behind it would: everything is sent both ways and compared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import uvicorn

import app
from incentives.eligibility import RuleEligibility
from marketplace import db
from marketplace.ids import new_id
from marketplace.settings import Settings
from tests.web.test_flow import Demo
from web.hot import HotProtocol, served

PATH = "/api/v1/redemptions"
OFFER = "00000000-0000-7000-8000-000000000000"


class Behind:
    """The application behind the hot path, which counts what came through to it."""

    def __init__(self, web: Any) -> None:
        self.state, self.reached, self._web = web.state, 0, web

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached += scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", PATH)
        await self._web(scope, receive, send)


class Ways(NamedTuple):
    """The demonstration behind a server with the hot path, what came through it, and the framework alone."""

    demo: Demo
    behind: Behind
    plain: httpx.AsyncClient
    port: int


@pytest.fixture
async def ways(database: str, tmp_path: Path) -> AsyncIterator[Ways]:
    await app.load_demonstration()
    web = app.wired(Settings(home=tmp_path))
    behind: Any = Behind(web)
    asgi: Any = served(behind, eligibility=RuleEligibility())
    server = uvicorn.Server(
        uvicorn.Config(asgi, http=HotProtocol, host="127.0.0.1", port=0, log_config=None, server_header=False)
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  (uvicorn tells nobody)
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
        httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://testserver") as plain,
    ):
        yield Ways(Demo(client, await app.credentials("http://testserver")), behind, plain, port)
    server.should_exit = True
    await serving


def told(answer: httpx.Response) -> tuple[Any, ...]:
    """What an answer says, without what is new in each."""
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in ("x-request-id", "content-length", "date")
    }
    body = answer.json()
    body.pop("request_id", None)
    if answer.request.content == b"":
        del body["errors"]  # the framework looks for no JSON in an empty body, and names its own parameter
    return answer.status_code, headers, body


REQUESTS: dict[str, dict[str, Any]] = {
    "no token": {"headers": {}},
    "an empty token": {"headers": {"Authorization": "Bearer"}},
    "an unknown token": {"headers": {"Authorization": "Bearer ct_nobody"}},
    "another scheme": {"headers": {"Authorization": "Basic abc"}},
    "a token that is no ASCII": {"headers": {"Authorization": b"Bearer ct_\xe4\xb8\xad"}},
    "no key": {"key": None},
    "a key with a space": {"key": "a b"},
    "a key that is too long": {"key": "k" * 256},
    "two keys": {"keys": ["one", "two"]},
    "no body": {"content": b""},
    "no JSON": {"content": b"{"},
    "an array": {"content": b"[]"},
    "an unknown field": {"content": b'{"offer_id":"%s","price_g":1}' % OFFER.encode()},
    "no offer": {"content": b"{}"},
    "an offer that is no id": {"content": '{"offer_id":"热干面"}'.encode()},
    "a number": {"content": b'{"offer_id":1e400}'},
    "a NUL": {"content": b'{"offer_id":"\\u0000"}'},
    "no UTF-8": {"content": b'{"offer_id":"\xff"}'},
    "deep nesting": {"content": b"[" * 100_000},
    "a body of two megabytes": {"content": b'{"offer_id":"%s"}' % (b"a" * 2_000_000)},
    "an offer that is not there": {"content": b'{"offer_id":"%s"}' % OFFER.encode()},
    "English": {"content": b"{}", "headers": {"Accept-Language": "en"}},
}


UNUSUAL = {
    "no token",
    "no key",
    "two keys",
    "a body of two megabytes",
    "deep nesting",
}  # left to the framework


async def test_a_request_that_is_refused_is_refused_alike(ways: Ways) -> None:
    for name, request in REQUESTS.items():
        sent, before = as_sent(name, request, token=ways.demo.residents[0]), ways.behind.reached
        hot, cold = await ways.demo.client.post(PATH, **sent), await ways.plain.post(PATH, **sent)
        assert hot.status_code in (400, 401, 404), name
        assert told(hot) == told(cold), name
        assert ways.behind.reached - before == (name in UNUSUAL), name


def as_sent(name: str, request: dict[str, Any], *, token: str) -> dict[str, Any]:
    request = dict(request)
    keys = request.pop("keys", [request.pop("key", "k")])
    headers: list[tuple[str, Any]] = [("Content-Type", "application/json")]
    headers += [("Idempotency-Key", key) for key in keys if key is not None]
    given = request.pop("headers", {})
    if "Authorization" not in given and name != "no token":
        headers.append(("Authorization", f"Bearer {token}"))
    return {
        "content": b'{"offer_id":"%s"}' % OFFER.encode(),
        **request,
        "headers": [*headers, *given.items()],
    }


async def test_others_are_refused_alike(ways: Ways) -> None:
    for token in (ways.demo.merchant["token"], ways.demo.till, ways.demo.operator):
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
        hot, cold = [
            await way.post(PATH, json={"offer_id": OFFER}, headers=headers)
            for way in (ways.demo.client, ways.plain)
        ]
        assert hot.json()["code"] == "forbidden"
        assert told(hot) == told(cold)
    assert ways.behind.reached == 0


async def test_a_redemption_made_one_way_is_repeated_the_other(ways: Ways) -> None:
    offer, key = await ways.demo.live_offer(stock_total=3), str(new_id())
    headers = {"Authorization": f"Bearer {ways.demo.residents[0]}", "Idempotency-Key": key}
    both = (ways.demo.client, ways.plain)

    hot, cold = [await way.post(PATH, json={"offer_id": offer}, headers=headers) for way in both]
    reused = [await way.post(PATH, json={"offer_id": OFFER}, headers=headers) for way in both]
    another = headers | {"Idempotency-Key": str(new_id())}
    limited = [await way.post(PATH, json={"offer_id": offer}, headers=another) for way in both]

    assert hot.status_code == 201
    assert told(hot) == told(cold)
    assert [told(answer) for answer in reused] == [told(reused[0])] * 2
    assert reused[0].json()["code"] == "idempotency_key_reused"
    assert [told(answer) for answer in limited] == [told(limited[0])] * 2
    assert limited[0].json()["code"] == "limit_reached"
    assert ways.behind.reached == 0


async def test_a_body_in_pieces_is_put_together_and_one_that_breaks_off_has_no_effect(ways: Ways) -> None:
    offer = await ways.demo.live_offer()
    call = as_bytes(ways.demo.residents[0], offer, key="pieces")

    _, writer = await asyncio.open_connection("127.0.0.1", ways.port)
    writer.write(call[:-20])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    reader, writer = await asyncio.open_connection("127.0.0.1", ways.port)
    for n in range(0, len(call), 40):
        writer.write(call[n : n + 40])
        await writer.drain()
        await asyncio.sleep(0)
    status, _ = await one_answer(reader)
    writer.close()

    assert (status, ways.behind.reached) == (b"HTTP/1.1 201 Created", 0)
    mine = await ways.demo.call(ways.demo.residents[0], "GET", PATH)
    assert len(mine.json()["items"]) == 1


async def test_calls_that_are_sent_before_the_answer_are_answered_in_order(ways: Ways) -> None:
    offer, resident = await ways.demo.live_offer(stock_total=2), ways.demo.residents[0]
    health = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", ways.port)

    writer.write(
        as_bytes(resident, offer, key="one") + health + as_bytes(resident, offer, key="one") + health
    )
    answers = [await one_answer(reader) for _ in range(4)]
    writer.write(as_bytes(resident, offer, key="one"))
    answers.append(await one_answer(reader))
    writer.close()

    assert [status[9:12] for status, _ in answers] == [b"201", b"200", b"201", b"200", b"201"]
    assert answers[0][1] == answers[2][1] == answers[4][1]
    assert ways.behind.reached == 1  # the one that came while another was under way


async def test_a_client_that_hangs_up_has_its_redemption_and_finds_it_by_its_key(ways: Ways) -> None:
    offer, resident = await ways.demo.live_offer(), ways.demo.residents[0]
    _, writer = await asyncio.open_connection("127.0.0.1", ways.port)

    async with db.transaction():  # holds the redemption up until the client has gone
        await db.execute("LOCK TABLE ledger_account IN EXCLUSIVE MODE")
        writer.write(as_bytes(resident, offer, key="gone"))
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()
        await writer.wait_closed()

    again = await ways.demo.redeem(resident, offer, key="gone")
    assert again.status_code == 201
    mine = await ways.demo.call(resident, "GET", PATH)
    assert [item["id"] for item in mine.json()["items"]] == [again.json()["id"]]


def as_bytes(token: str, offer: str, *, key: str) -> bytes:
    body = f'{{"offer_id":"{offer}"}}'
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def one_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The status line and the body of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length: ")[1].split(b"\r")[0])
    return head.split(b"\r")[0].replace(b"http", b"HTTP").replace(
        b"created", b"Created"
    ), await reader.readexactly(length)
