"""Campaigns over the API and on pages without JavaScript."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from marketplace.campaigns import reading
from marketplace.identity.tokens import Principal
from marketplace.ids import new_id
from tests import builders
from tests.merchants.people import the_operator
from tests.web.test_kept import keeping  # noqa: F401  (fixture)
from tests.web.test_limits import Call, call, staff_of  # noqa: F401
from tests.web.test_pages import a_signed_in_operator, anyone, app  # noqa: F401

PLACE = "/operator/campaigns"
THREE = [
    {"name": "湖北省", "kind": "province", "share_bp": 5_000}, {"name": "武汉市", "kind": "city", "share_bp": 3_000},
    {"name": "楚商银行", "kind": "bank", "share_bp": 2_000},
]  # fmt: skip


async def opened(call: Call, **more: Any) -> dict[str, Any]:  # noqa: F811
    made = await call(await the_operator(), "POST", PLACE, {"name": "低碳季", "funders": THREE} | more)
    assert made.status_code == 201, made.text
    return made.json()


async def test_a_campaign_is_opened_paid_for_paused_and_ended(call: Call) -> None:  # noqa: F811
    made = await opened(call, open_to={"kinds": ["merchant"]}, ends_at="2036-01-01T00:00:00Z")
    one = f"{PLACE}/{made['id']}"
    assert (made["status"], made["budget_fen"], made["open_to"]["kinds"]) == ("open", 0, ["merchant"])
    paid = (await call(await the_operator(), "POST", f"{one}/funding", {"amount_fen": 1_001})).json()
    assert paid == {"id": made["id"], "amount_fen": 1_001, "funded_fen": 1_001, "waiting_fen": 0}
    shown = (await call(await the_operator(), "GET", one)).json()
    assert [funder["funded_fen"] for funder in shown["funders"]] == [501, 300, 200]
    assert (await call(await the_operator(), "POST", f"{one}/pause")).json()["status"] == "paused"
    assert (await call(await the_operator(), "POST", f"{one}/pause")).json()[
        "code"
    ] == "campaign_not_in_state"
    assert (await call(await the_operator(), "POST", f"{one}/resume")).json()["status"] == "open"
    assert (await call(await the_operator(), "PATCH", one, {"name": "低碳周", "ends_at": None})).json()[
        "name"
    ] == "低碳周"
    ended = (await call(await the_operator(), "POST", f"{one}/end")).json()
    assert (ended["status"], ended["funded_fen"]) == ("ended", 0)
    assert (await call(await the_operator(), "POST", f"{one}/end")).json()["code"] == "campaign_has_ended"
    events = [event["event"] for event in (await call(await the_operator(), "GET", f"{one}/events")).json()]
    assert events == ["returned", "ended", "changed", "resumed", "paused", "funded", "created"]
    assert [each["id"] for each in (await call(await the_operator(), "GET", PLACE)).json()] == [made["id"]]


async def test_one_funder_needs_no_shares(call: Call) -> None:  # noqa: F811
    made = (await call(await the_operator(), "POST", PLACE, {"name": "骑行季", "funder": "武汉市"})).json()
    assert [(funder["name"], funder["share_bp"]) for funder in made["funders"]] == [("武汉市", 10_000)]


async def test_shares_that_are_not_whole_are_told_at_their_field(call: Call) -> None:  # noqa: F811
    wrong = await call(await the_operator(), "POST", PLACE, {"name": "低碳季", "funders": THREE[:2]})
    assert wrong.status_code == 400
    assert [(error["field"], error["code"]) for error in wrong.json()["errors"]] == [
        ("funders", "shares_not_whole")
    ]


async def test_campaigns_are_the_operators_and_publishers_see_those_that_they_may_join(call: Call) -> None:  # noqa: F811
    made = await opened(call)
    await opened(call, open_to={"kinds": ["bank"]})
    shop = await builders.a_publisher(stores=["光谷店"])
    staff, resident = await staff_of(shop), Principal("resident", str(await builders.a_resident()))
    for who in (staff, resident):
        for method, place in (
            ("GET", PLACE),
            ("GET", f"{PLACE}/{made['id']}"),
            ("POST", f"{PLACE}/{made['id']}/end"),
        ):
            assert (await call(who, method, place)).status_code == 403
    assert [one["id"] for one in (await call(staff, "GET", "/publisher/campaigns")).json()] == [made["id"]]
    assert (await call(await the_operator(), "GET", f"{PLACE}/{new_id()}")).status_code == 404
    assert (await call(await the_operator(), "GET", f"{PLACE}/{new_id()}/offers")).status_code == 404


async def test_whoever_looks_sees_that_an_offer_is_out_of_budget(call: Call) -> None:  # noqa: F811
    campaign = await builders.a_campaign(999)
    offer = await builders.an_offer(kind="cash_coupon", benefit={"amount_fen": 1_000}, campaign=campaign)
    assert (await call(None, "GET", f"/offers/{offer.id}")).json()["budget_exhausted"] is True
    listed = (await call(await the_operator(), "GET", f"{PLACE}/{campaign}/offers")).json()
    assert [(one["title"], one["out_of_budget"]) for one in listed] == [(offer.title, True)]


# ------------------------------------------------------------------ pages
async def test_an_operator_opens_a_campaign_pays_in_limits_it_and_ends_it(anyone: Any) -> None:  # noqa: F811
    operator = anyone()
    await a_signed_in_operator(operator)
    await operator.open("/operator/campaigns/new")
    wrong = await operator.send(
        "/operator/campaigns/new", status=400, name="低碳季", funder_0="武汉市", share_0="60", kind_0="city",
        funder_1="楚商银行", share_1="30", kind_1="bank", ends_at="2036-01-31",
    )  # fmt: skip
    assert "100%" in wrong
    assert 'value="楚商银行"' in wrong
    await operator.send(
        "/operator/campaigns/new", name="低碳季", funder_0="武汉市", share_0="66.67", kind_0="city",
        funder_1="楚商银行", share_1="33.33", kind_1="bank", ends_at="2036-01-31",
    )  # fmt: skip
    campaign = (await reading.campaigns())[0]
    assert [funder.share_bp for funder in campaign.funders] == [6_667, 3_333]
    place = f"/operator/campaigns/{campaign.id}"
    await operator.open(place)
    assert 'aria-invalid="true"' in await operator.send(
        f"{place}/funding", status=400, amount_fen="x", funder=""
    )
    page = await operator.send(f"{place}/funding", amount_fen="100.01", funder="")
    assert "¥100.01" in page
    assert "2036-01-31 24:00" in page
    await operator.open(f"{place}/limits/new")
    assert "活动的所有权益" in await operator.send(f"{place}/limits/new", name="每人两次", per_resident="2")
    await operator.open(f"{place}/edit")
    assert "低碳周" in await operator.send(f"{place}/edit", name="低碳周")
    assert [funder.share_bp for funder in (await reading.campaign(campaign.id)).funders] == [6_667, 3_333]
    await operator.open(place)
    assert "已暂停" in await operator.send(f"{place}/pause")
    assert "已结束" in await operator.send(f"{place}/end")
    assert "低碳周" in await operator.open("/operator/campaigns")


async def test_a_payment_sent_twice_counts_once(anyone: Any) -> None:  # noqa: F811
    operator = anyone()
    await a_signed_in_operator(operator)
    campaign: UUID = await builders.a_campaign(0)
    await operator.open(f"/operator/campaigns/{campaign}")
    for _ in range(2):
        await operator.send(
            f"/operator/campaigns/{campaign}/funding", amount_fen="5", key="the-same", funder=""
        )
    assert await builders.budget_left_fen(campaign) == 500
