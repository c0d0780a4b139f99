"""Webhooks and API clients over HTTP: the calls, the scopes, the forms."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.di import Provide

from marketplace import db
from marketplace.offers.eligibility import NoRules
from marketplace.registry import EmbeddedRegistry
from marketplace.settings import Settings
from merchants import webhooks
from merchants.api_clients import SCOPES
from tests import builders
from tests.merchants.webhooks.receiver import receiving, sent
from tests.web.test_auth import served
from tests.web.test_pages import Visitor, a_signed_in_member, anyone  # noqa: F401  (a fixture)
from web.api import HANDLERS
from web.factory import create_web
from web.pages import error_page, page_handlers

WEBHOOKS = "/api/v1/publisher/webhooks"
URL = "https://shop.example.com/hook"


@pytest.fixture
async def app(database: str) -> AsyncIterator[Litestar]:
    dependencies = {
        "eligibility": Provide(NoRules, sync_to_thread=False),
        "registry": Provide(EmbeddedRegistry, sync_to_thread=False),
    }
    app = create_web(
        Settings(), handlers=[*HANDLERS, *page_handlers()], dependencies=dependencies, error_page=error_page
    )
    async with served(app):
        yield app


@pytest.fixture
async def owner(anyone, database: str) -> Visitor:  # noqa: F811
    visitor: Visitor = anyone()
    await a_signed_in_member(visitor, await builders.a_publisher(stores=["光谷店"]))
    return visitor


class Program:
    """A publisher's own program, with nothing but its credentials."""

    def __init__(self, client: httpx.AsyncClient, client_id: str, secret: str) -> None:
        self.client, self.client_id, self.secret, self.token = client, client_id, secret, ""

    async def sign_in(self, **more: str) -> httpx.Response:
        answer = await self.client.post(
            "/oauth/token",
            data={"grant_type": "client_credentials", **more},
            auth=(self.client_id, self.secret),
        )
        self.token = answer.json().get("access_token", "")
        return answer

    async def call(self, method: str, path: str, json: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        return await self.client.request(method, path, headers=headers, json=json)


async def a_program(owner: Visitor, *scopes: str) -> Program:
    """Made in the console, which shows its secret once."""
    await owner.open("/publisher/clients")
    page = await owner.send("/publisher/clients", name="会员系统", scopes=list(scopes))
    client_id, secret = re.findall(r"<dd><code[^>]*>([^<]+)</code>", page)[:2]
    assert secret not in await owner.open("/publisher/clients")
    return Program(owner.client, client_id, secret)


# ------------------------------------------------------------------ the calls
async def test_a_program_sets_a_webhook_up_and_looks_after_it(owner):
    program = await a_program(owner, "webhooks")
    assert (await program.sign_in()).json()["scope"] == "webhooks"
    async with receiving() as receiver:
        made = await program.call("POST", WEBHOOKS, {"url": receiver.url, "events": ["redemption.created"]})
        assert (made.status_code, made.json()["secret"][:6]) == (201, "whsec_")
        place = f"{WEBHOOKS}/{made.json()['id']}"
        assert "secret" not in (await program.call("GET", place)).json()
        tested = await program.call("POST", f"{place}/test")
        assert tested.status_code == 202
        await sent()
    [message] = (await program.call("GET", f"{place}/deliveries?state=delivered")).json()["items"]
    assert (message["id"], message["type"]) == (tested.json()["delivery_id"], "webhook.test")
    assert message["message_id"] == receiver.got[0].id
    details = (await program.call("GET", f"{place}/deliveries/{message['id']}")).json()
    assert (details["body"], details["attempts"][0]["status"]) == (receiver.got[0].body, 204)
    again = await program.call("POST", f"{place}/deliveries/{message['id']}/replay")
    assert again.status_code == 202
    times = {"since": "2020-01-01T00:00:00Z", "until": "2020-01-02T00:00:00Z"}
    refused = (await program.call("POST", f"{place}/replay", times)).json()
    assert refused["errors"][0]["field"] == "since"
    assert (await program.call("POST", f"{place}/rotate")).json()["secret"] != made.json()["secret"]
    off = await program.call("PATCH", place, {"enabled": False, "events": ["pool.low"]})
    assert (off.json()["enabled"], off.json()["events"]) == (False, ["pool.low"])
    assert (await program.call("POST", f"{place}/test")).json()["code"] == "webhook_disabled"
    assert (await program.call("DELETE", place)).status_code == 204
    assert (await program.call("GET", place)).status_code == 404


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, {"url", "events"}),
        ({"url": "http://10.0.0.1/", "events": []}, {"url", "events"}),
        ({"url": URL, "events": ["redemption.created", "x"]}, {"events"}),
        ({"url": URL, "events": ["pool.low"], "description": "a\nb"}, {"description"}),
        ({"url": URL, "events": ["pool.low"], "secret": "mine"}, {"secret"}),
        ({"url": 7, "events": ["pool.low"]}, {"url"}),
    ],
)
async def test_bad_input_is_a_problem_of_its_field(owner, given, fields):
    program = await a_program(owner, "webhooks")
    await program.sign_in()
    answer = await program.call("POST", WEBHOOKS, given)
    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} <= fields | {""}
    assert answer.json()["errors"]


