"""The API of pools: a file in pieces with progress, generated codes, the alarm; as the pages answer, so does it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import app
from marketplace.identity.tokens import Principal, issue_token
from marketplace.ids import new_id
from marketplace.pools.loading import load_waiting
from marketplace.settings import Settings
from merchants.staff import add_staff
from tests.builders import a_resident, an_offer, redeemed
from tests.marketplace.pools.filling import some_codes

OFFERS, UPLOADS = "/api/v1/publisher/offers", "/api/v1/publisher/uploads"


class Shop:
    """A publisher's program, with an offer of two codes."""

    def __init__(self, client: httpx.AsyncClient, offer: Any) -> None:
        self.client, self.offer = client, offer

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        return await self.client.request(method, path, headers={"Idempotency-Key": str(new_id())}, **more)

    async def begin(self, size_bytes: int, **more: Any) -> httpx.Response:
        body = {"name": "c.csv", "size_bytes": size_bytes, **more}
        return await self.call("POST", f"{OFFERS}/{self.offer.id}/uploads", json=body)

    async def send(self, upload: str, offset: int, piece: bytes) -> httpx.Response:
        return await self.call("PUT", f"{UPLOADS}/{upload}/content?offset={offset}", content=piece)


@pytest.fixture
async def shop(database: str, tmp_path: Path) -> AsyncIterator[Shop]:
    offer = await an_offer(kind="code")
    staff = await add_staff(
        publisher=offer.publisher.id, login="dz", name="店长", password="chutan-test", role="manager"
    )
    token = await issue_token(Principal("staff", str(staff.id)))
    transport = httpx.ASGITransport(app.wired(Settings(home=tmp_path)))
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://testserver", headers=headers
    ) as client:
        yield Shop(client, offer)


async def test_a_file_is_sent_in_pieces_gone_on_with_and_loaded(shop: Shop) -> None:
    content = some_codes(3_000) + b"\n\nCODE-000007\n"
    begun = await shop.begin(len(content), expires_on="2030-01-01")
    assert begun.status_code == 201, begun.text
    upload = begun.json()
    assert (upload["state"], upload["received_bytes"], upload["expires_at"]) == (
        "receiving", 0, "2030-01-01T16:00:00Z",
    )  # fmt: skip
    first = await shop.send(upload["id"], 0, content[:20_000])
    assert (first.status_code, first.json()["received_bytes"]) == (200, 20_000), first.text
    again = await shop.send(upload["id"], 0, content[:20_000])  # its answer was lost
    assert (again.status_code, again.json()["code"], again.json()["received_bytes"]) == (
        409, "upload_offset_wrong", 20_000,
    )  # fmt: skip
    last = await shop.send(upload["id"], 20_000, content[20_000:])
    assert last.json()["state"] == "received"
    await load_waiting()
    done = (await shop.call("GET", f"{UPLOADS}/{upload['id']}")).json()
    assert (done["state"], done["lines"], done["loaded"], done["added"], done["refused"]) == (
        "loaded", 3_002, 3_002, 3_000, 2,
    )  # fmt: skip
    report = await shop.call("GET", f"{UPLOADS}/{upload['id']}/report")
    assert report.content.decode("utf-8-sig").split("\r\n") == [
        "line,fault",
        "3001,blank",
        "3002,repeated",
        "",
    ]
    listed = (await shop.call("GET", f"{OFFERS}/{shop.offer.id}/uploads?limit=1")).json()
    assert [one["id"] for one in listed["items"]] == [upload["id"]]
    assert listed["next_cursor"]


async def test_what_is_too_large_or_binary_is_told_apart(shop: Shop) -> None:
    assert (await shop.begin(8 * 1024 * 1024 + 1)).json()["errors"][0]["field"] == "size_bytes"
    upload = (await shop.begin(3_000_000)).json()["id"]
    large = await shop.send(upload, 0, b"A" * 1_048_577)
    assert (large.status_code, large.json()["errors"][0]["code"]) == (400, "too_large")
    binary = await shop.send(upload, 0, b'\0\xff{"\\u0000%00')
    assert binary.status_code == 200, "bytes are bytes, whatever they look like"
    assert (await shop.send(upload, -1, b"A")).status_code == 409


async def test_codes_are_made_once_a_key_and_handed_over_once(shop: Shop) -> None:
    path, body = f"{OFFERS}/{shop.offer.id}/codes/generate", {"count": 5, "prefix": "SHUBA"}
    missing = await shop.client.post(path, json=body)
    assert (missing.status_code, missing.json()["code"]) == (400, "idempotency_key_missing")
    key = {"Idempotency-Key": "k"}
    first, again = [await shop.client.post(path, json=body, headers=key) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    reused = await shop.client.post(path, json=body | {"count": 6}, headers=key)
    assert reused.json()["code"] == "idempotency_key_reused"
    export = f"{UPLOADS}/{first.json()['id']}/export"
    assert (await shop.call("POST", export)).json()["code"] == "codes_not_ready"
    await load_waiting()
    file = await shop.call("POST", export)
    assert file.headers["content-type"].startswith("text/csv")
    assert len(file.content.decode("utf-8-sig").split()) == 6
    assert (await shop.call("POST", export)).json()["code"] == "codes_exported_already"


async def test_the_pool_tells_its_counts_and_its_alarm(shop: Shop) -> None:
    pool = f"{OFFERS}/{shop.offer.id}/pool"
    await redeemed(shop.offer, await a_resident())
    assert (await shop.call("GET", pool)).json() == {
        "codes": 2,
        "given": 1,
        "left": 1,
        "alarm_at": 0,
        "low": False,
    }
    low = await shop.call("PUT", pool, json={"alarm_at": 1})
    assert low.json() == {"codes": 2, "given": 1, "left": 1, "alarm_at": 1, "low": True}
    (upload,) = (await shop.call("GET", f"{OFFERS}/{shop.offer.id}/uploads")).json()["items"]
    back = await shop.call("POST", f"{UPLOADS}/{upload['id']}/withdraw")
    assert (back.json()["state"], back.json()["withdrawn"]) == ("withdrawn", 1)


async def test_anothers_pool_is_not_found(shop: Shop) -> None:
    other = await an_offer(kind="code")
    for method, path, more in (
        ("GET", "pool", {}), ("PUT", "pool", {"json": {"alarm_at": 1}}), ("GET", "uploads", {}),
        ("POST", "uploads", {"json": {"name": "c", "size_bytes": 1}}),
        ("POST", "codes/generate", {"json": {"count": 1}}),
    ):  # fmt: skip
        answer = await shop.call(method, f"{OFFERS}/{other.id}/{path}", **more)
        assert answer.status_code == 404, (method, path, answer.text)
    for method, verb in (("GET", ""), ("GET", "/report"), ("POST", "/export"), ("POST", "/withdraw")):
        assert (await shop.call(method, f"{UPLOADS}/{new_id()}{verb}")).status_code == 404
