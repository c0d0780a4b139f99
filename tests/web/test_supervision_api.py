"""What operators do about publishers and each other, over the API; what is another city's does not exist."""

from __future__ import annotations

from marketplace import db
from marketplace.identity.operators import add_operator, remove_operator
from marketplace.identity.tokens import Principal, issue_token
from tests import builders
from tests.merchants.people import PASSWORD, an_application
from tests.web.test_auth import bearer
from tests.web.test_publishers_api import app, client  # noqa: F401  (fixtures)
from tests.web.test_supervision import WUHAN, YICHANG, a_submitted_offer

OPERATOR = "/api/v1/operator"


async def headers_of(city: str | None, login: str = "") -> dict[str, str]:
    operator = await add_operator(login=login or f"api-{city}", name="运营", password=PASSWORD, city=city)
    return bearer(await issue_token(Principal("operator", str(operator))))


async def test_the_api_suspends_reinstates_and_names_the_request_in_the_trail(client):  # noqa: F811
    offer = await builders.an_offer()
    operator, place = await headers_of(None), f"{OPERATOR}/publishers/{offer.publisher.id}"
    said = {"reason": "投诉查实", "coupons_out": "given_back"}
    answer = await client.post(f"{place}/suspend", json=said, headers=operator)
    assert (answer.status_code, answer.json()["publisher"]["status"]) == (200, "suspended")
    again = await client.post(f"{place}/suspend", json=said, headers=operator)
    assert (again.status_code, again.json()["code"]) == (409, "publisher_suspended")
    for wrong in (
        {"reason": "x"},
        {"reason": "", "coupons_out": "kept"},
        {"reason": "x", "coupons_out": "burnt"},
    ):
        assert (await client.post(f"{place}/suspend", json=wrong, headers=operator)).status_code == 400
    trail = (await client.get(f"{OPERATOR}/deeds?about={offer.publisher.id}", headers=operator)).json()[
        "items"
    ]
    assert [(deed["deed"], deed["request_id"]) for deed in trail] == [
        ("suspend_given_back", answer.headers["x-request-id"])
    ]
    assert (
        await client.post(f"{place}/reinstate", json={"reason": "整改"}, headers=operator)
    ).status_code == 200
    closed = await client.post(f"{place}/close", json={"reason": "注销"}, headers=operator)
    assert (closed.status_code, closed.json()["code"]) == (409, "publisher_not_suspended")


async def test_what_is_another_citys_does_not_exist_over_the_api(client):  # noqa: F811
    offer = await a_submitted_offer(WUHAN, "武汉礼")
    applicant = await an_application(city=WUHAN)
    yichang = await headers_of(YICHANG)
    nothing = {"reason": "x", "coupons_out": "kept"}
    tries = [
        ("GET", f"/publishers/{offer.publisher.id}", None),
        ("POST", f"/publishers/{offer.publisher.id}/suspend", nothing),
        ("POST", f"/publishers/{offer.publisher.id}/reinstate", {"reason": "x"}),
        ("POST", f"/publishers/{offer.publisher.id}/close", {"reason": "x"}),
        ("POST", f"/offers/{offer.id}/approve", None),
        ("POST", f"/offers/{offer.id}/reject", {"reason": "x"}),
        ("GET", f"/applications/{applicant.publisher}", None),
        ("POST", f"/applications/{applicant.publisher}/approve", {"revision": 1}),
        ("POST", f"/applications/{applicant.publisher}/reject", {"revision": 1, "reason": "x"}),
    ]
    for method, path, body in tries:
        answer = await client.request(method, OPERATOR + path, json=body, headers=yichang)
        assert answer.status_code == 404, (path, answer.text)
    for path in ("/offers", "/applications", "/publishers", "/deeds"):
        assert (await client.get(OPERATOR + path, headers=yichang)).json()["items"] == []
    for path in ("/campaigns", "/audit", "/operators", "/programmes"):
        assert (await client.get(OPERATOR + path, headers=yichang)).status_code == 403


async def test_an_operator_who_was_removed_is_nobody_at_once(client):  # noqa: F811
    await headers_of(None, "first")
    gone = await headers_of(None, "second")
    assert (await client.get(f"{OPERATOR}/operators", headers=gone)).status_code == 200
    known = await db.fetch_value("SELECT id FROM operator WHERE login = 'second'")
    session = await client.post(
        "/api/v1/auth/operator-sessions", json={"login": "second", "password": PASSWORD}
    )
    await remove_operator(operator=known, actor="test")
    for headers in (gone, bearer(session.json()["token"])):
        assert (await client.get(f"{OPERATOR}/operators", headers=headers)).status_code == 401
    again = await client.post(
        "/api/v1/auth/operator-sessions", json={"login": "second", "password": PASSWORD}
    )
    assert again.status_code == 401
