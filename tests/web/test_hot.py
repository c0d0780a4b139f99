"""The hot path answers as the framework behind it would: everything is sent both ways and compared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import app
from marketplace.ids import new_id
from marketplace.settings import Settings
from tests.web.test_flow import Demo

PATH = "/api/v1/redemptions"
OFFER = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
async def ways(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Demo, httpx.AsyncClient]]:
    """The demonstration with the hot path in front, and a client of the same application without it."""
    await app.load_demonstration()
    hot = app.wired(Settings(home=tmp_path))
    monkeypatch.setattr(app.hot, "install", lambda *_, **__: None)
    plain = app.wired(Settings(home=tmp_path))
    assert (hot.asgi_handler.__module__, plain.asgi_handler.__module__) == ("web.hot", "web.kept")
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(hot), base_url="http://testserver") as client,
        httpx.AsyncClient(transport=httpx.ASGITransport(plain), base_url="http://testserver") as other,
    ):
        yield Demo(client, await app.credentials("http://testserver")), other


def told(answer: httpx.Response) -> tuple[Any, ...]:
    """What an answer says, without what is new in each."""
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in ("x-request-id", "content-length")
    }
    body = answer.json()
    body.pop("request_id", None)
    if answer.request.content == b"":
        del body["errors"]  # the framework looks for no JSON in an empty body, and names its own parameter
    return answer.status_code, headers, body


REQUESTS: dict[str, dict[str, Any]] = {
    "no token": {"headers": {}},
    "an empty token": {"headers": {"Authorization": "Bearer "}},
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


async def test_a_request_that_is_refused_is_refused_alike(ways: tuple[Demo, httpx.AsyncClient]) -> None:
    demo, plain = ways
    for name, request in REQUESTS.items():
        sent = as_sent(name, request, token=demo.residents[0])
        hot, cold = await demo.client.post(PATH, **sent), await plain.post(PATH, **sent)
        assert hot.status_code in (400, 401, 404), name
        assert told(hot) == told(cold), name


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


async def test_others_are_refused_alike(ways: tuple[Demo, httpx.AsyncClient]) -> None:
    demo, plain = ways
    for token in (demo.merchant["token"], demo.till, demo.operator):
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
        hot, cold = [
            await way.post(PATH, json={"offer_id": OFFER}, headers=headers) for way in (demo.client, plain)
        ]
        assert hot.json()["code"] == "forbidden"
        assert told(hot) == told(cold)


async def test_a_redemption_made_one_way_is_repeated_the_other(ways: tuple[Demo, httpx.AsyncClient]) -> None:
    demo, plain = ways
    offer, key = await demo.live_offer(stock_total=3), str(new_id())
    headers = {"Authorization": f"Bearer {demo.residents[0]}", "Idempotency-Key": key}

    hot = await demo.client.post(PATH, json={"offer_id": offer}, headers=headers)
    cold = await plain.post(PATH, json={"offer_id": offer}, headers=headers)
    reused = [await way.post(PATH, json={"offer_id": OFFER}, headers=headers) for way in (demo.client, plain)]
    limited = [
        await way.post(PATH, json={"offer_id": offer}, headers=headers | {"Idempotency-Key": str(new_id())})
        for way in (demo.client, plain)
    ]

    assert hot.status_code == 201
    assert told(hot) == told(cold)
    assert [told(answer) for answer in reused] == [told(reused[0])] * 2
    assert reused[0].json()["code"] == "idempotency_key_reused"
    assert [told(answer) for answer in limited] == [told(limited[0])] * 2
    assert limited[0].json()["code"] == "limit_reached"


async def test_a_body_in_pieces_is_put_together_and_one_that_breaks_off_has_no_effect(
    ways: tuple[Demo, httpx.AsyncClient],
) -> None:
    demo, _ = ways
    offer = await demo.live_offer()
    web = demo.client._transport.app  # type: ignore[attr-defined]
    scope = {
        "type": "http", "method": "POST", "path": PATH, "raw_path": PATH.encode(), "query_string": b"", "root_path": "",
        "scheme": "http", "server": ("testserver", 80), "client": ("127.0.0.1", 1), "http_version": "1.1",
        "headers": [(b"authorization", f"Bearer {demo.residents[0]}".encode()), (b"idempotency-key", b"pieces")],
    }  # fmt: skip
    body = b'{"offer_id":"%s"}' % offer.encode()
    pieces = [
        {"type": "http.request", "body": body[n : n + 9], "more_body": True} for n in range(0, len(body), 9)
    ]

    async def send_all(messages: list[dict[str, Any]]) -> list[Any]:
        left, answer = iter(messages), []

        async def receive() -> Any:
            return next(left)

        async def send(message: Any) -> None:
            answer.append(message)

        await web({**scope, "state": {}}, receive, send)
        return answer

    assert await send_all([*pieces[:2], {"type": "http.disconnect"}]) == []
    whole = await send_all([*pieces, {"type": "http.request", "body": b"", "more_body": False}])
    assert whole[0]["status"] == 201
    mine = await demo.call(demo.residents[0], "GET", PATH)
    assert len(mine.json()["items"]) == 1
