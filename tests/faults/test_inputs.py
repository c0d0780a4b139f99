"""Bad input to every call that takes a body, and other people's things by their ids, over the real server."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import httpx
import pytest

from marketplace.ids import new_id
from tests.faults import books
from tests.faults.conftest import Site
from tests.faults.machines import Server, connected

pytestmark = pytest.mark.whole

MEGABYTES = 10 * 1024 * 1024
DEEP = 100_000
NOT_JSON: dict[str, bytes] = {
    "nothing": b"", "half": b'{"offer_id": "', "two": b"{}{}", "not JSON": b"hello", "a page": b"<html></html>",
    "NaN": b'{"a": NaN}', "Infinity": b'{"a": Infinity}', "not UTF-8": b'{"a": "\xff\xfe"}', "latin": b'{"a":"\xe9"}',
    "NUL": b'{"a": "\\u0000"}', "a bare NUL": b"\x00", "a lone surrogate": b'{"a": "\\ud800"}',
    "deep lists": b"[" * DEEP + b"]" * DEEP, "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "ten megabytes": b'{"a": "' + b"x" * MEGABYTES + b'"}', "ten megabytes of space": b" " * MEGABYTES,
    "a list": b"[]", "null": b"null", "a string": b'"x"', "a number": b"1", "true": b"true",
    "an unknown field": b'{"nobody_knows_this": 1}', "the same twice": b'{"a": 1, "a": 2}',
}  # fmt: skip
NO_AMOUNTS: dict[str, str] = {
    "zero": "0", "minus one": "-1", "2^63": "9223372036854775808", "2^64": "18446744073709551616", "10^400": "1e400",
    "NaN": "NaN", "full width": '"１"', "text": '"1"', "true": "true", "a half": "0.5", "one with a point": "1.0",
    "minus 2^63": "-9223372036854775808", "a list": "[1]", "an object": "{}", "many digits": "1" * 5_000,
    "minus zero": "-0.0", "an exponent": "1e2", "text with a NUL": '"\\u0000"', "hexadecimal": '"0x10"',
}  # fmt: skip
NO_TEXTS: dict[str, str] = {
    "empty": '""', "a number": "1", "true": "true", "null": "null", "a list": "[]", "a NUL": '"\\u0000"',
    "long": '"' + "x" * 100_000 + '"', "a line break": '"a\\nb"', "a lone surrogate": '"\\ud800"',
    "right to left": '"\\u202e"',
    "an object": "{}", "a quote": "\"' OR 1=1 --\"",
}  # fmt: skip


async def test_no_body_makes_a_call_fail_on_our_side(site: Site) -> None:
    """Every call that the API's own description has with a body, made by whoever may make it."""
    server = await site.serve()
    wrong: list[str] = []
    calls = 0
    async with a_client(server) as client:
        channel = await a_channels_token(client, site)
        document = (await client.get("/schema/openapi.json")).json()
        for path, item in document["paths"].items():
            for verb, operation in item.items():
                if "requestBody" not in operation:
                    continue
                calls += 1
                (kind,) = operation["requestBody"]["content"]
                for name, body in NOT_JSON.items():
                    status, told = await sent(
                        client, verb.upper(), filled(path), token_for(path, site, channel), body, kind
                    )
                    if not is_refusal(status, told, kind):
                        wrong.append(f"{verb} {path} with {name}: {status} {told[:200]!r}")
    assert calls > 15
    assert not wrong, wrong[:20]
    assert not await books.audited(home=site.home, url=site.url)


