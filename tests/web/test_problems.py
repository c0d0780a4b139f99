"""Errors as callers see them: every code has words, and no input is answered by a 500."""

from __future__ import annotations

import ast
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from string import Formatter
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import httpx
import msgspec
import pytest
from babel.messages.pofile import read_po
from litestar import Litestar, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from redis.exceptions import ConnectionError as RedisConnectionError

from marketplace import errors
from marketplace.settings import Settings
from web.factory import create_web
from web.incoming import field_error
from web.locale import LANGUAGES, preferred_language, text
from web.logs import without_persons
from web.problems import STATUS, problem_of

ROOT = Path(__file__).parents[2]
BIGGEST = 2**63 - 1


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    amount_fen: Annotated[int, msgspec.Meta(ge=1, le=BIGGEST)]


class Order(msgspec.Struct, forbid_unknown_fields=True):
    amount_g: Annotated[int, msgspec.Meta(ge=1, le=BIGGEST)]
    name: str = ""
    inner: Inner | None = None
    rest: Any = None


RAISED: dict[str, Exception] = {
    "refused": errors.Refused("sold_out"),
    "used": errors.Refused("coupon_already_used", used_at="2026-11-24T04:00:00+00:00", store="江汉路店"),
    "gone": errors.NotFound("coupon_not_found"),
    "later": errors.Unavailable(what="database"),
    "limited": errors.Refused("rate_limited", retry_after=7),
    "bug": KeyError("secret detail"),
    "pool": TimeoutError(),
    "statement": asyncpg.QueryCanceledError("timeout"),
    "lock": asyncpg.LockNotAvailableError("lock"),
    "down": asyncpg.CannotConnectNowError("starting"),
    "full": asyncpg.TooManyConnectionsError("full"),
    "closed": asyncpg.InterfaceError("connection is closed"),
    "redis": RedisConnectionError("gone"),
    "range": asyncpg.DataError("value out of int64 range"),
    "nul": asyncpg.CharacterNotInRepertoireError("nul"),
    "deep": RecursionError(),
}


@post("/api/v1/orders")
async def order(data: JSONBody[Order]) -> dict[str, Any]:
    return {"amount_g": data.amount_g}


@get("/api/v1/orders/{number:uuid}")
async def orders(number: FromPath[UUID], limit: FromQuery[int] = 20) -> dict[str, Any]:
    return {"limit": limit, "number": number}


@get("/api/v1/raise/{name:str}")
async def raising(name: FromPath[str]) -> None:
    raise RAISED[name]


@get("/offers")
async def page() -> None:
    raise errors.NotFound


@pytest.fixture
def app() -> Litestar:
    return create_web(
        Settings(),
        handlers=[order, orders, raising, page],
        error_page=lambda _, words: Response(
            f"<h1>{words.title}</h1>", status_code=words.status, media_type="text/html"
        ),
    )


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