# ------------------------------------------------------------------ scopes
async def test_a_client_does_what_its_scopes_say_and_nothing_else(owner):
    program = await a_program(owner, "offers:read")
    await program.sign_in()
    assert (await program.call("GET", "/api/v1/publisher/offers")).status_code == 200
    new = {"kind": "gift", "title": "x"}
    for method, path, body in (
        ("POST", "/api/v1/publisher/offers", new),
        ("GET", WEBHOOKS, None),
        ("GET", "/api/v1/publisher/members", None),
        ("GET", "/api/v1/publisher/clients", None),
        ("POST", "/api/v1/publisher/clients", {"name": "x", "scopes": ["webhooks"]}),
        ("GET", "/publisher/offers", None),
    ):
        answer = await program.call(method, path, body)
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing"), path
    assert (await program.call("GET", "/api/v1/staff/organisations")).json()["code"] == "forbidden"
    assert (await program.call("GET", "/api/v1/me/wallet")).json()["code"] == "forbidden"


async def test_a_client_that_writes_offers_reads_them_too_and_the_trail_names_it(owner):
    program = await a_program(owner, "offers:write")
    await program.sign_in()
    made = await program.call("POST", "/api/v1/publisher/offers", {"kind": "gift", "title": "热干面"})
    assert made.status_code == 201
    assert (await program.call("GET", f"/api/v1/publisher/offers/{made.json()['id']}")).status_code == 200
    actor = await db.fetch_value("SELECT actor FROM offer_event")
    assert actor == program.client_id.replace("client-", "client:")


async def test_scopes_that_a_client_does_not_have_are_not_given_out(owner):
    program = await a_program(owner, "offers:read", "webhooks")
    assert (await program.sign_in(scope="offers:read")).json()["scope"] == "offers:read webhooks"
    refused = await program.sign_in(scope="insight:read")
    assert (refused.status_code, refused.json()) == (400, {"error": "invalid_scope"})


async def test_a_revoked_client_is_nobody_at_once_and_a_new_secret_ends_the_old_one(owner):
    program = await a_program(owner, "webhooks")
    await program.sign_in()
    place = f"/publisher/clients/{program.client_id.removeprefix('client-')}"
    await owner.open("/publisher/clients")
    page = await owner.send(f"{place}/rotate")
    assert (await program.sign_in()).status_code == 401
    program.secret = re.findall(r"<dd><code[^>]*>([^<]+)</code>", page)[1]
    assert (await program.sign_in()).status_code == 200
    await owner.send(f"{place}/revoke")
    assert (await program.call("GET", WEBHOOKS)).status_code == 401
    assert (await program.sign_in()).status_code == 401