async def test_no_field_takes_what_is_none(site: Site) -> None:
    server = await site.serve()
    world, id = site.world, str(new_id())
    crowd = site.crowd(server)
    coupon = await crowd.ask(crowd.redeeming(0, world.offers[0]))
    code = coupon[1]["coupon"]["code"]
    campaign = await a_campaign(site, server)
    draft = await a_draft(site, server)
    till, staff, operator = world.till_token, world.staff_token, site.world.demonstration["operator"]["token"]
    amounts = [
        ("POST", "/api/v1/till/verifications", till, f'{{"code": "{code}", "bill_fen": @}}', {"zero"}),
        ("POST", f"/api/v1/operator/campaigns/{campaign}/funding", operator, '{"amount_fen": @}', set()),
        *(
            ("PATCH", f"/api/v1/publisher/offers/{draft}", staff, f'{{"{field}": @}}', allowed)
            for field, allowed in (
                ("price_g", set()), ("cash_fen", {"zero"}), ("stock_total", {"zero"}), ("per_resident_limit", set()),
                ("coupon_valid_days", set()),
            )
        ),
        ("PATCH", f"/api/v1/publisher/offers/{draft}", staff, '{"benefit": {"item": "x", "value_fen": @}}', {"zero"}),
        ("PATCH", f"/api/v1/publisher/offers/{draft}", staff, '{"conditions": {"min_bill_fen": @}}', {"zero"}),
    ]  # fmt: skip
    texts = [
        ("POST", "/api/v1/redemptions", world.tokens[0], '{"offer_id": @}', set()),
        ("POST", "/api/v1/till/verifications", till, '{"code": @}', set()),
        ("POST", "/api/v1/till/verifications", till, '{"token": @}', set()),
        ("POST", "/api/v1/auth/otp", "", '{"phone": @}', set()),
        ("POST", "/api/v1/auth/sessions", "", '{"phone": @, "code": "123456"}', set()),
        ("POST", "/api/v1/me/links", world.tokens[0], '{"channel": @}', set()),
        ("PATCH", f"/api/v1/publisher/offers/{draft}", staff, '{"stores": [@]}', set()),
        ("PATCH", f"/api/v1/publisher/offers/{draft}", staff, '{"starts_at": @}', {"null"}),
        ("POST", f"/api/v1/operator/offers/{id}/reject", operator, '{"reason": @}', set()),
    ]
    wrong: list[str] = []
    async with a_client(server) as client:
        for cases, values in ((amounts, NO_AMOUNTS), (texts, NO_TEXTS)):
            for verb, path, token, template, allowed in cases:
                for name, value in values.items():
                    status, told = await sent(
                        client, verb, path, token, template.replace("@", value).encode()
                    )
                    fine = 400 <= status < 500 if name not in allowed else status < 500
                    if not fine or (cases is amounts and name not in allowed and status != 400):
                        wrong.append(f"{verb} {path} {template} with {name}: {status} {told[:200]!r}")
    assert not wrong, wrong[:20]
    assert not await books.audited(home=site.home, url=site.url)


@pytest.mark.parametrize("field", ["track_distance_m", "started_at", "trip_id", "rider_id"])
async def test_a_record_that_is_none_is_refused_by_itself(site: Site, field: str) -> None:
    server = await site.serve()
    good = {
        "trip_id": "t", "rider_id": "demo-rider-00", "bike_id": "b", "started_at": "2026-01-05T08:00:00+08:00",
        "ended_at": "2026-01-05T08:20:00+08:00", "track_distance_m": 3000,
    }  # fmt: skip
    async with a_client(server) as client:
        token = await a_channels_token(client, site)
        statuses: Counter[int] = Counter()
        for name, value in (NO_AMOUNTS | NO_TEXTS).items():
            record = json.dumps(good | {field: "@"}).replace('"@"', value)
            body = b'{"records": [%s]}' % record.encode()
            status, told = await sent(client, "POST", "/api/v1/channels/bike-share/activities", token, body)
            statuses[status] += 1
            assert status in (201, 400), (name, status, told)
    assert statuses[400]
    assert not await books.audited(home=site.home, url=site.url)


async def test_anothers_things_are_not_found(site: Site) -> None:
    server = await site.serve()
    crowd, world = site.crowd(server), site.world
    mine = await crowd.ask(crowd.redeeming(0, world.offers[0]))
    used = await crowd.ask(crowd.redeeming(1, world.offers[0]))
    verified = await crowd.ask(crowd.verifying(used[1]["coupon"]["code"], used[1]["id"]))
    redemption, code, verification = mine[1]["id"], mine[1]["coupon"]["code"], verified[1]["id"]
    draft = await a_draft(site, server)
    async with connected(site.url) as connection:
        account = await connection.fetchval(
            "SELECT registry_account::text FROM resident WHERE id = $1::uuid", world.residents[0]
        )
    stranger, till, staff = world.tokens[2], world.other_till_token, world.other_staff_token
    own_offer = f"/api/v1/publisher/offers/{draft}"
    attempts: list[tuple[str, str, str, Any]] = [
        ("GET", f"/api/v1/redemptions/{redemption}", stranger, None),
        ("GET", f"/api/v1/redemptions/{redemption}/token", stranger, None),
        ("GET", f"/api/v1/redemptions/{redemption}/key", stranger, None),
        ("POST", f"/api/v1/redemptions/{redemption}/cancel", stranger, None),
        ("GET", f"/registry/v1/accounts/{account}", stranger, None),
        ("GET", f"/registry/v1/accounts/{account}/operations", stranger, None),
        ("POST", "/api/v1/till/verifications", till, {"code": code}),
        ("POST", f"/api/v1/till/verifications/{verification}/reverse", till, None),
        ("GET", own_offer, staff, None),
        ("PATCH", own_offer, staff, {"title": "mine now"}),
        ("POST", f"{own_offer}/submit", staff, None),
        ("POST", f"{own_offer}/codes", staff, {"codes": ["a"]}),
        *(("POST", f"{own_offer}/{verb}", staff, None) for verb in ("pause", "resume", "end")),
        ("GET", f"/api/v1/offers/{draft}", stranger, None),
        ("POST", "/api/v1/redemptions", stranger, {"offer_id": draft}),
        ("DELETE", f"/api/v1/me/links/{await a_link(site)}", stranger, None),
    ]
    async with a_client(server) as client:
        for verb, path, token, body in attempts:
            content = b"" if body is None else json.dumps(body).encode()
            status, told = await sent(client, verb, path, token, content)
            assert status == 404, (verb, path, status, told)
            if body is None:  # and the same for what does not exist at all
                nowhere = path.replace(path.split("/")[4], str(new_id())) if "/registry" in path else path
                assert (await sent(client, verb, nowhere, token, content))[0] == 404
        listed = await client.get("/api/v1/redemptions", headers={"Authorization": f"Bearer {stranger}"})
        assert listed.json()["items"] == []
    await site.close_books(crowd)


