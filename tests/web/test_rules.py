"""Rules over HTTP: the facts there are, a rule checked and tried, why a resident may not, and programmes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

import app
from incentives.eligibility import RuleEligibility
from incentives.rules import FACTS
from marketplace.identity.operators import add_operator
from marketplace.identity.tokens import Principal, issue_token
from marketplace.settings import Settings
from merchants.staff import add_staff
from tests import builders
from tests.builders import a_resident, an_offer
from tests.web.test_pages import PASSWORD
from web.locale import text

DOCUMENT = Path(__file__).parents[2] / "docs" / "rules.md"
SOMEBODY = {"resident.city": "420500", "year.saved_g": 3_200}


def test_the_document_has_the_facts_as_the_code_and_the_api_tell_them():
    lines = DOCUMENT.read_text(encoding="utf-8").split("## Facts")[1].split("\n## ")[0].splitlines()
    written = [
        [cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")
    ]
    assert written == [
        [
            fact.name,
            fact.type,
            text("en", f"page.rule.{fact.name}"),
            text("en", f"page.rule_source.{fact.source}"),
        ]
        for fact in FACTS.values()
    ]


# ---------------------------------------------------------------- the API
class Api:
    """Our application over HTTP, called by whoever."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def __call__(
        self, who: str, method: str, path: str, json: Any = None, *, language: str = "en"
    ) -> Any:
        headers = {"Authorization": f"Bearer {who}", "Accept-Language": language, "Idempotency-Key": "k"}
        answer = await self.client.request(method, path, json=json, headers=headers)
        return answer.status_code, answer.json() if answer.content else None


@pytest.fixture
async def api(database: str, tmp_path: Path) -> AsyncIterator[Api]:
    web = app.wired(Settings(home=tmp_path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://testserver") as client:
        yield Api(client)


async def a_member_of_staff(role: str = "owner") -> str:
    publisher = await builders.a_publisher(stores=["光谷店"])
    staff = await add_staff(publisher=publisher, login=role, name="店长", password=PASSWORD, role=role)  # type: ignore[arg-type]
    return await issue_token(Principal("staff", str(staff.id)))


async def the_resident(resident: UUID) -> str:
    return await issue_token(Principal("resident", str(resident)))


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_publishers_are_told_every_fact_with_its_meaning_and_values(api, language):
    status, told = await api(
        await a_member_of_staff(), "GET", "/api/v1/publisher/rule-facts", language=language
    )
    assert status == 200
    assert [fact["name"] for fact in told] == list(FACTS)
    assert all(fact["title"] and fact["meaning"] and fact["source"] for fact in told)
    tier = next(fact for fact in told if fact["name"] == "resident.tier")
    assert [value["value"] for value in tier["values"]] == [1, 2, 3, 4, 5]
    assert (await api(await the_resident(await a_resident()), "GET", "/api/v1/publisher/rule-facts"))[
        0
    ] == 403


async def test_a_rule_is_checked_and_tried_before_it_is_used(api):
    staff, call = await a_member_of_staff(), ("POST", "/api/v1/publisher/rule-check")
    rule = "resident.city == '420500' && year.saved_g >= 5000"
    assert await api(staff, *call, {"rule": rule}) == (200, {"facts": ["resident.city", "year.saved_g"]})
    status, told = await api(staff, *call, {"rule": rule, "facts": SOMEBODY})
    assert (status, told["holds"]) == (200, False)
    assert told["reason_details"] == [{
        "code": "not_eligible", "why": "below_minimum",
        "facts": {"fact": "year.saved_g", "operator": ">=", "needed": 5_000, "actual": 3_200},
        "detail": "needs at least 5 kg of reductions in the last year, you have 3.2 kg",
    }]  # fmt: skip
    status, told = await api(staff, *call, {"rule": rule, "facts": SOMEBODY | {"year.saved_g": 5_000}})
    assert (status, told["holds"], told["reason_details"]) == (200, True, [])


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "character 1: there is no fact resident.shoes"),
        ("zh-CN", "第 1 个字符：没有「resident.shoes」这个事实项"),
    ],
)
async def test_a_rule_that_is_none_is_refused_with_its_place(api, language, words):
    staff, sent = await a_member_of_staff(), {"rule": "resident.shoes > 40"}
    status, problem = await api(staff, "POST", "/api/v1/publisher/rule-check", sent, language=language)
    place = {"line": 1, "column": 1, "word": "resident.shoes"}
    assert status == 400
    assert problem["errors"] == [{"field": "rule", "code": "rule_fact_unknown", "detail": words, **place}]


