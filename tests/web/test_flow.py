"""One redemption over HTTP, end to end: records in, an offer out, redeemed, verified, settled, audited."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

import app
from incentives.channels import open_channel
from marketplace import coupons, expiry, settlement
from marketplace.clock import travelled
from marketplace.errors import ChutanError
from marketplace.identity.operators import add_operator
from marketplace.ids import new_id
from marketplace.registry import EmbeddedRegistry
from marketplace.settings import Settings

OFFER = {
    "kind": "cash_coupon", "title": "热干面 5 元代金券", "price_g": 400, "benefit": {"amount_fen": 500},
    "conditions": {"min_bill_fen": 1000}, "stock_total": 2, "per_resident_limit": 1, "coupon_valid_days": 7,
}  # fmt: skip


class Demo:
    """The demonstration, called over HTTP by its own sign-ins."""

    def __init__(self, client: httpx.AsyncClient, credentials: dict[str, Any]) -> None:
        self.client, self.credentials = client, credentials
        self.merchant = next(p for p in credentials["publishers"] if p["kind"] == "merchant")
        self.till = self.merchant["stores"][0]["till_token"]
        self.operator = credentials["operator"]["token"]
        self.residents = [r["token"] for r in credentials["residents"]]

    async def call(self, token: str | None, method: str, path: str, json: Any = None, key: str | None = None,
                   **more: Any) -> httpx.Response:  # fmt: skip
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if method == "POST":
            headers["Idempotency-Key"] = key or str(new_id())
        return await self.client.request(method, path, json=json, headers=headers, **more)

    async def draft(self, **changes: Any) -> str:
        made = await self.call(self.merchant["token"], "POST", "/api/v1/publisher/offers", OFFER | changes)
        assert made.status_code == 201, made.text
        offer: str = made.json()["id"]
        return offer

    async def live_offer(self, **changes: Any) -> str:
        return await self.approved(await self.draft(**changes))

    async def approved(self, offer: str) -> str:
        submitted = await self.call(
            self.merchant["token"], "POST", f"/api/v1/publisher/offers/{offer}/submit"
        )
        assert submitted.json()["status"] == "submitted", submitted.text
        approved = await self.call(self.operator, "POST", f"/api/v1/operator/offers/{offer}/approve")
        assert (approved.status_code, approved.json()["status"]) == (200, "live")
        return offer

    async def redeem(self, resident: str, offer: str, key: str | None = None) -> httpx.Response:
        return await self.call(resident, "POST", "/api/v1/redemptions", {"offer_id": offer}, key)

    async def verify(self, **shown: Any) -> httpx.Response:
        return await self.call(self.till, "POST", "/api/v1/till/verifications", shown)


@pytest.fixture
async def demo(database: str, tmp_path: Path) -> AsyncIterator[Demo]:
    await app.load_demonstration()
    web = app.wired(Settings(home=tmp_path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://testserver") as client:
        yield Demo(client, await app.credentials("http://testserver"))


async def test_a_redemption_goes_from_the_mall_to_the_registry(demo: Demo) -> None:
    resident, offer = demo.residents[0], await demo.live_offer()
    shown = (await demo.call(resident, "GET", f"/api/v1/offers/{offer}")).json()
    assert (shown["eligible"], shown["reasons"], shown["stock_left"]) == (True, [], 2)
    before = (await demo.call(resident, "GET", "/api/v1/me/wallet")).json()

    taken = await demo.redeem(resident, offer)
    assert taken.status_code == 201, taken.text
    coupon = taken.json()["coupon"]
    held = (await demo.call(resident, "GET", "/api/v1/me/wallet")).json()
    assert (held["held_g"], held["available_g"]) == (400, before["available_g"] - 400)

    refused = await demo.verify(code=coupon["code"], bill_fen=999)
    assert (refused.status_code, refused.json()["code"]) == (409, "minimum_bill_not_met")
    used = await demo.verify(code=coupon["code"], bill_fen=1000)
    assert (used.status_code, used.json()["discount_fen"]) == (201, 500), used.text
    again = await demo.verify(code=coupon["code"], bill_fen=1000)
    assert (again.status_code, again.json()["code"]) == (409, "coupon_already_used")

    settled = await settlement.settle(EmbeddedRegistry(), everything=True)
    assert (settled.recorded, settled.pending) == (1, 0)
    journey = (await demo.call(resident, "GET", f"/api/v1/redemptions/{taken.json()['id']}")).json()
    assert (journey["status"], journey["settlement"]["state"]) == ("verified", "recorded")
    assert journey["settlement"]["receipt"]["amount_g"] == 400
    after = (await demo.call(resident, "GET", "/api/v1/me/wallet")).json()
    assert (after["consumed_g"], after["held_g"], after["earned_g"]) == (400, 0, before["earned_g"])
    late = await demo.call(demo.till, "POST", f"/api/v1/till/verifications/{used.json()['id']}/reverse")
    assert (late.status_code, late.json()["code"]) == (409, "reversal_window_closed")
    entries = (await demo.call(resident, "GET", "/api/v1/me/wallet/entries?limit=2")).json()
    assert [entry["kind"] for entry in entries["items"]] == ["capture", "hold"]
    assert entries["items"][0]["available_after_g"] == after["available_g"]


async def test_a_scanned_token_is_as_good_as_the_code(demo: Demo) -> None:
    resident, offer = demo.residents[0], await demo.live_offer()
    redemption = (await demo.redeem(resident, offer)).json()["id"]
    token = (await demo.call(resident, "GET", f"/api/v1/redemptions/{redemption}/token")).json()["token"]
    forged = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    assert (await demo.verify(token=forged, bill_fen=1000)).json()["code"] == "coupon_not_found"
    assert (await demo.verify(token=token, bill_fen=1000)).status_code == 201


async def test_a_client_derives_tokens_from_the_coupons_key(demo: Demo) -> None:
    resident, offer = demo.residents[0], await demo.live_offer()
    redemption = (await demo.redeem(resident, offer)).json()["id"]
    path = f"/api/v1/redemptions/{redemption}/key"
    assert (await demo.call(demo.residents[1], "GET", path)).status_code == 404
    told = (await demo.call(resident, "GET", path)).json()
    assert (set(told), told["step_seconds"]) == ({"key", "step_seconds", "server_time"}, 30)
    key, now = urlsafe_b64decode(told["key"] + "="), datetime.fromisoformat(told["server_time"])
    token = coupons.token_at(UUID(redemption), key, now).token
    assert (await demo.verify(token=token, bill_fen=1000)).status_code == 201
    late = await demo.call(resident, "GET", path)
    assert (late.status_code, late.json()["code"]) == (409, "coupon_already_used")


async def test_a_repeat_gets_the_first_answer_and_the_limit_holds(demo: Demo) -> None:
    offer = await demo.live_offer()
    first = await demo.redeem(demo.residents[0], offer, "same")
    repeat = await demo.redeem(demo.residents[0], offer, "same")
    assert (first.status_code, first.json()) == (repeat.status_code, repeat.json())
    assert (await demo.redeem(demo.residents[0], offer)).json()["code"] == "limit_reached"
    other = await demo.redeem(demo.residents[0], await demo.live_offer(title="另一张"), "same")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (await demo.redeem(demo.residents[1], offer)).status_code == 201
    assert (await demo.redeem(demo.residents[2], offer)).json()["code"] == "sold_out"


async def test_a_cancelled_coupon_gives_everything_back(demo: Demo) -> None:
    resident, offer = demo.residents[0], await demo.live_offer(stock_total=1)
    redemption = (await demo.redeem(resident, offer)).json()
    path = f"/api/v1/redemptions/{redemption['id']}/cancel"
    assert (await demo.call(demo.residents[1], "POST", path)).status_code == 404
    assert (await demo.call(resident, "POST", path)).json()["status"] == "cancelled"
    assert (await demo.call(resident, "POST", path)).json()["code"] == "coupon_cancelled"
    assert (await demo.verify(code=redemption["coupon"]["code"], bill_fen=1000)).json()[
        "code"
    ] == "coupon_cancelled"
    assert (await demo.redeem(resident, offer)).status_code == 201


async def test_an_unused_coupon_expires_and_frees_what_it_held(demo: Demo) -> None:
    resident, offer = demo.residents[0], await demo.live_offer(stock_total=1)
    redemption = (await demo.redeem(resident, offer)).json()
    with travelled(timedelta(days=7) - timedelta(minutes=1)):
        assert (await expiry.expire(EmbeddedRegistry())).coupons == 0
    with travelled(timedelta(days=8)):
        late = await demo.verify(code=redemption["coupon"]["code"], bill_fen=1000)
        assert (late.status_code, late.json()["code"]) == (409, "coupon_expired")
        assert (await expiry.expire(EmbeddedRegistry())).coupons == 1
        assert (await demo.call(resident, "GET", "/api/v1/me/wallet")).json()["held_g"] == 0
        assert (await demo.redeem(demo.residents[1], offer)).status_code == 201


async def test_a_reversal_opens_the_coupon_again(demo: Demo) -> None:
    resident, offer = demo.residents[0], await demo.live_offer()
    redemption = (await demo.redeem(resident, offer)).json()
    for _ in range(2):
        used = await demo.verify(code=redemption["coupon"]["code"], bill_fen=1000)
        assert used.status_code == 201, used.text
        path = f"/api/v1/till/verifications/{used.json()['id']}/reverse"
        assert (await demo.call(demo.till, "POST", path)).status_code == 200
    journey = (await demo.call(resident, "GET", f"/api/v1/redemptions/{redemption['id']}")).json()
    assert (journey["status"], journey["settlement"]) == ("issued", None)


async def test_a_donation_is_fulfilled_at_once_and_stays(demo: Demo) -> None:
    offer = await demo.live_offer(kind="donation", benefit={"cause": "湿地", "value_fen": 0}, conditions={})
    taken = (await demo.redeem(demo.residents[0], offer)).json()
    assert taken["status"] == "fulfilled"
    refused = await demo.call(demo.residents[0], "POST", f"/api/v1/redemptions/{taken['id']}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_cancellable")


async def test_a_channel_submits_records_once(demo: Demo) -> None:
    channel = demo.credentials["channels"][0]
    token = await channel_token(demo)
    record = {"trip_id": "t1", "rider_id": "demo-rider-00", "bike_id": "b", "started_at": "2026-01-05T08:00:00+08:00",
              "ended_at": "2026-01-05T08:20:00+08:00", "track_distance_m": 5000}  # fmt: skip
    path = f"/api/v1/channels/{channel['key']}/activities"
    first = await demo.call(token, "POST", path, {"records": [record]}, "k")
    assert first.json()["results"][0] == {
        "trip_id": "t1",
        "status": "credited",
        "credited_g": 466,
        "reason": None,
    }
    assert (await demo.call(token, "POST", path, {"records": [record]}, "k")).json() == first.json()
    second = await demo.call(token, "POST", path, {"records": [record]})
    assert second.json()["results"][0]["reason"] == "duplicate"
    assert (
        await demo.call(token, "POST", "/api/v1/channels/metro-card/activities", {"records": []})
    ).status_code == 404


async def test_a_channel_submits_quantities_in_the_unit_of_its_methodology(demo: Demo) -> None:
    token, path = await channel_token(demo, "metro-card"), "/api/v1/channels/metro-card/activities"
    record = {"record_id": "m1", "subject": "demo-metro-card-00", "started_at": "2026-01-05T08:00:00+08:00"}
    answer = await demo.call(token, "POST", path, {"records": [record | {"quantity": 12.5}, record]})
    assert (answer.status_code, answer.json()) == (201, {
        "credited_g": 980,
        "results": [
            {"record_id": "m1", "status": "credited", "credited_g": 980, "reason": None},
            {"record_id": "m1", "status": "rejected", "credited_g": 0, "reason": "malformed"},
        ],
    })  # fmt: skip
    again = await demo.call(token, "POST", path, {"records": [record | {"quantity": "12.5"}]})
    assert again.json()["results"][0]["reason"] == "duplicate"
    shown = (await demo.call(demo.residents[0], "GET", "/api/v1/me/activities?limit=100")).json()["items"]
    one = next(activity for activity in shown if activity["source_id"] == "m1")
    assert (one["behaviour"], one["quantity"], one["unit"], one["factor"], one["amount_g"], one["channel_name"]) == (
        "metro", "12.5", "km", "78.4 g/km", 980, "地铁卡（演示）",
    )  # fmt: skip
    assert one["ended_at"] == one["started_at"]


@pytest.mark.parametrize(
    ("key", "body", "field", "code"),
    [
        ("metro-card", {"records": [{"trip_id": "t"}]}, "records[0].trip_id", "unknown_field"),
        ("bike-share", {"records": [{"record_id": "t"}]}, "records[0].record_id", "unknown_field"),
        ("metro-card", {"records": [{"quantity": []}]}, "records[0].quantity", "wrong_type"),
        ("metro-card", {"records": {}}, "records", "wrong_type"),
        ("metro-card", {}, "records", "required"),
        ("metro-card", {"records": [], "more": 1}, "more", "unknown_field"),
        ("own-bag", {"records": [{}] * 1_001}, "records", "too_many"),
    ],
)
async def test_records_of_another_shape_are_refused_with_the_field(
    demo: Demo, key: str, body: dict[str, Any], field: str, code: str
) -> None:
    token = await channel_token(demo, key)
    refused = await demo.call(token, "POST", f"/api/v1/channels/{key}/activities", body)
    assert (refused.status_code, refused.json()["code"]) == (400, "validation_failed")
    assert [(error["field"], error["code"]) for error in refused.json()["errors"]] == [(field, code)]


async def test_the_schema_shows_both_shapes_of_records(demo: Demo) -> None:
    schema = (await demo.client.get("/schema/openapi.json")).json()
    call = schema["paths"]["/api/v1/channels/{key}/activities"]["post"]
    records = call["requestBody"]["content"]["application/json"]["schema"]["properties"]["records"]
    assert [list(shape["items"]["properties"]) for shape in records["oneOf"]] == [
        ["trip_id", "rider_id", "bike_id", "started_at", "ended_at", "track_distance_m", "points"],
        ["record_id", "subject", "started_at", "ended_at", "quantity"],
    ]
    results = call["responses"]["201"]["content"]["application/json"]["schema"]["properties"]["results"]
    assert [next(iter(shape["items"]["properties"])) for shape in results["oneOf"]] == [
        "trip_id",
        "record_id",
    ]


async def test_the_demonstrations_residents_have_a_varied_life_and_enough_to_spend(demo: Demo) -> None:
    wallets = [(await demo.call(token, "GET", "/api/v1/me/wallet")).json() for token in demo.residents]
    assert sum(wallet["available_g"] >= 5_000 for wallet in wallets) >= 20
    shown = [
        activity
        for token in demo.residents[:6]
        for activity in (await demo.call(token, "GET", "/api/v1/me/activities?limit=100")).json()["items"]
    ]
    assert {activity["behaviour"] for activity in shown} == {"bike", "metro", "bus", "home_power", "own_bag"}
    assert {activity["reason"] for activity in shown} == {None, "too_short", "below_one_gram"}
    assert [channel["key"] for channel in demo.credentials["channels"]][:2] == ["bike-share", "metro-card"]


async def channel_token(demo: Demo, key: str = "bike-share") -> str:
    channel = next(channel for channel in demo.credentials["channels"] if channel["key"] == key)
    grant = await demo.client.post(
        "/oauth/token",
        data={"grant_type": "client_credentials", "client_id": channel["client_id"],
              "client_secret": channel["client_secret"]},
    )  # fmt: skip
    token: str = grant.json()["access_token"]
    return token


async def test_a_channel_account_is_linked_by_mandate_and_unlinked(demo: Demo) -> None:
    resident, channel = demo.residents[0], await channel_token(demo)
    before = len((await demo.call(resident, "GET", "/api/v1/me/links")).json())
    code = (await demo.call(resident, "POST", "/api/v1/me/links", {"channel": "bike-share"})).json()["code"]
    confirmation, path = {"code": code, "subject": "rider-x"}, "/api/v1/channels/bike-share/links"
    assert (await demo.call(channel, "POST", path, {**confirmation, "code": "wrong"})).status_code == 404
    linked = await demo.call(channel, "POST", path, confirmation)
    assert linked.status_code == 201, linked.text
    assert (await demo.call(channel, "POST", path, confirmation)).status_code == 404  # a code links once
    assert len((await demo.call(resident, "GET", "/api/v1/me/links")).json()) == before + 1
    link = f"/api/v1/me/links/{linked.json()['id']}"
    assert (await demo.call(demo.residents[1], "DELETE", link)).status_code == 404
    assert (await demo.call(resident, "DELETE", link)).status_code == 204


async def test_a_pool_gives_each_of_its_codes_once(demo: Demo) -> None:
    offer = await demo.draft(kind="code", benefit={"value_fen": 100}, conditions={}, stock_total=None)
    path = f"/api/v1/publisher/offers/{offer}/codes"
    empty = await demo.call(demo.merchant["token"], "POST", f"/api/v1/publisher/offers/{offer}/submit")
    assert (empty.status_code, [e["field"] for e in empty.json()["errors"]]) == (400, ["codes"])
    report = await demo.call(demo.merchant["token"], "POST", path, {"codes": ["AA", " ＡＡ ", "", "BB"]})
    assert report.json() == {"added": 2, "refused": [[2, "repeated"], [3, "blank"]]}, report.text
    assert (await demo.call(demo.merchant["token"], "POST", path, {"codes": ["BB"]})).json()["added"] == 0
    await demo.approved(offer)
    assert (await demo.call(None, "GET", f"/api/v1/offers/{offer}")).json()["stock_left"] == 2
    taken = await asyncio.gather(*(demo.redeem(resident, offer) for resident in demo.residents[:3]))
    assert sorted(answer.status_code for answer in taken) == [201, 201, 409]
    given = [answer.json()["coupon"]["code"] for answer in taken if answer.status_code == 201]
    assert sorted(given) == ["AA", "BB"]


async def test_the_registry_shows_retirements_to_all_and_accounts_to_their_own(demo: Demo) -> None:
    resident, offer = demo.residents[0], await demo.live_offer()
    coupon = (await demo.redeem(resident, offer)).json()
    await demo.verify(code=coupon["coupon"]["code"], bill_fen=1000)
    await settlement.settle(EmbeddedRegistry(), everything=True)
    journey = (await demo.call(resident, "GET", f"/api/v1/redemptions/{coupon['id']}")).json()
    entry = journey["settlement"]["receipt"]["id"]
    public = (await demo.call(None, "GET", f"/registry/v1/retirements/{entry}")).json()
    assert set(public) == {"id", "purpose", "amount_g", "recorded_at"}
    account = await app.db.fetch_value(
        "SELECT registry_account FROM resident WHERE id = $1", UUID(demo.credentials["residents"][0]["id"])
    )
    path = f"/registry/v1/accounts/{account}"
    assert (await demo.call(resident, "GET", path)).json()["retired_g"] == 400
    assert (await demo.call(demo.residents[1], "GET", path)).status_code == 404
    assert (await demo.call(demo.operator, "GET", f"{path}/operations?limit=1")).json()["next_cursor"]


BAD_AMOUNTS = ["0", "-1", str(2**63), "1e400", "NaN", '"１"', "true", "0.5", "[]", '"\\u0000"']


async def test_bad_amounts_are_400_and_change_nothing(demo: Demo) -> None:
    for amount in BAD_AMOUNTS:
        draft = f'{{"kind": "cash_coupon", "title": "x", "price_g": {amount}}}'
        await refused(demo, demo.merchant["token"], "/api/v1/publisher/offers", draft.encode())
        if amount != "0":
            bill = f'{{"code": "123456789012", "bill_fen": {amount}}}'
            await refused(demo, demo.till, "/api/v1/till/verifications", bill.encode())


BAD_BODIES = [b"", b"null", b"{", b"[" * 100_000, b'"\xff\xfe"', b'{"offer_id": "\\ud800"}', b'{"offer_id": 1}',
              b'{"offer_id": "x", "more": 1}', b"x" * 10_000_000]  # fmt: skip


async def test_bad_bodies_are_refused_without_a_fault(demo: Demo) -> None:
    for body in BAD_BODIES:
        await refused(demo, demo.residents[0], "/api/v1/redemptions", body)


async def refused(demo: Demo, token: str, path: str, body: bytes) -> None:
    """The call is bad input: a problem document, and nothing else."""
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k", "Content-Type": "application/json"}
    answer = await demo.client.post(path, content=body, headers=headers)
    assert answer.status_code in (400, 413), (body[:50], answer.text)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_others_things_do_not_exist(demo: Demo) -> None:
    mine, other = demo.residents[:2]
    redemption = (await demo.redeem(mine, await demo.live_offer())).json()["id"]
    assert (await demo.call(other, "GET", f"/api/v1/redemptions/{redemption}")).status_code == 404
    assert (await demo.call(other, "GET", f"/api/v1/redemptions/{redemption}/token")).status_code == 404
    bank = next(p for p in demo.credentials["publishers"] if p["kind"] == "bank")
    offer = await demo.live_offer()
    assert (await demo.call(bank["token"], "GET", f"/api/v1/publisher/offers/{offer}")).status_code == 404
    assert (await demo.call(mine, "GET", "/api/v1/publisher/offers")).status_code == 403
    assert (await demo.call(None, "GET", "/api/v1/me/wallet")).status_code == 401


async def test_an_operator_who_was_added_signs_in(database: str, tmp_path: Path) -> None:
    await add_operator(login="lisi", name="李四", password="long enough")
    for refused in ({"login": "lisi", "password": "long enough"}, {"login": "wangwu", "password": "short"}):
        with pytest.raises(ChutanError):
            await add_operator(name="李四", **refused)
    web = app.wired(Settings(home=tmp_path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://testserver") as client:
        sign_in = {"login": "lisi", "password": "long enough"}
        session = await client.post("/api/v1/auth/operator-sessions", json=sign_in)
        token = session.json()["token"]
        waiting = await client.get("/api/v1/operator/offers", headers={"Authorization": f"Bearer {token}"})
    assert (session.status_code, waiting.status_code) == (201, 200)


async def test_a_channel_is_opened_once_and_by_a_methodology_that_ships(database: str) -> None:
    await open_channel(key="metro", name="地铁", methodology="metro-wuhan")
    for key, methodology in (("metro", "metro-wuhan"), ("bus", "bus-nowhere"), ("Bus!", "bus-wuhan")):
        with pytest.raises(ChutanError):
            await open_channel(key=key, name="公交", methodology=methodology)