# ------------------------------------------------------------------ shared
def a_client(server: Server) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.base_url, trust_env=False, timeout=60)


async def sent(
    client: httpx.AsyncClient, verb: str, path: str, token: str, body: bytes, kind: str = "application/json"
) -> tuple[int, str]:
    """Send it, again where the caller has sent too much; answers the status and what was told."""
    headers = {"Content-Type": kind, "Idempotency-Key": str(new_id())}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    while True:
        try:
            answer = await client.request(verb, path, content=body, headers=headers)
        except httpx.WriteError:  # the server has refused a body that is too long before it was whole
            return 400, "application/problem+json"
        if answer.status_code != 429 or path.startswith("/api/v1/auth"):
            return answer.status_code, f"{answer.headers.get('content-type')} {answer.text}"
        await asyncio.sleep(float(answer.headers["retry-after"]))


def is_refusal(status: int, told: str, kind: str) -> bool:
    """A problem that is the caller's, and nothing else. Not 403: the body is to be looked at."""
    if kind != "application/json":
        return 400 <= status < 500
    return status in (400, 401, 404, 422, 429) and "application/problem+json" in told


def filled(path: str) -> str:
    """The path with an id that nobody has, or the channel's key."""
    parts = path.split("/")
    return "/".join(
        ("bike-share" if part == "{key}" else str(new_id())) if part.startswith("{") else part
        for part in parts
    )


def token_for(path: str, site: Site, channel: str) -> str:
    world = site.world
    tokens = {"channels": channel, "till": world.till_token, "publisher": world.staff_token,
              "staff": world.staff_token, "auth": "", "operator": world.demonstration["operator"]["token"]}  # fmt: skip
    return next((token for part, token in tokens.items() if f"/{part}/" in path), world.tokens[5])


async def a_channels_token(client: httpx.AsyncClient, site: Site) -> str:
    credentials = next(c for c in site.world.demonstration["channels"] if c["key"] == "bike-share")
    granted = await client.post("/oauth/token", data={
        "grant_type": "client_credentials", "client_id": credentials["client_id"],
        "client_secret": credentials["client_secret"],
    })  # fmt: skip
    return str(granted.json()["access_token"])


async def a_draft(site: Site, server: Server) -> str:
    async with a_client(server) as client:
        made = await client.post(
            "/api/v1/publisher/offers", headers={"Authorization": f"Bearer {site.world.staff_token}"},
            json={"kind": "gift", "title": "帆布袋", "price_g": 100, "benefit": {"item": "袋", "value_fen": 100}},
        )  # fmt: skip
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def a_campaign(site: Site, server: Server) -> str:
    async with a_client(server) as client:
        made = await client.post(
            "/api/v1/operator/campaigns", json={"name": "绿色消费季", "funder": "武汉市"},
            headers={"Authorization": f"Bearer {site.world.demonstration['operator']['token']}",
                     "Idempotency-Key": str(new_id())},
        )  # fmt: skip
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def a_link(site: Site) -> str:
    async with connected(site.url) as connection:
        return str(await connection.fetchval("SELECT id FROM channel_link LIMIT 1"))