async def test_anothers_clients_and_webhooks_do_not_exist(owner, anyone):  # noqa: F811
    program = await a_program(owner, "webhooks")
    await program.sign_in()
    other = await builders.a_publisher()
    theirs = await webhooks.create_endpoint(publisher=other, new=webhooks.NewEndpoint(URL, ["pool.low"]))
    for method, path in (("GET", ""), ("PATCH", ""), ("POST", "/rotate"), ("POST", "/test"), ("DELETE", "")):
        answer = await program.call(
            method, f"{WEBHOOKS}/{theirs.id}{path}", {} if method == "PATCH" else None
        )
        assert answer.status_code == 404, path
    await owner.open(f"/publisher/webhooks/{theirs.id}", status=404)


async def test_a_client_of_a_closed_publisher_is_refused(owner):
    program = await a_program(owner, *SCOPES)
    await program.sign_in()
    await db.execute("UPDATE publisher SET status = 'closed'")
    assert (await program.call("GET", WEBHOOKS)).json()["code"] == "publisher_not_active"


# ------------------------------------------------------------------ the pages
async def test_an_endpoint_is_made_tried_and_switched_off_in_the_console(owner):
    async with receiving() as receiver:
        await owner.open("/publisher/webhooks/new")
        wrong = await owner.send(
            "/publisher/webhooks/new",
            status=400,
            url="http://10.0.0.1/",
            description="会员系统",
            events=["pool.low"],
        )
        assert 'value="会员系统"' in wrong
        assert 'value="http://10.0.0.1/"' in wrong
        page = await owner.send(
            "/publisher/webhooks/new", url=receiver.url, description="会员系统", events=["pool.low"]
        )
        [secret] = re.findall(r"whsec_[A-Za-z0-9+/=]+", page)
        [place] = re.findall(r'href="(/publisher/webhooks/[0-9a-f-]{36})"', page)
        assert secret not in await owner.open(place)
        await owner.send(f"{place}/test")
        assert "测试消息" in owner.page
        receiver.status, receiver.answer = 500, "<b>出错了</b>".encode()
        await sent()
        page = await owner.open(place)
        assert "接收端未接受 · HTTP 500" in page
        [message] = re.findall(rf'href="({place}/deliveries/[^"]+)"', page)
        assert "&lt;b&gt;出错了" in await owner.open(message)
        await owner.send(f"{message}/replay")
        await owner.open(place)
        await owner.send(f"{place}/replay", since="", until="2026-01-01T00:00", status=400)
        await owner.open(place)
        page = await owner.send(f"{place}/rotate")
        assert "旧密钥在" in page
        await owner.open(place)
        await owner.send(f"{place}/switch", then="off")
        assert "已停用" in owner.page
        await owner.send(f"{place}/switch", then="on")
        await owner.open(f"{place}/edit")
        await owner.send(f"{place}/edit", url=receiver.url, description="收银系统", events=["offer.ended"])
        assert "收银系统" in owner.page
        await owner.send(f"{place}/delete")
        assert "还没有接收地址" in owner.page


async def test_an_alarm_stands_where_the_publisher_looks(owner):
    async with receiving() as receiver:
        publisher = await db.fetch_value("SELECT id FROM publisher")
        made = await webhooks.create_endpoint(
            publisher=publisher, new=webhooks.NewEndpoint(receiver.url, ["pool.low"])
        )
        receiver.status = 410
        await webhooks.send_test(publisher=publisher, endpoint=made.id)
        await sent()
    assert "接收端答复 410" in await owner.open("/publisher/webhooks")
    assert "接收端答复 410" in await owner.open(f"/publisher/webhooks/{made.id}")


async def test_managers_look_after_webhooks_owners_after_clients_and_cashiers_after_neither(anyone, database):  # noqa: F811
    publisher = await builders.a_publisher()
    for role, hooks, clients in (("manager", 200, 403), ("cashier", 403, 403)):
        visitor = anyone()
        await a_signed_in_member(visitor, publisher, role=role)
        await visitor.open("/publisher/webhooks", status=hooks)
        await visitor.open("/publisher/clients", status=clients)


async def test_a_client_without_a_name_or_scopes_is_told_in_place(owner):
    await owner.open("/publisher/clients")
    page = await owner.send("/publisher/clients", name="", scopes=["webhooks"], status=400)
    assert re.search(r'value="webhooks" checked', page)
    assert 'id="name-note"' in page
