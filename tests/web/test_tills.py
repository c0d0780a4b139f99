"""Tills over HTTP: a cash register from its credentials to its day, a phone from its code to its end, the forms."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from litestar.di import Provide

from marketplace import clock, db
from marketplace.coupons import new_code, token_at
from marketplace.ids import new_id
from marketplace.offers.eligibility import NoRules
from marketplace.offers.view import OfferView
from marketplace.registry import EmbeddedRegistry
from marketplace.settings import Settings
from tests import builders
from tests.web.test_auth import served
from tests.web.test_pages import Forms, Visitor, a_signed_in_member, anyone  # noqa: F401  (a fixture)
from web.api.tills import TillController
from web.factory import create_web
from web.pages import error_page, page_handlers
from web.throttle import WRONG_CODES_PER_MINUTE

VERIFICATIONS = "/api/v1/till/verifications"


@pytest.fixture
async def app(database: str) -> AsyncIterator[Litestar]:
    dependencies = {
        "eligibility": Provide(NoRules, sync_to_thread=False),
        "registry": Provide(EmbeddedRegistry, sync_to_thread=False),
    }
    app = create_web(
        Settings(),
        handlers=[TillController, *page_handlers()],
        dependencies=dependencies,
        error_page=error_page,
    )
    async with served(app):
        yield app


class Register:
    """A cash register, with nothing but HTTP."""

    def __init__(self, client: httpx.AsyncClient, client_id: str, secret: str) -> None:
        self.client, self.client_id, self.secret, self.token = client, client_id, secret, ""

    async def sign_in(self) -> int:
        answer = await self.client.post(
            "/oauth/token", data={"grant_type": "client_credentials"}, auth=(self.client_id, self.secret)
        )
        self.token = answer.json().get("access_token", "")
        return answer.status_code

    async def call(
        self, method: str, path: str = VERIFICATIONS, *, key: str | None = None, **json: Any
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        if method == "POST":
            headers["Idempotency-Key"] = key or str(new_id())
        return await self.client.request(method, path, headers=headers, json=json or None)


async def a_register(owner: Visitor, offer: OfferView) -> Register:
    """Made in the console, which shows its secret once, and signed in."""
    await owner.open("/publisher/devices")
    page = await owner.send(
        "/publisher/devices", store=str(offer.stores[0].id), name="一号收银机", then="register"
    )
    client_id, secret = re.findall(r"<dd><code[^>]*>([^<]+)</code>", page)[:2]
    assert secret not in await owner.open("/publisher/devices")
    assert client_id in owner.page
    register = Register(owner.client, client_id, secret)
    assert await register.sign_in() == 200
    return register


@pytest.fixture
async def offer(database: str) -> OfferView:
    return await builders.an_offer(kind="cash_coupon", benefit={"amount_fen": 500})


@pytest.fixture
async def owner(anyone, offer) -> Visitor:  # noqa: F811
    visitor: Visitor = anyone()
    await a_signed_in_member(visitor, offer.publisher.id)
    return visitor


async def test_a_cash_register_verifies_undoes_and_reads_its_day(owner, offer):
    register = await a_register(owner, offer)
    _, code = await builders.redeemed(offer)
    first = await register.call("POST", key="receipt-1", code=code, bill_fen=1_800)
    again = await register.call("POST", key="receipt-1", code=code, bill_fen=1_800)
    assert (first.status_code, first.json()["discount_fen"]) == (201, 500)
    assert (again.status_code, again.json()) == (201, first.json())

    used = (await register.call("POST", code=code)).json()
    assert (used["code"], used["store"]) == ("coupon_already_used", "光谷店")
    day = (await register.call("GET")).json()
    assert day["totals"] == {"verified": 1, "reversed": 0, "discount_fen": 500}
    assert [(one["pays_fen"], one["reversible"], one["offer"]) for one in day["items"]] == [
        (1_300, True, {"title": offer.title, "kind": "cash_coupon"})
    ]
    place = f"{VERIFICATIONS}/{first.json()['id']}/reverse"
    assert (await register.call("POST", place)).json()["status"] == "reversed"
    assert (await register.call("GET")).json()["totals"]["reversed"] == 1
    assert (await register.call("GET", f"{VERIFICATIONS}?day=2020-01-01")).json()["items"] == []
    assert (await register.call("GET", f"{VERIFICATIONS}?day=yesterday")).status_code == 400


async def test_a_day_is_read_page_by_page(owner, offer):
    register = await a_register(owner, offer)
    for _ in range(3):
        await register.call("POST", code=(await builders.redeemed(offer))[1])
    first = (await register.call("GET", f"{VERIFICATIONS}?limit=2")).json()
    rest = (await register.call("GET", f"{VERIFICATIONS}?limit=2&cursor={first['next_cursor']}")).json()
    assert len({one["id"] for one in first["items"] + rest["items"]}) == 3
    assert rest["next_cursor"] is None


async def test_a_register_that_had_no_network_says_when_it_scanned(owner, offer):
    register, resident = await a_register(owner, offer), await builders.a_resident()
    redemption, _ = await builders.redeemed(offer, resident)
    key = await db.fetch_value("SELECT token_key FROM coupon WHERE redemption = $1", redemption)
    scanned_at = clock.now() - timedelta(minutes=30)
    token = token_at(redemption, key, scanned_at).token
    assert (await register.call("POST", token=token)).status_code == 404
    naive = await register.call("POST", token=token, scanned_at="2026-11-24T12:00:00")
    assert naive.status_code == 400
    sent = await register.call("POST", token=token, scanned_at=scanned_at.isoformat())
    assert sent.status_code == 201


async def test_a_revoked_register_is_refused_at_once_and_a_replaced_secret_too(owner, offer):
    register = await a_register(owner, offer)
    [rotation] = [action for action in Forms(owner.page).found if action.endswith("/rotate")]
    page = await owner.send(rotation)
    assert await register.sign_in() == 401
    register.secret = re.findall(r"<dd><code[^>]*>([^<]+)</code>", page)[1]
    assert await register.sign_in() == 200

    [revocation] = [action for action in Forms(owner.page).found if action.endswith("/revoke")]
    await owner.send(revocation)
    assert (await register.call("GET")).status_code == 401
    assert await register.sign_in() == 401
    assert register.client_id not in owner.page


async def test_every_wrong_code_looks_the_same_and_guessing_is_slowed_down(owner, offer):
    register, resident = await a_register(owner, offer), await builders.a_resident()
    redemption, code = await builders.redeemed(offer, resident)
    _, anothers = await builders.redeemed(await builders.an_offer(title="别家的"))
    stale = token_at(redemption, b"k" * 32, clock.now()).token
    digit = str((int(code[0]) + 1) % 10)
    guesses = [{"code": new_code()}, {"code": "12"}, {"code": anothers}, {"code": digit + code[1:]},
               {"token": stale}, {"token": "CT.x"}]  # fmt: skip
    answers = [(await register.call("POST", **guess)) for guess in guesses]
    assert {answer.status_code for answer in answers} == {404}
    assert len({json.dumps({**answer.json(), "request_id": ""}, sort_keys=True) for answer in answers}) == 1

    for _ in range(WRONG_CODES_PER_MINUTE - len(guesses)):
        await register.call("POST", code="1")
    slowed = await register.call("POST", code=code)
    assert (slowed.status_code, slowed.json()["code"]) == (429, "rate_limited")
    assert int(slowed.headers["retry-after"]) > 0
    assert await builders.status_of(redemption) == "issued"


async def test_the_wrong_store_is_told_which_one_is_right(owner, offer, anyone):  # noqa: F811
    right = await builders.a_store(offer.publisher.id, name="汉口店")
    elsewhere = await builders.an_offer(publisher=offer.publisher.id, stores=[right])
    till = await builders.a_till(of=offer)
    register, (_, code) = await a_register(owner, offer), await builders.redeemed(elsewhere)
    refused = (await register.call("POST", code=code)).json()
    assert (refused["code"], refused["stores"]) == ("wrong_store", ["汉口店"])
    await owner.open(f"/publisher/till?till={till}")
    assert "请到 汉口店 使用" in await owner.send("/publisher/till", status=409, code=code)


async def test_a_phone_is_paired_verifies_without_a_script_and_is_revoked(owner, offer, anyone):  # noqa: F811
    await owner.open("/publisher/devices")
    page = await owner.send(
        "/publisher/devices", store=str(offer.stores[0].id), name="柜台手机", then="phone"
    )
    code = re.findall(r"data-pairing-code>([^<]+)<", page)[0]
    phone = anyone()
    await phone.open("/pair")
    await phone.send("/pair", code="ABCD-2345", status=409)
    assert "柜台手机" in await phone.send("/pair", code=code.lower())
    assert "/publisher/offers" not in phone.page
    _, typed = await builders.redeemed(offer)
    assert "¥6.50" in await phone.send("/publisher/till", code=typed, bill="11.50")  # what is left to pay
    assert "¥5.00" in await phone.open("/publisher/till/today")
    await phone.open("/publisher/offers", status=200)  # leads to a sign-in: there the phone is nobody
    assert "login" in phone.page

    assert "柜台手机" in await owner.open("/publisher/devices")
    [revocation] = [action for action in Forms(owner.page).found if action.endswith("/revoke")]
    await owner.send(revocation)
    await phone.open("/publisher/till")
    assert 'name="login"' in phone.page
    assert "chutan_till" not in phone.client.cookies


async def test_a_paired_phone_stays_one_whoever_signs_in_on_it(owner, offer, anyone):  # noqa: F811
    await owner.open("/publisher/devices")
    page = await owner.send(
        "/publisher/devices", store=str(offer.stores[0].id), name="柜台手机", then="phone"
    )
    phone = anyone()
    await phone.open("/pair")
    await phone.send("/pair", code=re.findall(r"data-pairing-code>([^<]+)<", page)[0])
    await a_signed_in_member(phone, await builders.a_publisher())
    await phone.open("/publisher/offers")
    assert "柜台手机" in await phone.open("/publisher/till")
    await phone.open("/publisher/offers")
    await phone.send("/sign-out")
    assert "柜台手机" in await phone.open("/publisher/till")


async def test_devices_are_for_owners_and_managers_and_their_own(owner, offer, anyone):  # noqa: F811
    register = await a_register(owner, offer)
    till = register.client_id.removeprefix("register-")
    cashier, stranger, manager = anyone(), anyone(), anyone()
    await a_signed_in_member(cashier, offer.publisher.id, role="cashier")
    await a_signed_in_member(manager, offer.publisher.id, role="manager")
    await a_signed_in_member(stranger, await builders.a_publisher())
    await cashier.open("/publisher/devices", status=403)
    assert register.client_id in await manager.open("/publisher/devices")
    assert register.client_id not in await stranger.open("/publisher/devices")
    for action in ("revoke", "rotate"):
        stranger.page = (
            f'<form action="/x"><input name="_csrf_token" value="{stranger.client.cookies["chutan_csrf"]}">'
        )
        answer = await stranger.client.post(
            f"/publisher/devices/{till}/{action}", data=Forms(stranger.page).found["/x"]
        )
        assert answer.status_code == 404
    assert (await register.call("GET")).status_code == 200


async def test_a_name_that_is_too_long_is_said_in_place_and_kept(owner, offer):
    await owner.open("/publisher/devices")
    page = await owner.send(
        "/publisher/devices", status=400, store=str(offer.stores[0].id), name="长" * 101, then="phone"
    )
    assert "field--bad" in page
    assert "长" * 101 in page


async def test_a_browsers_till_can_be_added_where_there_is_none(owner, offer):
    assert "还没有收银台" in await owner.open("/publisher/till")
    await owner.open("/publisher/devices")
    await owner.send("/publisher/devices", store=str(offer.stores[0].id), then="counter")
    assert "data-till-page" in await owner.open("/publisher/till")


async def checked(cashier: Visitor, till: UUID, **sent: str) -> httpx.Response:
    state = (await cashier.client.get("/publisher/till/state", headers={"accept": "application/json"})).json()
    return await cashier.client.post(
        "/publisher/till/checks", data={"till": str(till), "bill": "", **sent},
        headers={"accept": "application/json", "x-csrf-token": state["csrf"]},
    )  # fmt: skip


async def test_a_script_sends_a_code_again_and_gets_the_same_answer_whoever_signs_in(owner, offer, anyone):  # noqa: F811
    till, (_, code) = await builders.a_till(of=offer), await builders.redeemed(offer)
    sent = {"code": code, "bill": "12.30", "key": "k1"}
    first = (await checked(owner, till, **sent)).json()
    assert (first["pays_fen"], first["discount_fen"], first["title"]) == (730, 500, offer.title)
    colleague = anyone()
    await a_signed_in_member(colleague, offer.publisher.id, role="cashier")
    again = await checked(colleague, till, **sent, scanned_at=clock.now().isoformat())
    assert (again.status_code, again.json()["id"]) == (201, first["id"])
    other = await checked(owner, till, **sent | {"code": new_code()})
    assert other.json()["code"] == "idempotency_key_reused"
    assert await db.fetch_value("SELECT count(*) FROM verification") == 1


@pytest.mark.parametrize("scanned_at", ["yesterday", "2026-11-24T10:00:00", "2001-01-01T00:00:00Z"])
async def test_a_script_is_told_what_is_wrong_with_a_time(owner, offer, scanned_at):
    till, (redemption, code) = await builders.a_till(of=offer), await builders.redeemed(offer)
    answer = await checked(owner, till, code=code, key="k", scanned_at=scanned_at)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "scanned_at")
    assert await builders.status_of(redemption) == "issued"


async def test_the_till_is_an_application_that_opens_without_a_network(anyone):  # noqa: F811
    client = anyone().client
    manifest = (await client.get("/publisher/till/app.webmanifest")).json()
    icon = await client.get(manifest["icons"][0]["src"])
    worker = await client.get("/publisher/till/worker.js")
    assert (icon.status_code, icon.headers["content-type"].split(";")[0]) == (200, "image/svg+xml")
    assert manifest["start_url"].startswith(worker.headers["service-worker-allowed"])
    shell = json.loads(worker.text.split("\n")[0].removeprefix("self.SHELL = ").rstrip(";"))
    assert any(name.endswith(".wasm") for name in shell)
    for name in shell:
        assert (await client.get(name)).status_code == 200