def raised_codes() -> Iterator[str]:
    """The key of every code that the source gives to an error or to a field of it, as a literal."""
    for package in ("marketplace", "merchants", "incentives", "web"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    yield from _codes_of(node)


def _codes_of(call: ast.Call) -> Iterator[str]:
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    if name in ("Refused", "NotFound") and call.args and isinstance(call.args[0], ast.Constant):
        yield f"problem.{call.args[0].value}.title"
        yield f"problem.{call.args[0].value}.detail"
    if name == "FieldError" and len(call.args) == 2 and isinstance(call.args[1], ast.Constant):
        yield f"field.{call.args[1].value}"
    for keyword in call.keywords:
        if keyword.arg in ("refusal", "refusal_expired") and isinstance(keyword.value, ast.Constant):
            yield f"problem.{keyword.value.value}.title"


API_CODES = [
    "insufficient_reductions", "sold_out", "budget_exhausted", "limit_reached", "offer_not_started",
    "offer_ended", "offer_not_live", "not_eligible", "coupon_already_used", "coupon_expired",
    "coupon_cancelled", "not_cancellable", "coupon_not_found", "wrong_store", "outside_hours",
    "minimum_bill_not_met", "reversal_window_closed", "consent_missing", "consent_revoked", "validation_failed",
    "unauthenticated", "forbidden", "not_found", "rate_limited", "unavailable", "idempotency_key_missing",
    "idempotency_key_reused", "idempotency_in_flight", "offer_not_in_state", "cash_not_available",
]  # fmt: skip


def test_every_code_has_words_in_every_language():
    promised = {f"problem.{code}.{part}" for code in (*API_CODES, *STATUS) for part in ("title", "detail")}
    wanted = {*raised_codes(), *promised}

    for language in LANGUAGES:
        assert {key for key in wanted if text(language, key) is None} == set(), language


def test_the_languages_have_the_same_texts():
    chinese, english = (messages(language) for language in ("zh_CN", "en"))
    assert chinese == english


def messages(locale: str) -> dict[object, set[str]]:
    """Every message id of a catalogue, with the facts that its texts name; an empty text is a fault."""
    path = ROOT / "web" / "locales" / locale / "LC_MESSAGES" / "chutan.po"
    with path.open("rb") as file:
        catalogue = read_po(file)
    found = {}
    for message in catalogue:
        if message.id:
            texts = message.string if isinstance(message.string, tuple) else (message.string,)
            assert all(texts), message.id
            found[message.id] = {name for one in texts for _, name, _, _ in Formatter().parse(one) if name}
    return found


@pytest.mark.parametrize(("count", "words"), [(1, "1 day after redeeming"), (30, "30 days after redeeming")])
def test_english_counts_in_its_own_plural(count, words):
    assert text("en", "page.fact.valid_days", {"days": count}) == words
    assert text("zh-CN", "page.fact.valid_days", {"days": count}) == f"兑换后 {count} 天内"


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("refused", 409, "sold_out"), ("gone", 404, "coupon_not_found"), ("later", 503, "unavailable"),
        ("limited", 429, "rate_limited"), ("bug", 500, "internal"), ("pool", 503, "unavailable"),
        ("statement", 503, "unavailable"), ("lock", 503, "unavailable"), ("down", 503, "unavailable"),
        ("full", 503, "unavailable"), ("closed", 503, "unavailable"), ("redis", 503, "unavailable"),
        ("range", 400, "validation_failed"), ("nul", 400, "validation_failed"), ("deep", 400, "validation_failed"),
    ],
)  # fmt: skip
async def test_a_failure_is_a_problem_document(client, name, status, code):
    answer = await client.get(f"/api/v1/raise/{name}")

    problem = answer.json()
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert problem.keys() >= {"type", "title", "status", "detail", "code", "request_id", "errors"}
    assert (problem["type"], problem["status"], problem["code"]) == (f"/problems/{code}", status, code)
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert "secret detail" not in answer.text
    assert ("retry-after" in answer.headers) == (status in (429, 503))


async def test_the_words_are_in_the_callers_language_and_name_the_facts(client):
    chinese = await client.get("/api/v1/raise/used", headers={"Accept-Language": "zh-CN,en;q=0.5"})
    english = await client.get("/api/v1/raise/used", headers={"Accept-Language": "en-GB"})

    assert "2026-11-24 12:00" in chinese.json()["detail"]
    assert "江汉路店" in chinese.json()["detail"]
    assert english.json()["title"] == "Coupon already used"
    assert english.json()["store"] == "江汉路店"


