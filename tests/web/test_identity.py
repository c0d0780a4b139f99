"""Who a resident is, over HTTP and on the pages."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import structlog

import app as program
from incentives.eligibility import RuleEligibility
from marketplace import clock, db, mandates
from marketplace.identity import otp
from marketplace.identity.sms import SandboxSms
from marketplace.identity.stores import EphemeralStore
from marketplace.settings import Settings
from tests.builders import an_id_number
from tests.web.test_auth import bearer, served
from tests.web.test_pages import Visitor
from web.logs import without_persons

OLD, NEW = "13800000001", "13800000002"


class Site:
    """The whole application, called as the API and as pages."""

    def __init__(self, client: httpx.AsyncClient, store: EphemeralStore) -> None:
        self.client, self.store = client, store

    async def code(self, phone: str) -> str:
        await self.store.delete(f"otp-pause:{otp._alias(phone)}")
        assert (await self.client.post("/api/v1/auth/otp", json={"phone": phone})).status_code == 202
        code = await SandboxSms(self.store).last_code(phone)
        assert code is not None
        return code

    async def sign_in(self, phone: str) -> httpx.Response:
        body = {"phone": phone, "code": await self.code(phone)}
        return await self.client.post("/api/v1/auth/sessions", json=body)

    async def token(self, phone: str) -> str:
        token: str = (await self.sign_in(phone)).json()["token"]
        return token

    async def say(self, token: str, place: str, number: str, name: str = "张三") -> httpx.Response:
        body = {"name": name, "id_number": number}
        return await self.client.post(f"/api/v1/me/{place}", json=body, headers=bearer(token))

    async def me(self, token: str) -> httpx.Response:
        return await self.client.get("/api/v1/me", headers=bearer(token))


@pytest.fixture
async def site(database: str, tmp_path: Path) -> AsyncIterator[Site]:
    web = program.wired(Settings(home=tmp_path))
    transport = httpx.ASGITransport(web)  # type: ignore[arg-type]
    async with (
        served(web),
        httpx.AsyncClient(transport=transport, base_url="http://testserver") as client,
    ):
        yield Site(client, web.state.store)


# ------------------------------------------------------------------ the API
async def test_a_resident_is_shown_masked_and_verified_once(site: Site) -> None:
    token, number = await site.token(OLD), an_id_number()
    assert (await site.say("cs_x", "identity", number)).status_code == 401
    assert (await site.me(token)).json() | {"id": ""} == {
        "id": "", "phone": "138****0001", "name": None, "city": "420100", "verified_at": None,
    }  # fmt: skip

    verified = await site.say(token, "identity", number)

    assert verified.status_code == 200, verified.text
    assert (verified.json()["name"], verified.json()["phone"]) == ("张*", "138****0001")
    assert verified.json()["verified_at"] is not None
    assert (await site.me(token)).json() == verified.json()
    assert (await site.sign_in(OLD)).json()["resident"] == verified.json()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "validation_failed"), ({"name": "张三"}, "validation_failed"),
        ({"name": "张三", "id_number": "110105194912310021"}, "validation_failed"),
        ({"name": "张三", "id_number": 1}, "validation_failed"),
        ({"name": "", "id_number": "11010519491231002X"}, "validation_failed"),
        ({"name": "张三", "id_number": "11010519491231002X", "phone": "1"}, "validation_failed"),
        ({"name": "张不符", "id_number": "11010519491231002X"}, "identity_mismatch"),
        ({"name": "张小三", "id_number": an_id_number(born="20240101")}, "guardian_needed"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named(site: Site, body: dict[str, Any], code: str) -> None:
    token = await site.token(OLD)
    statuses = {"validation_failed": 400, "identity_mismatch": 409, "guardian_needed": 403}
    for place in ("me/identity", "me/recovery"):
        answer = await site.client.post(f"/api/v1/{place}", json=body, headers=bearer(token))
        assert (answer.status_code, answer.json()["code"]) == (statuses[code], code), answer.text
        assert "11010519491231002" not in answer.text


async def test_the_sixth_check_of_a_day_is_refused(site: Site) -> None:
    token = await site.token(OLD)
    answers = [await site.say(token, "identity", an_id_number(), "张不符") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [409] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_a_new_phone_leads_back_to_the_old_account(site: Site) -> None:
    number, old = an_id_number(), await site.token(OLD)
    first = (await site.say(old, "identity", number)).json()
    new = await site.token(NEW)
    assert (await site.say(new, "identity", number)).json()["code"] == "person_has_account"

    back = await site.say(new, "recovery", number)

    assert back.status_code == 201, back.text
    assert back.json()["resident"] == first | {"phone": "138****0002"}
    assert [(await site.me(token)).status_code for token in (old, new, back.json()["token"])] == [
        401,
        401,
        200,
    ]


async def test_a_recycled_number_leads_to_an_account_of_ones_own(site: Site) -> None:
    token = await site.token(OLD)
    owner = (await site.say(token, "identity", an_id_number())).json()["id"]
    answer = await site.say(token, "disown", an_id_number(), "李四")
    assert answer.status_code == 201, answer.text
    assert answer.json()["resident"]["name"] == "李*"
    assert answer.json()["resident"]["id"] != owner
    assert (await site.me(token)).status_code == 401


async def test_a_sign_in_after_a_long_time_is_settled_by_the_check(site: Site) -> None:
    number = an_id_number()
    mine = (await site.say(await site.token(OLD), "identity", number)).json()["id"]
    with clock.travelled(timedelta(days=91)):
        asked = await site.sign_in(OLD)
        assert (asked.status_code, asked.json()["code"]) == (403, "identity_check_required")
        assert asked.json()["expires_in_seconds"] == 900
        body = {"proof": asked.json()["proof"], "name": "张三", "id_number": number}

        settled = await site.client.post("/api/v1/auth/identity", json=body)

        assert settled.status_code == 201, settled.text
        assert settled.json()["resident"]["id"] == mine
        again = await site.client.post("/api/v1/auth/identity", json=body)
        assert (again.status_code, again.json()["code"]) == (401, "unauthenticated")
        assert (await site.sign_in(OLD)).status_code == 201


async def test_a_link_names_its_channel(site: Site) -> None:
    await db.execute(
        "INSERT INTO channel (key, name, methodology, created_at) VALUES ('metro', '地铁', 'm', now())"
    )
    headers = bearer(await site.token(OLD))
    code = (await site.client.post("/api/v1/me/links", json={"channel": "metro"}, headers=headers)).json()
    assert re.fullmatch(r"[2-9A-Z]{5}-[2-9A-Z]{5}", code["code"])
    typed = code["code"].lower().replace("-", " ")
    await mandates.confirm(channel="metro", code=typed, subject="card", store=site.store)
    links = (await site.client.get("/api/v1/me/links", headers=headers)).json()
    assert [(link["channel"], link["channel_name"]) for link in links] == [("metro", "地铁")]


async def test_an_offer_may_ask_for_verified_persons(site: Site) -> None:
    token = await site.token(OLD)
    resident = UUID((await site.me(token)).json()["id"])
    rule = "resident.verified"
    asked = RuleEligibility()
    assert (await asked.verdicts(resident=resident, rules=[rule]))[rule].reasons
    await site.say(token, "identity", an_id_number())
    assert (await asked.verdicts(resident=resident, rules=[rule]))[rule].reasons == []
    assert asked.check(rule) == []


# ------------------------------------------------------------------ what is kept and what is told
async def test_the_number_is_kept_nowhere_and_told_to_no_log(site: Site) -> None:
    number = an_id_number()
    with structlog.testing.capture_logs() as lines:
        token = await site.token(OLD)
        await site.say(token, "identity", number)
        await site.say(token, "disown", number)
    assert lines
    tables = await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = [
        await db.fetch_value(f"SELECT string_agg(t::text, '') FROM {row['tablename']} t") for row in tables
    ]
    kept = json.dumps([lines, rows, repr(site.store.__dict__)], default=str)
    assert number[:-1] not in kept


def test_the_log_masks_identity_numbers() -> None:
    event = without_persons(None, "", {"event": "11010519491231002X and 1101051949123100219"})
    assert event == {"event": "*** and 1101051949123100219"}


def test_a_kept_secret_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = program.kept_secret(home, "person-key")
    assert (program.kept_secret(home, "person-key"), len(first)) == (first, 64)
    assert program.kept_secret(home, "forms-secret") != first
    assert {file.name for file in home.iterdir()} == {"person-key", "forms-secret"}
    assert (home / "person-key").stat().st_mode & 0o077 == 0


def test_of_many_who_make_a_secret_at_once_all_keep_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as makers:
        made = set(makers.map(lambda _: program.kept_secret(tmp_path, "person-key"), range(64)))
    assert [len(secret) for secret in made] == [64]
    assert [file.name for file in tmp_path.iterdir()] == ["person-key"]


# ------------------------------------------------------------------ the pages
async def a_visitor(site: Site, phone: str) -> Visitor:
    transport = site.client._transport
    client = httpx.AsyncClient(
        transport=transport, base_url="http://testserver", headers={"accept": "text/html"}
    )
    visitor = Visitor(client)
    await visitor.open("/sign-in")
    await site.store.delete(f"otp-pause:{otp._alias(phone)}")
    await visitor.send("/sign-in/code", phone=phone)
    code = await SandboxSms(site.store).last_code(phone)
    await visitor.send("/sign-in", code=code)
    return visitor


async def test_the_page_verifies_and_recovers(site: Site) -> None:
    number = an_id_number()
    old = await a_visitor(site, OLD)
    assert "未实名" in await old.open("/account")
    wrong = await old.send("/account/identity", status=400, name="张三", id_number=number[:-1] + "?")
    assert wrong.count("field--bad") == 1
    assert "姓名与身份证号码不一致" in await old.send(
        "/account/identity", status=409, name="张不符", id_number=number
    )
    verified = await old.send("/account/identity", name="张三", id_number=number)
    assert "已实名" in verified
    assert "张*" in verified
    assert number not in verified

    new = await a_visitor(site, NEW)
    await new.open("/account")
    await new.send("/account/identity", status=409, name="张三", id_number=number)
    back = await new.send("/account/recovery")
    assert "138****0002" in back
    assert "已找回您的账户" in back
    assert 'name="phone"' in await old.open("/account")  # signed out


async def test_the_page_leaves_a_strangers_account(site: Site) -> None:
    number = an_id_number()
    visitor = await a_visitor(site, OLD)
    await visitor.open("/account")
    await visitor.send("/account/identity", name="张三", id_number=number)
    await visitor.open("/account/disown")
    assert "没有任何变更" in await visitor.send("/account/disown", status=409, name="张三", id_number=number)
    own = await visitor.send("/account/disown", name="李四", id_number=an_id_number())
    assert "李*" in own
    assert "138****0001" in own


async def test_the_page_links_a_channel_shows_its_code_and_ends_the_link(site: Site) -> None:
    await db.execute(
        "INSERT INTO channel (key, name, methodology, created_at) VALUES ('metro', '地铁', 'm', now())"
    )
    visitor = await a_visitor(site, OLD)
    await visitor.open("/account")
    page = await visitor.send("/account/links/metro/code")
    code = page.split('<p class="code code--large">')[1].split("<")[0]
    assert code in await visitor.open("/account")
    await mandates.confirm(channel="metro", code=code, subject="card", store=site.store)
    linked = await visitor.open("/account")
    assert code not in linked
    link = await db.fetch_value("SELECT id FROM channel_link")
    assert "已解除绑定" in await visitor.send(f"/account/links/{link}/end")
    await visitor.open("/account")
    other = await a_visitor(site, NEW)
    await other.open("/account")
    token = re.search(r'name="_csrf_token" value="([^"]+)"', other.page)
    assert token is not None
    answer = await other.client.post(f"/account/links/{link}/end", data={"_csrf_token": token[1]})
    assert answer.status_code == 404


async def test_the_page_leads_through_the_check_after_a_long_time(site: Site) -> None:
    number = an_id_number()
    await (await a_visitor(site, OLD)).open("/account")
    token = await site.token(OLD)
    await site.say(token, "identity", number)
    with clock.travelled(timedelta(days=91)):
        visitor = await a_visitor(site, OLD)
        assert "请核验身份" in visitor.page
        await visitor.send("/sign-in/identity", status=409, name="张不符", id_number=number)
        await visitor.send("/sign-in/identity", name="张三", id_number=number)
        assert "已实名" in await visitor.open("/account")
        assert "chutan_proof" not in visitor.client.cookies
