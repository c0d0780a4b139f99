"""The catalogue kept for those who are not signed in: quick, never another visitor's, never old once offers change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.di import Provide

from marketplace.errors import Unavailable
from marketplace.identity.stores import MemoryStore
from marketplace.identity.tokens import Principal, issue_token
from marketplace.ids import new_id
from marketplace.offers.eligibility import NoRules
from marketplace.registry import EmbeddedRegistry
from marketplace.settings import Settings
from merchants.staff import add_staff
from tests import builders
from tests.merchants.people import an_operator
from tests.web.test_auth import redis_url, served  # noqa: F401  (a fixture)
from tests.web.test_pages import Visitor, a_signed_in_member, a_signed_in_operator
from web import kept
from web.api import HANDLERS
from web.factory import create_web
from web.kept import KeptAnswers
from web.pages import error_page, page_handlers

API = "/api/v1/offers"


@pytest.fixture
def keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept does not expire while a test looks at it."""
    monkeypatch.setattr(kept, "KEPT_SECONDS", 30)
    monkeypatch.setattr(kept, "_GENERATION_SECONDS", 60)


def an_app(redis: str | None = None, **more: Any) -> Litestar:
    dependencies = {
        "eligibility": Provide(NoRules, sync_to_thread=False),
        "registry": Provide(EmbeddedRegistry, sync_to_thread=False),
    }
    return create_web(
        Settings(redis_url=redis), handlers=[*HANDLERS, *page_handlers()], dependencies=dependencies,
        error_page=error_page, **more,
    )  # fmt: skip


def a_visitor(app: Litestar) -> Visitor:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    return Visitor(
        httpx.AsyncClient(transport=transport, base_url="http://testserver", headers={"accept": "text/html"})
    )


@pytest.fixture(params=["memory", "redis"])
async def app(request: pytest.FixtureRequest, database: str, keeping: None) -> AsyncIterator[Litestar]:
    app = an_app(request.getfixturevalue("redis_url") if request.param == "redis" else None)
    async with served(app):
        if request.param == "redis":
            await app.state.store._redis.flushall()
        yield app


@pytest.fixture
async def memory_app(database: str, keeping: None) -> AsyncIterator[Litestar]:
    app = an_app()
    async with served(app):
        yield app


async def seen(app: Litestar) -> tuple[list[str], int]:
    """The offers that somebody who is not signed in finds: their titles in the API, and how many cards the mall has."""
    visitor = a_visitor(app)
    titles = [offer["title"] for offer in (await visitor.client.get(API)).json()["items"]]
    cards = (await visitor.open("/")).count('class="card ')
    assert (await visitor.client.get("/", headers={"hx-request": "true"})).text.count('class="card ') == cards
    return titles, cards


async def test_an_answer_is_kept_for_those_who_are_not_signed_in_and_made_anew_for_those_who_are(app):
    offer = await builders.an_offer(title="好礼")
    resident, staff = await builders.a_resident(), new_id()
    assert await seen(app) == (["好礼"], 1)
    await builders.edited(offer, title="大礼")  # past the web, which therefore does not know
    assert await seen(app) == (["好礼"], 1)
    for role, who in (("resident", resident), ("staff", staff)):
        token = await issue_token(Principal(role, str(who)))
        client = a_visitor(app).client
        answer = await client.get(API, headers={"authorization": f"Bearer {token}"})
        assert [o["title"] for o in answer.json()["items"]] == ["大礼"]
        client.cookies.set("chutan_session", token)
        assert "大礼" in (await client.get("/")).text
    assert await seen(app) == (["好礼"], 1)