BAD_BODIES = [
    b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"amount_g":1,"name":"\xff"}', b'{"amount_g":0}', b'{"amount_g":-1}',
    b'{"amount_g":9223372036854775808}', b'{"amount_g":1e400}', b'{"amount_g":NaN}',
    '{"amount_g":"１"}'.encode(), b'{"amount_g":"1"}', b'{"amount_g":true}', b'{"amount_g":0.5}', b'{"amount_g":1.0}',
    b'{"amount_g":1' + b"0" * 5_000 + b"}", b'{"amount_g":1,"other":2}', b'{"amount_g":1,"name":"a\\u0000b"}',
    b'{"amount_g":1,"name":"a\0b"}', b'{"amount_g":1,"name":"\\ud800"}', b'{"amount_g":1,"rest":' + b"[" * 100_000,
    b'{"amount_g":1,"rest":' + b'{"a":' * 100_000, b'{"amount_g":1,"inner":{"amount_fen":0}}',
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
async def test_a_bad_body_is_400(client, body):
    answer = await client.post("/api/v1/orders", content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")


async def test_a_body_of_ten_megabytes_is_refused_unread(client):
    body = b'{"amount_g":1,"name":"' + b"x" * 10_000_000 + b'"}'

    answer = await client.post("/api/v1/orders", content=body)

    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert answer.json()["errors"][0]["code"] == "too_large"


async def test_an_escaped_backslash_before_u0000_is_no_nul(client):
    body = json.dumps({"amount_g": 1, "name": "\\u0000"})

    assert (await client.post("/api/v1/orders", content=body)).status_code == 201


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/orders/11111111-1111-7111-8111-111111111111?limit=x", 400),
        ("/api/v1/orders/11111111-1111-7111-8111-111111111111?limit=%00", 400),
        ("/api/v1/orders/11111111-1111-7111-8111-111111111111?limit=%ff", 400),
        ("/api/v1/orders/11111111-1111-7111-8111-111111111111?limit=1e400", 400),
        ("/api/v1/orders/11111111-1111-7111-8111-111111111111?limit=NaN", 400),
        ("/api/v1/orders/nonsense", 404), ("/api/v1/raise/%00", 400), ("/api/v1/nothing", 404), ("/%00", 404),
    ],
)  # fmt: skip
async def test_a_bad_path_or_query_is_a_problem(client, path, status):
    answer = await client.get(path)

    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")


async def test_the_wrong_method_is_405_and_says_which_are_right(client):
    answer = await client.put("/api/v1/orders")

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


async def test_a_wrong_field_is_named(client):
    answer = await client.post("/api/v1/orders", json={"amount_g": 1, "inner": {"amount_fen": 0}})

    assert [(e["field"], e["code"]) for e in answer.json()["errors"]] == [
        ("inner.amount_fen", "out_of_range")
    ]
    assert field_error("Object missing required field `a` - at `$.b[...]`") == ("b.a", "required")
    assert field_error("Object contains unknown field `x`") == ("x", "unknown_field")


async def test_a_page_fails_as_a_page_and_the_api_does_not(client):
    html = {"Accept": "text/html"}

    assert (await client.get("/offers", headers=html)).text == "<h1>未找到</h1>"
    assert (await client.get("/offers")).json()["code"] == "not_found"
    assert (await client.get("/api/v1/nothing", headers=html)).json()["code"] == "not_found"


async def test_every_answer_carries_the_security_headers(client):
    for path in ("/healthz", "/api/v1/nothing", "/schema"):
        answer = await client.get(path)
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "unsafe-inline" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_schema_is_openapi_31(client):
    schema = (await client.get("/schema")).json()

    assert schema["openapi"].startswith("3.1")
    assert "/api/v1/auth/otp" in schema["paths"]


@pytest.mark.parametrize(
    ("header", "language"),
    [(None, "zh-CN"), ("en", "en"), ("en;q=0.1, zh;q=0.9", "zh-CN"), ("fr", "zh-CN"), ("en;q=x", "zh-CN"),
     ("zh-CN;q=0.2,en-US;q=0.8", "en"), ("," * 5000, "zh-CN")],
)  # fmt: skip
def test_the_language_is_the_one_that_is_liked_best(header, language):
    assert preferred_language(header) == language


def test_the_log_masks_phones_and_secrets():
    event = without_persons(None, "", {"event": "to 13812345678", "password": "x", "id": "0138123456780"})
    assert event == {"event": "to 138****5678", "password": "***", "id": "0138123456780"}


def test_what_a_fault_is_called_does_not_depend_on_its_words():
    assert problem_of(ValueError("boom")).code == "internal"
