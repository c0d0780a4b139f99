"""Limits as publishers set them and residents meet them, over the API and on pages without JavaScript."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from marketplace import clock, db
from marketplace.identity.tokens import Principal, issue_token
from marketplace.ids import new_id
from marketplace.offers import shared_limits
from marketplace.offers.shared_limits import NewLimit, Owner
from marketplace.offers.terms import Limits, Windows
from tests import builders
from tests.merchants.people import an_operator
from tests.web.test_kept import an_app, keeping  # noqa: F401  (fixtures)
from tests.web.test_offer_pages import owner, the_offer, write  # noqa: F401
from tests.web.test_pages import (  # noqa: F401
    Visitor,
    a_signed_in_resident,
    anyone,
    app,
    served,
)
from web.sessions import COOKIE

Call = Any


@pytest.fixture
async def call(database: str, keeping: None) -> Call:  # noqa: F811
    """Calls of the API as somebody: who, method, path, body."""
    whole = an_app()
    async with served(whole):
        transport = httpx.ASGITransport(whole)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver/api/v1") as client:

            async def called(
                who: Principal | None, method: str, path: str, body: Any = None
            ) -> httpx.Response:
                headers = {"idempotency-key": str(new_id())}
                if who is not None:
                    headers["authorization"] = f"Bearer {await issue_token(who)}"
                return await client.request(method, path, json=body, headers=headers)

            yield called


async def staff_of(publisher: UUID, role: str = "owner") -> Principal:
    from merchants.staff import add_staff

    member = await add_staff(
        publisher=publisher, login=str(new_id()), name="店长", password="correct horse", role=role
    )
    return Principal("staff", str(member.id))


# ------------------------------------------------------------------ over the API
async def test_limits_are_written_and_read_as_they_are_documented(call: Call) -> None:
    publisher = await builders.a_publisher(stores=["光谷店"])
    staff = await staff_of(publisher)
    limits = {
        "stock_per_day": 20, "budget_fen": 100_000, "budget_per_day_fen": 5_000,
        "limits": {"per_resident_per_day": 1, "per_resident_per_week": 3},
        "redeem_windows": {"weekdays": [1, 2], "hours": [["22:00", "02:00"]]},
    }  # fmt: skip
    terms = {"kind": "cash_coupon", "title": "早餐券", "price_g": 100, "benefit": {"amount_fen": 500}}

    made = (await call(staff, "POST", "/publisher/offers", terms | limits)).json()
    assert {name: made[name] for name in limits} == limits
    assert made["stock_left_today"] == 20
    assert [one["limit"] for one in made["usage"]] == ["stock_per_day", "budget_fen", "budget_per_day_fen"]
    changed = (await call(staff, "PATCH", f"/publisher/offers/{made['id']}", dict.fromkeys(limits))).json()
    assert (changed["limits"], changed["redeem_windows"], changed["usage"]) == ({}, {}, [])

    wrong = await call(
        staff, "PATCH", f"/publisher/offers/{made['id']}", {"limits": {"per_resident_per_day": 0}}
    )
    assert [(error["field"], error["code"]) for error in wrong.json()["errors"]] == [
        ("limits.per_resident_per_day", "out_of_range")
    ]


async def test_a_refusal_says_when_it_ends_and_the_offer_says_it_beforehand(call: Call) -> None:
    offer = await builders.an_offer(limits=Limits(per_resident_per_day=1), stock_per_day=9)
    resident = Principal("resident", str(await builders.a_resident()))
    assert (await call(resident, "POST", "/redemptions", {"offer_id": str(offer.id)})).status_code == 201

    refused = await call(resident, "POST", "/redemptions", {"offer_id": str(offer.id)})
    shown = (await call(resident, "GET", f"/offers/{offer.id}")).json()

    midnight = clock.end_of_day(clock.local_day(clock.now()))
    assert (refused.status_code, refused.json()["code"]) == (409, "limit_reached_today")
    assert refused.json()["resets_at"] == midnight.isoformat().replace("+00:00", "Z")
    assert "00:00" in refused.json()["detail"]
    assert (shown["eligible"], shown["reasons"]) == (False, ["limit_reached_today"])
    assert shown["resets"] == {"limit_reached_today": refused.json()["resets_at"]}
    assert (shown["stock_left_today"], "usage" in shown, "budget_fen" in shown) == (8, False, False)


async def test_a_publisher_sets_changes_and_lifts_a_shared_limit(call: Call) -> None:
    publisher = await builders.a_publisher(stores=["光谷店"])
    staff, cashier = await staff_of(publisher), await staff_of(publisher, "cashier")
    offers = [str((await builders.an_offer(publisher=publisher)).id) for _ in range(2)]
    resident = Principal("resident", str(await builders.a_resident()))

    made = await call(
        staff, "POST", "/publisher/limits", {"name": "早餐", "offers": offers, "per_resident": 1}
    )
    limit = f"/publisher/limits/{made.json()['id']}"
    assert (made.status_code, made.json()["offers"], made.json()["ended_at"]) == (201, offers, None)
    listed = (await call(None, "GET", f"/offers/{offers[0]}")).json()["shared_limits"]
    assert [(one["name"], one["per_resident"], one["campaign"]) for one in listed] == [("早餐", 1, None)]

    assert (await call(resident, "POST", "/redemptions", {"offer_id": offers[0]})).status_code == 201
    refused = await call(resident, "POST", "/redemptions", {"offer_id": offers[1]})
    assert refused.json()["code"] == "shared_limit_reached"

    assert (await call(cashier, "POST", f"{limit}/end")).status_code == 403
    assert (await call(staff, "PATCH", limit, {"per_resident": 2})).json()["per_resident"] == 2
    assert (await call(resident, "POST", "/redemptions", {"offer_id": offers[1]})).status_code == 201
    assert (await call(staff, "POST", f"{limit}/end")).json()["ended_at"] is not None
    assert (await call(staff, "POST", f"{limit}/end")).json()["code"] == "limit_has_ended"
    assert (await call(None, "GET", f"/offers/{offers[0]}")).json()["shared_limits"] == []
    page = (await call(cashier, "GET", "/publisher/limits")).json()
    assert ([one["name"] for one in page["items"]], page["next_cursor"]) == (["早餐"], None)


async def test_an_operator_limits_a_campaign_and_nobody_else_can(call: Call) -> None:
    campaign = await builders.a_campaign(100_000)
    offer = await builders.an_offer(kind="cash_coupon", campaign=campaign)
    place = f"/operator/campaigns/{campaign}/limits"
    operator = Principal("operator", str((await an_operator()).id))
    made = await call(operator, "POST", place, {"name": "低碳季", "per_resident_per_week": 2})
    limit = f"{place}/{made.json()['id']}"
    assert (made.status_code, made.json()["offers"], made.json()["campaign"]) == (201, None, str(campaign))
    for who in (await staff_of(offer.publisher.id), Principal("resident", str(await builders.a_resident()))):
        assert (await call(who, "POST", f"{limit}/end")).status_code == 403
    other = await builders.a_campaign(0)
    elsewhere = limit.replace(str(campaign), str(other))
    assert (await call(operator, "PATCH", elsewhere, {"per_resident": 1})).status_code == 404
    assert (await call(operator, "GET", limit)).json()["name"] == "低碳季"
    assert (await call(operator, "PATCH", limit, {"name": "低碳周"})).json()["name"] == "低碳周"
    assert (await call(operator, "POST", f"{limit}/end")).status_code == 200
    assert len((await call(operator, "GET", place)).json()["items"]) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "", "per_resident": 1}, "name"), ({"name": "a" * 61, "per_resident": 1}, "name"),
        ({"name": "x\u202e", "per_resident": 1}, "name"), ({"name": "x"}, "per_resident"),
        ({"name": "x", "per_resident": 0}, "per_resident"), ({"name": "x", "per_resident": "1"}, "per_resident"),
        ({"name": "x", "per_resident": 10**12}, "per_resident"), ({"name": "x", "per_resident": 1}, "offers"),
        ({"name": "x", "per_resident": 1, "offers": ["nonsense"]}, "offers.0"),
        ({"name": "x", "per_resident": 1, "offers": [str(new_id())]}, "offers"),
        ({"name": "x", "per_resident": 1, "per_month": 1}, "per_month"), ({}, "name"),
    ],
)  # fmt: skip
async def test_a_shared_limit_that_cannot_be_meant_is_refused_at_its_field(
    call: Call, body: dict[str, Any], field: str
) -> None:
    staff = await staff_of(await builders.a_publisher())
    answer = await call(staff, "POST", "/publisher/limits", body)
    assert answer.status_code == 400
    assert field in [error["field"] for error in answer.json()["errors"]]


async def test_whoever_is_not_signed_in_sees_a_new_limit_at_once(call: Call) -> None:
    publisher = await builders.a_publisher(stores=["光谷店"])
    staff, offer = await staff_of(publisher), await builders.an_offer(publisher=publisher)

    async def seen() -> list[str]:
        item = (await call(None, "GET", "/offers")).json()["items"][0]
        return [one["name"] for one in item["shared_limits"]]

    assert await seen() == []
    body = {"name": "早餐", "offers": [str(offer.id)], "per_resident": 1}
    made = await call(staff, "POST", "/publisher/limits", body)
    assert await seen() == ["早餐"]
    await call(staff, "POST", f"/publisher/limits/{made.json()['id']}/end")
    assert await seen() == []


# ------------------------------------------------------------------ on the pages
TYPED = {
    "limits__per_resident_per_day": "1", "limits__per_resident_per_week": "3", "stock_per_day": "20",
    "budget_fen": "1000", "budget_per_day_fen": "50.5", "redeem_weekdays": ["6", "7"], "redeem_from": "22:00",
    "redeem_to": "02:00",
}  # fmt: skip


async def test_limits_are_typed_and_come_back_as_they_were_typed(owner: Visitor) -> None:  # noqa: F811
    await write(owner, "cash_coupon", then="save", **TYPED)
    offer = await the_offer(owner)
    assert (offer.stock_per_day, offer.limits) == (20, Limits(1, 3))
    assert (offer.budget_fen, offer.budget_per_day_fen) == (100_000, 5_050)
    assert offer.redeem_windows == Windows((6, 7), (("22:00", "02:00"),))
    page = await owner.open(f"/publisher/offers/{offer.id}")
    assert '<details class="more-fields" open>' in page
    await owner.send(f"/publisher/offers/{offer.id}", then="save", redeem_weekdays=["6", "7"])
    assert await the_offer(owner) == offer


async def test_every_limit_that_is_wrong_is_told_at_its_field_and_nothing_typed_is_lost(
    owner: Visitor,  # noqa: F811
) -> None:
    wrong = {"limits__per_resident_per_day": "x", "limits__per_resident_per_week": "0", "stock_per_day": "-1",
             "budget_fen": "1.234", "budget_per_day_fen": "0", "redeem_to": "25:00"}  # fmt: skip
    page = await write(owner, "cash_coupon", status=400, then="save", **TYPED | wrong)
    for name in ("limits.per_resident_per_day", "limits.per_resident_per_week", "stock_per_day", "budget_fen",
                 "budget_per_day_fen", "redeem_to"):  # fmt: skip
        field = page.split(f'id="{name}"')[1].split("</div>\n</div>")[0].split('<div class="field')[0]
        assert f'<p class="field__error" id="{name}-note">' in field, name
    for typed in ("x", "-1", "1.234", "25:00", "22:00"):
        assert f'value="{typed}"' in page
    assert 'name="redeem_weekdays" value="7" checked' in page
    assert await db.fetch_value("SELECT count(*) FROM offer") == 0


async def test_a_budget_below_the_face_value_is_told_when_the_offer_is_submitted(
    owner: Visitor,  # noqa: F811
) -> None:
    page = await write(owner, "cash_coupon", status=400, then="submit", budget_fen="4.99")
    assert '<p class="field__error" id="budget_fen-note">' in page


async def test_an_offer_with_more_hours_than_the_form_has_is_shown_and_not_lost(
    owner: Visitor,  # noqa: F811
) -> None:
    await write(owner, "cash_coupon", then="save")
    offer = await the_offer(owner)
    twice = {"hours": [["08:00", "09:00"], ["18:00", "19:00"]]}
    await builders.edited(offer, redeem_windows=twice)
    page = await owner.open(f"/publisher/offers/{offer.id}")
    assert "08:00–09:00、18:00–19:00" in page
    assert 'name="title"' not in page


async def test_the_publishers_page_shows_how_far_each_limit_has_come(owner: Visitor) -> None:  # noqa: F811
    offer = await builders.an_offer(
        publisher=owner.publisher, kind="cash_coupon", stock=10, stock_per_day=4, budget_fen=500_000,
        limits=Limits(per_resident_per_week=2),
    )  # fmt: skip
    breakfast = NewLimit(name="早餐", offers=(offer.id,), per_resident=3)
    await shared_limits.create_limit(Owner(publisher=owner.publisher), breakfast, actor="test")
    await builders.redeem(await builders.a_resident(), offer)
    page = await owner.open(f"/publisher/offers/{offer.id}")
    counts = [part.split("</dd>")[0] for part in page.split('<strong class="usage__count">')[1:]]
    assert [count.split("<meter")[0].replace("</strong>", "").split() for count in counts] == [
        ["1", "/", "10"], ["1", "/", "4"], ["¥10.00", "/", "¥5000.00"]
    ]  # fmt: skip
    assert "每人每周 2 份" in page
    assert "「早餐」所含权益合计：每人 3 份" in page


async def test_a_resident_reads_what_binds_and_when_it_ends(anyone: Any) -> None:  # noqa: F811
    offer = await builders.an_offer(
        stock_per_day=5, limits=Limits(per_resident_per_day=1, per_resident_per_week=3),
        redeem_windows=Windows(hours=(("00:00", "24:00"),)), budget_fen=500_000,
    )  # fmt: skip
    visitor = anyone()
    resident = await a_signed_in_resident(visitor)
    await builders.redeem(resident, offer)
    page = await visitor.open(f"/offers/{offer.id}")
    assert "每人每日 1 份、每人每周 3 份" in page
    assert "今日剩余 4" in page
    assert "00:00–24:00" in page
    assert "5000" not in page  # the budget is the publisher's own affair
    tomorrow = clock.local_day(clock.now()) + timedelta(days=1)
    assert f"{tomorrow} 00:00 起可再兑换" in page
    assert "/redeem" not in page


async def test_a_publisher_makes_changes_and_lifts_a_shared_limit_on_pages(owner: Visitor) -> None:  # noqa: F811
    offers = [
        await builders.an_offer(publisher=owner.publisher, title=title) for title in ("豆浆券", "油条券")
    ]
    assert "还没有合并限兑" in await owner.open("/publisher/limits")
    await owner.open("/publisher/limits/new")
    page = await owner.send("/publisher/limits/new", status=400, name="早餐", per_resident_per_day="many")
    assert 'value="many"' in page
    assert 'value="早餐"' in page
    page = await owner.send("/publisher/limits/new", status=400, per_resident_per_day="1")
    assert '<p class="field__error" id="offers-note">' in page
    chosen = [str(offer.id) for offer in offers]
    page = await owner.send("/publisher/limits/new", name="早餐", per_resident_per_day="1", offers=chosen)
    assert "每人每日 1 份" in page
    assert "豆浆券、油条券" in page

    limit = await db.fetch_value("SELECT id FROM shared_limit")
    page = await owner.open(f"/publisher/limits/{limit}")
    assert page.count(" checked") == 2
    page = await owner.send(f"/publisher/limits/{limit}", per_resident="4", offers=chosen[:1])
    assert "每人 4 份、每人每日 1 份" in page
    assert "油条券" not in page
    page = await owner.send(f"/publisher/limits/{limit}/end")
    assert 'class="state state--ended"' in page


async def test_a_cashier_reads_shared_limits_and_changes_none(owner: Visitor, anyone: Any) -> None:  # noqa: F811
    offer = await builders.an_offer(publisher=owner.publisher)
    made = await shared_limits.create_limit(
        Owner(publisher=owner.publisher),
        NewLimit(name="早餐", offers=(offer.id,), per_resident=1),
        actor="test",
    )
    cashier = anyone()
    cashier.client.cookies.set(COOKIE, await issue_token(await staff_of(owner.publisher, "cashier")))
    assert "早餐" in await cashier.open("/publisher/limits")
    for path in ("/publisher/limits/new", f"/publisher/limits/{made.id}"):
        assert (await cashier.client.get(path)).status_code == 403
    stranger = anyone()
    stranger.client.cookies.set(COOKIE, await issue_token(await staff_of(await builders.a_publisher())))
    assert (await stranger.client.get(f"/publisher/limits/{made.id}")).status_code == 404


def test_what_is_not_limited_is_left_out_of_what_is_stored_and_shown() -> None:
    assert msgspec.json.encode([Limits(), Windows()]) == b"[{},{}]"