async def test_every_change_over_the_api_is_seen_at_once(app):
    publisher = await builders.a_publisher()
    await builders.a_store(publisher)
    staff = await add_staff(
        publisher=publisher, login="dz", name="店长", password="correct horse", role="owner"
    )
    client = a_visitor(app).client
    tokens = {
        "publisher": await issue_token(Principal("staff", str(staff.id))),
        "operator": await issue_token(Principal("operator", str((await an_operator()).id))),
    }

    async def call(who: str, method: str, path: str, json: Any = None) -> Any:
        headers = {"authorization": f"Bearer {tokens[who]}"}
        answer = await client.request(method, f"/api/v1/{who}/offers{path}", json=json, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    terms = {"kind": "code", "title": "券码", "price_g": 5, "benefit": {"value_fen": 1}}
    offer = (await call("publisher", "POST", "", terms))["id"]
    await call("publisher", "POST", f"/{offer}/codes", {"codes": ["AA"]})
    await call("publisher", "POST", f"/{offer}/submit")
    assert await seen(app) == ([], 0)
    await call("operator", "POST", f"/{offer}/approve")
    assert await seen(app) == (["券码"], 1)
    await call("publisher", "PATCH", f"/{offer}", {"title": "新券码"})
    assert await seen(app) == (["新券码"], 1)
    await call("publisher", "POST", f"/{offer}/codes", {"codes": ["BB"]})
    assert (await client.get(API)).json()["items"][0]["stock_left"] == 2
    await call("publisher", "POST", f"/{offer}/pause")
    assert await seen(app) == ([], 0)
    await call("publisher", "POST", f"/{offer}/resume")
    assert await seen(app) == (["新券码"], 1)
    await call("publisher", "POST", f"/{offer}/end")
    assert await seen(app) == ([], 0)


async def test_every_change_on_the_pages_is_seen_at_once(app):
    publisher = await builders.a_publisher()
    await builders.a_store(publisher)
    owner, operator = a_visitor(app), a_visitor(app)
    await a_signed_in_member(owner, publisher)
    await a_signed_in_operator(operator)
    await owner.open("/publisher/offers/new?kind=donation")
    typed = {"title": "湿地", "price_g": "5", "benefit__cause": "湿地", "benefit__value_fen": "0"}
    await owner.send("/publisher/offers/new", then="submit", **typed)
    assert await seen(app) == ([], 0)
    page = await operator.open("/operator/approvals")
    offer = page.split("/operator/approvals/")[1][:36]
    await operator.send(f"/operator/approvals/{offer}/approve")
    assert await seen(app) == (["湿地"], 1)
    await owner.open(f"/publisher/offers/{offer}")
    await owner.send(f"/publisher/offers/{offer}", then="save", title="芦苇")
    assert await seen(app) == (["芦苇"], 1)
    await owner.open("/publisher/offers")
    await owner.send(f"/publisher/offers/{offer}/end")
    assert await seen(app) == ([], 0)


async def test_an_answer_is_anothers_only_where_the_same_was_asked(memory_app):
    await builders.an_offer(title="好礼", kind="gift")
    await builders.an_offer(title="船票", kind="ticket")
    visitor = a_visitor(memory_app)
    assert "好礼" not in await visitor.open("/?kind=ticket")
    assert "好礼" in await visitor.open("/?kind=gift")
    assert "好礼" not in await visitor.open("/?kind=gift&city=420500")
    assert "好礼" not in await visitor.open("/?q=船")
    assert 'lang="zh-CN"' in await visitor.open("/?kind=gift")
    english = await visitor.client.get("/?kind=gift", headers={"accept-language": "en"})
    assert (english.headers["content-language"], 'lang="en"' in english.text) == ("en", True)
    part = await visitor.client.get("/?kind=gift", headers={"hx-request": "true"})
    assert part.text.startswith("<section")
    assert (await visitor.client.get(f"{API}?limit=1")).json()["next_cursor"] is not None
    assert len((await visitor.client.get(f"{API}?limit=2")).json()["items"]) == 2
    assert (await visitor.client.get(f"{API}?limit=0")).status_code == 400
    await visitor.open("/?kind=nothing", status=400)
    assert "notice--bad" in await visitor.open("/?refused=sold_out")
    assert "notice--bad" not in await visitor.open("/")


async def test_nothing_of_a_visitor_is_kept(memory_app):
    await builders.an_offer()
    first = a_visitor(memory_app).client
    await first.get("/sign-in")  # gives the visitor a token for forms
    for client in (first, a_visitor(memory_app).client):
        answer = await client.get("/", headers={"accept-encoding": "identity"})
        assert "set-cookie" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
    everything = b"".join(value for _, value in memory_app.state.store._kept.values())
    assert everything.count(b"<!doctype html>") == 1
    assert first.cookies["chutan_csrf"].encode() not in everything
    assert b"_csrf_token" not in everything


async def test_an_answer_is_kept_as_it_goes_out(memory_app):
    await builders.an_offer(title="好礼")
    client = a_visitor(memory_app).client
    for encoding in ("br", "gzip", "identity"):
        made, kept_one = [await client.get("/", headers={"accept-encoding": encoding}) for _ in range(2)]
        assert "好礼" in kept_one.text
        assert kept_one.headers.get("content-encoding", "identity") == encoding
        same = [{**one.headers, "x-request-id": ""} for one in (made, kept_one)]
        assert (same[0], made.content) == (same[1], kept_one.content)
        assert made.headers["x-request-id"] != kept_one.headers["x-request-id"]


async def test_what_few_ask_alike_is_not_kept(memory_app):
    await builders.an_offer(title="好礼")
    client = a_visitor(memory_app).client
    await client.get("/?kind=gift")
    before = len(memory_app.state.store._kept)
    for query in (
        "q=好",
        "cursor=x",
        "kind=GIFT",
        "city=42",
        "limit=0x1",
        "publisher=" + str(new_id()),
        "a=1",
    ):
        await client.get(f"/?{query}")
        await client.get(f"{API}?{query}")
    assert len(memory_app.state.store._kept) == before


async def test_what_is_kept_is_not_kept_for_long(memory_app, monkeypatch):
    monkeypatch.setattr(kept, "KEPT_SECONDS", 0.05)
    offer = await builders.an_offer(title="好礼")
    assert await seen(memory_app) == (["好礼"], 1)
    await builders.edited(offer, title="大礼")
    await asyncio.sleep(0.1)
    assert await seen(memory_app) == (["大礼"], 1)


class Broken(MemoryStore):
    """A store that cannot be reached."""

    async def get(self, key: str) -> bytes | None:
        raise Unavailable(what="redis")

    async def set(self, key: str, value: bytes, *, ttl_seconds: float) -> None:
        raise Unavailable(what="redis")


class Silent(MemoryStore):
    """A store that takes what it is asked and never answers."""

    async def get(self, key: str) -> bytes | None:
        await asyncio.Event().wait()
        return None

    async def set(self, key: str, value: bytes, *, ttl_seconds: float) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("store", [Broken, Silent])
async def test_a_store_that_does_not_answer_costs_no_answer(database, store):
    app = an_app(store=store())
    offer = await builders.an_offer(title="好礼")
    async with served(app):
        assert await seen(app) == (["好礼"], 1)
        await builders.edited(offer, title="大礼")
        assert await seen(app) == (["大礼"], 1)
        await app.state.kept.forget()


async def test_who_waits_too_long_for_an_answer_in_the_making_is_refused_in_words(memory_app, monkeypatch):
    async def stuck(*_: Any) -> bytes:
        raise Unavailable(what="catalogue")

    monkeypatch.setattr(memory_app.state.kept, "answer", stuck)
    client = a_visitor(memory_app).client
    page, document = await client.get("/"), await client.get(API, headers={"accept": "application/json"})
    assert (page.status_code, page.headers["retry-after"], "text/html" in page.headers["content-type"]) == (
        503,
        "1",
        True,
    )
    assert (document.status_code, document.json()["code"]) == (503, "unavailable")
    assert document.headers["x-request-id"]


async def test_of_many_who_ask_at_once_one_makes_the_answer():
    answers, made = KeptAnswers(MemoryStore()), 0

    async def make() -> bytes:
        nonlocal made
        made += 1
        await asyncio.sleep(0.01)
        return b"offers"

    assert set(await asyncio.gather(*(answers.answer("all", make) for _ in range(20)))) == {b"offers"}
    assert made == 1


async def test_one_that_cannot_be_made_is_tried_again_by_the_next():
    answers = KeptAnswers(MemoryStore())

    async def fails() -> bytes:
        await asyncio.sleep(0.01)
        raise Unavailable(what="database")

    async def make() -> bytes:
        return b"offers"

    first, second = await asyncio.gather(
        answers.answer("all", fails), answers.answer("all", make), return_exceptions=True
    )
    assert (type(first), second) == (Unavailable, b"offers")


async def test_what_was_being_made_while_offers_changed_is_found_by_nobody_later():
    answers = KeptAnswers(MemoryStore())

    async def old() -> bytes:
        await answers.forget()
        return b"old"

    async def new() -> bytes:
        return b"new"

    assert await answers.answer("all", old) == b"old"
    assert await answers.answer("all", new) == b"new"


async def test_who_waits_for_a_stuck_one_is_refused_with_it_and_not_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept, "_TURN_SECONDS", 0.1)
    answers, stuck = KeptAnswers(MemoryStore()), asyncio.Event()
    made: list[bytes] = []

    async def make() -> bytes:
        made.append(b"")
        await stuck.wait()
        raise OSError

    asked = [asyncio.create_task(answers.answer("the same", make)) for _ in range(50)]
    await asyncio.wait(asked[1:])
    stuck.set()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [OSError] + [Unavailable] * 49
    assert len(made) == 1
