"""Applications, teams, stores and second factors over HTTP; who may not is told, or finds nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pyotp
import pytest
from litestar import Litestar
from litestar.di import Provide

from marketplace import clock
from marketplace.identity import totp
from marketplace.identity.holders import Holder
from marketplace.identity.sms import SandboxSms
from marketplace.identity.tokens import Principal, issue_token
from marketplace.offers.eligibility import NoRules
from marketplace.registry import EmbeddedRegistry
from marketplace.settings import Settings
from merchants.staff import StaffMember
from tests import builders
from tests.merchants.people import PASSWORD, PHONE, a_licence, a_member, an_application, an_operator
from tests.web.test_auth import bearer, served
from web.api import HANDLERS
from web.factory import create_web

PUBLISHER, OPERATOR, AUTH = "/api/v1/publisher", "/api/v1/operator", "/api/v1/auth"


@pytest.fixture
async def app(database: str) -> AsyncIterator[Litestar]:
    dependencies = {
        "eligibility": Provide(NoRules, sync_to_thread=False),
        "registry": Provide(EmbeddedRegistry, sync_to_thread=False),
    }
    app = create_web(Settings(), handlers=HANDLERS, dependencies=dependencies)
    async with served(app):
        yield app


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


async def as_member(member: StaffMember) -> dict[str, str]:
    return bearer(await issue_token(Principal("staff", str(member.id))))


async def as_operator() -> dict[str, str]:
    return bearer(await issue_token(Principal("operator", str((await an_operator()).id))))


async def an_asked(app: Litestar, client: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    """What an application says, with the code that was sent to its phone."""
    await client.post(f"{AUTH}/otp", json={"phone": PHONE})
    return {
        "licence": a_licence(), "name": "老街热干面", "kind": "merchant", "city": "420500", "contact_name": "王小面",
        "store": {"name": "老街店", "address": "解放路 12 号"}, "phone": PHONE,
        "code": await SandboxSms(app.state.store).last_code(PHONE), "login": "laojie", "password": PASSWORD,
    } | more  # fmt: skip


async def test_a_publisher_applies_mends_and_is_approved(app, client):
    asked = await an_asked(app, client)
    answer = await client.post("/api/v1/publisher-applications", json=asked)
    assert (answer.status_code, answer.json()["state"]) == (201, "submitted")
    session = await client.post(f"{AUTH}/staff-sessions", json={"login": "laojie", "password": PASSWORD})
    owner, operator = bearer(session.json()["token"]), await as_operator()
    early = await client.get(f"{PUBLISHER}/offers", headers=owner)
    assert (early.status_code, early.json()["code"]) == (403, "publisher_not_active")

    waiting = (await client.get(f"{OPERATOR}/applications", headers=operator)).json()["items"]
    place = f"{OPERATOR}/applications/{waiting[0]['id']}"
    await client.post(f"{place}/return", json={"revision": 1, "reason": "地址写到门牌号"}, headers=operator)
    mine = (await client.get(f"{PUBLISHER}/application", headers=owner)).json()
    assert (mine["state"], mine["reason"]) == ("returned", "地址写到门牌号")
    details = {name: asked[name] for name in ("licence", "name", "kind", "city", "contact_name", "store")}
    mended = await client.put(f"{PUBLISHER}/application", json=details, headers=owner)
    assert (mended.status_code, mended.json()["revision"]) == (200, 2)
    late = await client.post(f"{place}/approve", json={"revision": 1}, headers=operator)
    assert (late.status_code, late.json()["code"]) == (409, "application_changed")
    approved = await client.post(f"{place}/approve", json={"revision": 2}, headers=operator)
    assert approved.json()["state"] == "approved"
    assert (await client.get(f"{PUBLISHER}/offers", headers=owner)).status_code == 200


async def test_what_is_wrong_with_an_application_is_told_before_its_code_is_used_up(app, client):
    asked = await an_asked(app, client)
    wrong = asked | {"licence": "91110000600037341M", "password": "short"}
    answer = await client.post("/api/v1/publisher-applications", json=wrong)
    assert answer.status_code == 400
    assert {(e["field"], e["code"]) for e in answer.json()["errors"]} == {
        ("licence", "not_a_licence"), ("password", "password_length"),
    }  # fmt: skip
    guessed = await client.post("/api/v1/publisher-applications", json=asked | {"code": "x"})
    assert [(e["field"], e["code"]) for e in guessed.json()["errors"]] == [("code", "wrong_code")]
    assert (await client.post("/api/v1/publisher-applications", json=asked)).status_code == 201


async def test_an_application_is_read_by_its_owner_and_decided_by_operators(client):
    owner, stranger = await an_application(), await a_member()
    cashier = await a_member(owner.publisher, role="cashier")
    place = f"{OPERATOR}/applications/{owner.publisher}"
    assert (
        await client.get(f"{PUBLISHER}/application", headers=await as_member(stranger))
    ).status_code == 404
    assert (await client.get(f"{PUBLISHER}/application", headers=await as_member(cashier))).status_code == 403
    for headers, status in ((await as_member(owner), 403), ({}, 401)):
        for verb, why in (("approve", {}), ("return", {"reason": "x"}), ("reject", {"reason": "x"})):
            answer = await client.post(f"{place}/{verb}", json={"revision": 1} | why, headers=headers)
            assert answer.status_code == status


@pytest.mark.parametrize(
    ("role", "team", "stores"), [("owner", 200, 201), ("manager", 403, 201), ("cashier", 403, 403)]
)
async def test_each_role_does_what_it_may(client, role, team, stores):
    owner = await a_member()
    headers = await as_member(owner if role == "owner" else await a_member(owner.publisher, role=role))
    assert (await client.get(f"{PUBLISHER}/members", headers=headers)).status_code == team
    assert (await client.get(f"{PUBLISHER}/invitations", headers=headers)).status_code == team
    opened = await client.post(f"{PUBLISHER}/stores", json={"name": "店", "address": "路"}, headers=headers)
    assert opened.status_code == stores


async def test_what_is_another_publishers_does_not_exist(client):
    owner, other = await a_member(), await a_member()
    theirs, store = await as_member(other), await builders.a_store(owner.publisher)
    invited = await client.post(
        f"{PUBLISHER}/invitations", json={"role": "cashier"}, headers=await as_member(owner)
    )
    for method, path, body in (
        ("PATCH", f"/members/{owner.id}", {"role": "cashier"}), ("DELETE", f"/members/{owner.id}", None),
        ("DELETE", f"/invitations/{invited.json()['id']}", None),
        ("PUT", f"/stores/{store}", {"name": "我的", "address": "我的"}),
    ):  # fmt: skip
        answer = await client.request(method, PUBLISHER + path, json=body, headers=theirs)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    switched = await client.post(f"/api/v1/staff/organisations/{owner.id}/sessions", headers=theirs)
    assert switched.status_code == 404


async def test_an_invited_person_joins_switches_and_is_removed(client):
    owner, cashier = await a_member(), await a_member(role="cashier")
    boss, worker = await as_member(owner), await as_member(cashier)
    invited = (await client.post(f"{PUBLISHER}/invitations", json={"role": "manager"}, headers=boss)).json()
    joined = await client.post(
        "/api/v1/staff/organisations", json={"token": invited["token"]}, headers=worker
    )
    there = bearer(joined.json()["token"])
    mine = (await client.get("/api/v1/staff/organisations", headers=there)).json()
    assert {(one["role"], one["current"]) for one in mine} == {("manager", True), ("cashier", False)}
    back = await client.post(f"/api/v1/staff/organisations/{cashier.id}/sessions", headers=there)
    here = (await client.get("/api/v1/staff/organisations", headers=bearer(back.json()["token"]))).json()
    assert next(one for one in here if one["current"])["id"] == str(cashier.id)

    new = next(one for one in mine if one["current"])["id"]
    assert (await client.delete(f"{PUBLISHER}/members/{new}", headers=boss)).status_code == 204
    gone = await client.get(f"{PUBLISHER}/offers", headers=there)
    assert (gone.status_code, gone.json()["code"]) == (401, "unauthenticated")
    assert (await client.get(f"{PUBLISHER}/offers", headers=worker)).status_code == 200
    last = await client.delete(f"{PUBLISHER}/members/{owner.id}", headers=boss)
    assert (last.status_code, last.json()["code"]) == (409, "last_owner")


async def test_an_invitation_makes_an_account(client):
    owner = await as_member(await a_member())
    token = (await client.post(f"{PUBLISHER}/invitations", json={"role": "cashier"}, headers=owner)).json()[
        "token"
    ]
    account = {"login": "wang", "name": "小王", "password": "short"}
    wrong = await client.post(f"{AUTH}/invitations", json={"token": token, "account": account})
    assert [e["field"] for e in wrong.json()["errors"]] == ["account.password"]
    right = {"token": token, "account": account | {"password": PASSWORD}}
    joined = await client.post(f"{AUTH}/invitations", json=right)
    assert joined.status_code == 201
    assert (
        await client.get(f"{PUBLISHER}/offers", headers=bearer(joined.json()["token"]))
    ).status_code == 200
    again = await client.post(f"{AUTH}/invitations", json=right)
    assert (again.status_code, again.json()["code"]) == (409, "invitation_over")


async def test_the_second_step_of_a_sign_in(app, client):
    member = await a_member(login="li")
    holder, seal = Holder("staff", member.person), app.dependencies["seal"].dependency()
    setup = await totp.begin_setup(holder, login="li", seal=seal, store=app.state.store)
    code = pyotp.TOTP(setup.secret).at(clock.now())
    codes = await totp.confirm(holder, code, seal=seal, store=app.state.store)

    asked = await client.post(f"{AUTH}/staff-sessions", json={"login": "li", "password": PASSWORD})
    assert (asked.status_code, asked.json()["code"]) == (403, "second_factor_required")
    body = {"proof": asked.json()["proof"], "code": "000000"}
    wrong = await client.post(f"{AUTH}/second-factor", json=body)
    assert (wrong.status_code, wrong.json()["code"]) == (401, "second_factor_wrong")
    session = await client.post(f"{AUTH}/second-factor", json=body | {"code": codes[0]})
    assert session.status_code == 201
    mine = await client.get("/api/v1/staff/organisations", headers=bearer(session.json()["token"]))
    assert UUID(mine.json()[0]["id"]) == member.id
