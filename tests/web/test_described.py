"""The OpenAPI document tells the whole contract: calls, callers, keys, answers and every problem."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

import app
from marketplace.settings import Settings
from merchants.webhooks import KINDS
from tests.builders import a_resident, an_offer, cancel, redeem
from web.api.residents import Cancelled, Redeemed
from web.described import problem_codes

CORE = """
GET /healthz · GET /readyz · POST /oauth/token · POST /api/v1/auth/otp · POST /api/v1/auth/sessions
GET /api/v1/offers · GET /api/v1/offers/{} · GET /api/v1/me/wallet · GET /api/v1/me/wallet/entries
GET /api/v1/me/activities · POST /api/v1/redemptions · GET /api/v1/redemptions · GET /api/v1/redemptions/{}
POST /api/v1/redemptions/{}/cancel · GET /api/v1/redemptions/{}/token · POST /api/v1/till/verifications
POST /api/v1/till/verifications/{}/reverse · GET /api/v1/publisher/offers · POST /api/v1/publisher/offers
GET /api/v1/publisher/offers/{} · PATCH /api/v1/publisher/offers/{} · POST /api/v1/publisher/offers/{}/submit
POST /api/v1/publisher/offers/{}/{} · POST /api/v1/operator/offers/{}/approve · POST /api/v1/operator/offers/{}/reject
POST /api/v1/channels/{}/activities · GET /registry/v1/accounts/{} · GET /registry/v1/accounts/{}/operations
GET /registry/v1/retirements/{}
"""


@pytest.fixture
async def schema(tmp_path: Path) -> Any:
    web = app.wired(Settings(home=tmp_path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://testserver") as client:
        first, again = await client.get("/schema"), await client.get("/schema/openapi.json")
    assert first.content == again.content
    return first.json()


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {re.sub('{[^}]*}', '{}', path)}", operation


def test_every_core_call_is_described(schema):
    core = {call.strip() for line in CORE.strip().splitlines() for call in line.split("·")}

    assert core <= {name for name, _ in operations(schema)}


def test_every_reference_leads_somewhere(schema):
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(schema)))

    assert references
    for reference in references:
        found = schema
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def test_every_problem_code_is_named_with_its_status(schema):
    told = {
        code: int(name.removeprefix("Problem"))
        for name, response in schema["components"]["responses"].items()
        for code in re.findall("`([a-z_]+)`", response["description"])
    }

    assert (
        sorted(told)
        == schema["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
        == problem_codes()
    )
    assert (told["sold_out"], told["not_eligible"], told["coupon_not_found"], told["rate_limited"]) == (
        409, 403, 404, 429,
    )  # fmt: skip


def test_failures_are_problems_and_never_the_frameworks_own(schema):
    for name, operation in operations(schema):
        for status, response in operation["responses"].items():
            if status >= "400" and name not in ("POST /oauth/token", "GET /readyz"):
                assert response == {"$ref": f"#/components/responses/Problem{status}"}, name
    for status in ("429", "503"):
        assert "Retry-After" in schema["components"]["responses"][f"Problem{status}"]["headers"]


def test_calls_that_move_value_want_a_key_and_public_ones_no_token(schema):
    calls = dict(operations(schema))
    keyed = {
        name for name, operation in calls.items()
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ()))
    }  # fmt: skip

    assert keyed == {
        "POST /api/v1/redemptions", "POST /api/v1/redemptions/{}/cancel", "POST /api/v1/till/verifications",
        "POST /api/v1/till/verifications/{}/reverse", "POST /api/v1/channels/{}/activities",
        "POST /api/v1/operator/campaigns/{}/funding", "POST /api/v1/publisher/offers/{}/codes/generate",
    }  # fmt: skip
    assert (
        calls["POST /api/v1/auth/otp"]["security"]
        == calls["GET /registry/v1/retirements/{}"]["security"]
        == []
    )
    assert calls["GET /api/v1/offers"]["security"] == [{}, {"bearer": []}]
    assert "security" not in calls["GET /api/v1/me/wallet"]


def test_every_webhook_is_described(schema):
    assert set(schema["webhooks"]) == {*KINDS, "webhook.test"}
    for kind, webhook in schema["webhooks"].items():
        sent = webhook["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
        assert sent["type"] == {"const": kind}


async def test_stored_answers_are_of_the_shape_that_is_described(database):
    resident, offer = await a_resident(), await an_offer()
    redeemed = await redeem(resident, offer)

    assert set(redeemed) == set(Redeemed.__struct_fields__)
    msgspec.convert(redeemed, Redeemed)
    cancelled = await cancel(resident, redeemed["id"])
    assert set(cancelled) == set(Cancelled.__struct_fields__)
    msgspec.convert(cancelled, Cancelled)