@pytest.mark.parametrize(
    ("facts", "code"),
    [({"resident.shoes": 40}, "unknown_field"), ({"year.saved_g": "5"}, "wrong_type"),
     ({"year.saved_g": True}, "wrong_type"), ({"year.saved_g": 2**63}, "wrong_type"),
     ({"resident.verified": 1}, "wrong_type"),
     ({"resident.programmes": [1]}, "wrong_type"), ({"resident.city": None}, "wrong_type")],
)  # fmt: skip
async def test_a_rule_is_tried_with_facts_of_their_type_only(api, facts, code):
    sent = {"rule": "true", "facts": facts}
    status, problem = await api(await a_member_of_staff(), "POST", "/api/v1/publisher/rule-check", sent)
    assert (status, problem["errors"][0]["code"]) == (400, code)


async def test_an_offer_is_submitted_with_a_rule_that_is_one(api):
    staff = await a_member_of_staff()
    draft = {"kind": "donation", "title": "好礼", "price_g": 100, "benefit": {"cause": "湿地", "value_fen": 0},
             "eligibility": "resident.city = '420100'"}  # fmt: skip
    _, offer = await api(staff, "POST", "/api/v1/publisher/offers", draft)
    status, problem = await api(staff, "POST", f"/api/v1/publisher/offers/{offer['id']}/submit")
    assert (status, problem["errors"][0]["code"], problem["errors"][0]["column"]) == (
        400,
        "rule_character",
        15,
    )


async def test_a_resident_is_told_every_condition_that_is_not_met_before_and_when_redeeming(api):
    rule = "resident.verified && year.saved_g >= 5000 && resident.city == '420100'"
    offer = await an_offer(eligibility=rule, rules=RuleEligibility(), price_g=9_000)
    token = await the_resident(await a_resident(5_000))
    for path in ("/api/v1/offers", f"/api/v1/offers/{offer.id}"):
        _, told = await api(token, "GET", path)
        shown = told["items"][0] if "items" in told else told
        assert (shown["eligible"], shown["reasons"]) == (False, ["insufficient_reductions", "not_eligible"])
        assert [(one["code"], one.get("why"), one["detail"]) for one in shown["reason_details"]] == [
            ("insufficient_reductions", None, text("en", "problem.insufficient_reductions.detail")),
            ("not_eligible", "needed", "needs the real-name check"),
            (
                "not_eligible",
                "below_minimum",
                "needs at least 5 kg of reductions in the last year, you have 0 g",
            ),
        ]
    status, problem = await api(
        token, "POST", "/api/v1/redemptions", {"offer_id": str(offer.id)}, language="zh-CN"
    )
    assert (status, problem["code"]) == (403, "not_eligible")
    assert [one["detail"] for one in problem["reason_details"]] == [
        "须先完成实名认证", "过去一年的减排量须达到 5 千克，您目前是 0 克",
    ]  # fmt: skip


async def test_programmes_are_the_operators_and_memberships_the_residents(api):
    operator = await issue_token(Principal("operator", str(await an_operator())))
    resident = await builders.create_resident(phone="13800000001")
    token = await the_resident(resident)
    made = {"key": "wugang", "name": "武钢", "kind": "employer"}
    assert await api(operator, "POST", "/api/v1/operator/programmes", made) == (201, made | {"members": 0})
    assert (await api(operator, "POST", "/api/v1/operator/programmes", made))[1]["code"] == "programme_exists"
    assert (await api(token, "POST", "/api/v1/operator/programmes", made))[0] == 403
    phones = {"phones": ["13800000001", "13800000009"]}
    assert await api(operator, "POST", "/api/v1/operator/programmes/wugang/members", phones) == (
        200, {"enrolled": 1, "already": 0, "unknown": 1},
    )  # fmt: skip
    assert (await api(operator, "POST", "/api/v1/operator/programmes/nobody/members", phones))[0] == 404
    _, own = await api(token, "GET", "/api/v1/me/programmes")
    assert [(one["programme"], one["name"]) for one in own] == [("wugang", "武钢")]
    assert (await api(token, "DELETE", "/api/v1/me/programmes/wugang"))[0] == 204
    assert (await api(token, "DELETE", "/api/v1/me/programmes/wugang"))[0] == 404
    assert (await api(operator, "GET", "/api/v1/operator/programmes"))[1] == [made | {"members": 0}]
    assert await api(operator, "POST", "/api/v1/operator/programmes/wugang/dismissals", phones) == (
        200,
        {"ended": 0},
    )


async def an_operator() -> UUID:
    return await add_operator(login="op", name="运营", password=PASSWORD)
