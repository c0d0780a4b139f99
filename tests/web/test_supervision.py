"""Operators and publishers, on the pages and over the API: what one city's operator sees, and what is told to whom."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from marketplace import db, suspensions
from marketplace.identity.operators import add_operator
from marketplace.offers import lifecycle
from tests import builders
from tests.merchants.people import an_application
from tests.web.test_pages import (  # noqa: F401  (the application and its visitors as fixtures)
    PASSWORD,
    Visitor,
    a_signed_in_member,
    a_signed_in_resident,
    anyone,
    app,
)

WUHAN, YICHANG = "420100", "420500"


@pytest.fixture
def visitors(anyone) -> Callable[[], Visitor]:  # noqa: F811
    return anyone


async def as_operator(visitor: Visitor, city: str | None = None) -> UUID:
    operator = await add_operator(login=f"op-{city}", name="运营", password=PASSWORD, city=city)
    await visitor.open("/operator/sign-in")
    await visitor.send("/operator/sign-in", login=f"op-{city}", password=PASSWORD)
    return operator


async def a_submitted_offer(city: str, title: str) -> Any:
    publisher = await builders.a_publisher(city=city, name=f"{title}店", stores=["一店"])
    draft = await builders.a_draft(publisher, title=title)
    return await lifecycle.submit(publisher=publisher, offer=draft.id, actor="test")


# ------------------------------------------------------------------ pages
async def test_a_publisher_is_suspended_with_a_stated_policy_and_everybody_concerned_is_told(visitors):
    operator, resident, member = visitors(), visitors(), visitors()
    offer = await builders.an_offer()
    who = await a_signed_in_resident(resident)
    redemption, _ = await builders.redeemed(offer, who)
    await a_signed_in_member(member, offer.publisher.id)
    await as_operator(operator)
    place = f"/operator/publishers/{offer.publisher.id}"

    assert "江城超市" in await operator.open("/operator/publishers?q=江城")
    assert "江城超市" not in await operator.open("/operator/publishers?q=百货")
    await operator.open(place)
    page = await operator.send(f"{place}/standing", status=400, coupons_out="given_back", reason="")
    assert "aria-invalid" in page
    assert 'value="given_back" checked' in page
    page = await operator.send(f"{place}/standing", then="suspend", coupons_out="kept", reason="投诉查实")
    assert "已暂停" in page
    assert "投诉查实" in page

    told = "已被暂停，这张券在到期前仍可使用"
    assert told in await resident.open("/wallet")
    assert told in await resident.open(f"/redemptions/{redemption}")
    assert "投诉查实" in await member.open("/publisher/offers")

    await operator.open(place)
    await operator.send(f"{place}/standing", then="suspend", coupons_out="given_back", reason="继续违规")
    await suspensions.give_back_due()
    assert "已由平台取消，100 克已退回" in await resident.open(f"/redemptions/{redemption}")
    page = await operator.open(place)
    assert 'name="then" value="close"' in page
    assert "永久关闭" in page


async def test_a_reason_that_is_missing_loses_nothing_that_was_chosen(visitors):
    operator = visitors()
    publisher = await builders.a_publisher()
    await as_operator(operator)
    await operator.open(f"/operator/publishers/{publisher}")
    page = await operator.send(
        f"/operator/publishers/{publisher}/standing", status=400, coupons_out="", reason="写好的理由"
    )
    assert "写好的理由" in page


async def test_an_operator_of_a_city_is_shown_what_that_city_is_about(visitors):
    operator = visitors()
    mine, others = await a_submitted_offer(YICHANG, "宜昌礼"), await a_submitted_offer(WUHAN, "武汉礼")
    await an_application(name="宜昌面馆", city=YICHANG)
    await an_application(name="武汉面馆", city=WUHAN)
    await as_operator(operator, YICHANG)

    page = await operator.open("/operator/approvals")
    assert ("宜昌礼" in page, "武汉礼" in page) == (True, False)
    assert "/operator/settlement" not in page
    page = await operator.open("/operator/applications")
    assert ("宜昌面馆" in page, "武汉面馆" in page) == (True, False)
    page = await operator.open("/operator/publishers")
    assert ("宜昌礼店" in page, "武汉礼店" in page) == (True, False)
    await operator.open(f"/operator/publishers/{others.publisher.id}", status=404)
    for place in ("settlement", "audit", "operators"):
        await operator.open(f"/operator/{place}", status=403)
    await operator.open("/operator/approvals")
    await operator.send(f"/operator/approvals/{mine.id}/approve")
    page = await operator.open("/operator/deeds")
    assert "通过权益" in page
    assert str(mine.id) in page


async def test_operators_are_added_given_a_city_and_removed_by_the_province(visitors):
    province, other = visitors(), visitors()
    await as_operator(province)
    page = await province.open("/operator/operators")
    page = await province.send("/operator/operators", status=400, login="宜昌", name="", password="short")
    assert page.count('class="field__error"') == 2
    assert 'value="宜昌"' in page
    await province.send("/operator/operators", login="yichang", name="小宜", password=PASSWORD, city=YICHANG)
    new = await db.fetch_value("SELECT id FROM operator WHERE login = 'yichang'")
    await other.open("/operator/sign-in")
    await other.send("/operator/sign-in", login="yichang", password=PASSWORD)
    await other.open("/operator/audit", status=403)
    await province.send(f"/operator/operators/{new}/city", city="")
    await other.open("/operator/audit")
    await province.open("/operator/operators")
    await province.send(f"/operator/operators/{new}/remove")
    assert "小宜" not in province.page
    assert 'action="/operator/sign-in"' in await other.open("/operator/audit")
    page = await province.open("/operator/deeds")
    assert page.count(str(new)) >= 3


async def test_the_last_with_the_province_is_told_why_they_stay(visitors):
    province = visitors()
    me = await as_operator(province)
    await province.open("/operator/operators")
    assert "最后一位省级" in await province.send(f"/operator/operators/{me}/remove")


async def test_the_trail_is_filtered_and_kept_as_a_table(visitors):
    operator = visitors()
    publisher = await builders.a_publisher()
    me = await as_operator(operator)
    for reason in ("=1+1", "查实"):
        await suspensions.suspend(
            publisher=publisher, coupons_out="kept", reason=reason, actor=f"operator:{me}"
        )
        await suspensions.reinstate(publisher=publisher, reason="整改", actor=f"operator:{me}")
    page = await operator.open("/operator/deeds?deed=suspend_kept")
    assert (page.count("查实"), page.count("整改")) == (1, 0)
    for nothing in ("since=2999-01-01", "until=2001-01-01", "actor=operator:x", f"object={me}&deed=close"):
        assert "没有符合条件的记录" in await operator.open(f"/operator/deeds?{nothing}")
    assert "查实" in await operator.open("/operator/deeds?since=nonsense&object=nonsense")

    answer = await operator.client.get("/operator/deeds.csv?deed=suspend_kept")
    rows = answer.content.decode("utf-8-sig").splitlines()
    assert len(rows) == 3
    assert "'=1+1" in rows[2]
    assert "op-None" in rows[1]


async def test_hints_and_changes_stand_beside_an_offer_that_waits(visitors):
    operator = visitors()
    offer = await a_submitted_offer(WUHAN, "武汉礼")
    await lifecycle.reject(offer=offer.id, reason="太便宜", actor="operator:1")
    await builders.edited(offer, price_g=250)
    await lifecycle.submit(publisher=offer.publisher.id, offer=offer.id, actor="test")
    await as_operator(operator)
    page = await operator.open("/operator/approvals")
    assert "新发布方" in page
    assert re.search(r"<del>100[^<]*</del>.*<ins>250[^<]*</ins>", page)
