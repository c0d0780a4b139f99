"""A publisher's way into the console and through it, without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Callable

import pyotp
import pytest

from marketplace import db
from marketplace.identity.stores import MemoryStore
from merchants.staff import memberships_of
from tests import builders
from tests.merchants.people import a_licence, a_member, an_application
from tests.web.test_pages import (  # noqa: F401  (the application and its visitors as fixtures)
    PASSWORD,
    PHONE,
    Visitor,
    a_signed_in_operator,
    anyone,
    app,
)


@pytest.fixture
def visitors(anyone) -> Callable[[], Visitor]:  # noqa: F811
    return anyone


@pytest.fixture
def store(app) -> MemoryStore:  # noqa: F811
    return app.state.store


async def with_confirmed_phone(visitor: Visitor) -> None:
    await visitor.open("/publisher/sign-in")
    assert 'href="/apply"' in visitor.page
    await visitor.open("/apply")
    page = await visitor.send("/apply/code", phone=PHONE)
    await visitor.send("/apply/phone", code=page.split('<strong class="code">')[1][:6])


def application(**more: str) -> dict[str, str]:
    return {
        "licence": a_licence(), "name": "老街热干面", "kind": "merchant", "city": "420500", "contact_name": "王小面",
        "store__name": "老街店", "store__address": "解放路 12 号", "login": "laojie",
    } | more  # fmt: skip


async def signed_in(visitor: Visitor, login: str) -> str:
    await visitor.open("/publisher/sign-in")
    return await visitor.send("/publisher/sign-in", login=login, password=PASSWORD)


async def test_applying_loses_nothing_that_was_typed_the_password_neither(visitors):
    visitor = visitors()
    await with_confirmed_phone(visitor)
    told = application(licence="91110000600037341M", city="", store__address="")

    page = await visitor.send("/apply", status=400, **told, password=PASSWORD)

    assert page.count("field--bad") == 3
    for typed in ("91110000600037341M", "老街热干面", "王小面", "老街店", "laojie"):
        assert f'value="{typed}"' in page
    assert '<option value="merchant" selected>' in page
    assert PASSWORD not in page
    assert "不必再输" in page
    done = await visitor.send("/apply", **application())
    assert "审核中" in done
    assert "权益管理" not in done.split("<main")[0]  # nothing but the application is there for them yet
    await visitor.send("/sign-out")
    assert "审核中" in await signed_in(visitor, "laojie")


async def test_a_wrong_code_and_a_wrong_phone_are_told_in_place(visitors):
    visitor = visitors()
    await visitor.open("/apply")
    assert 'value="12345"' in await visitor.send("/apply/code", status=400, phone="12345")
    await visitor.send("/apply/code", phone=PHONE)
    assert "验证码不对" in await visitor.send("/apply/phone", status=400, code="000000")


async def test_what_is_sent_back_is_read_mended_and_approved(visitors):
    owner, operator = visitors(), visitors()
    await with_confirmed_phone(owner)
    await owner.send("/apply", **application(), password=PASSWORD)
    await a_signed_in_operator(operator)
    publisher = await db.fetch_value("SELECT id FROM publisher")
    place = f"/operator/applications/{publisher}"

    await operator.open("/operator/applications")
    assert "必填" in await operator.send(f"{place}/refuse", status=400, then="return", reason="")
    await operator.send(f"{place}/refuse", then="return", reason="请写到门牌号")
    page = await owner.open("/publisher/application")
    assert "请写到门牌号" in page
    assert 'value="老街店"' in page
    await owner.send("/publisher/application", kind="merchant", city="420500", store__address="解放路 14 号")
    assert "请写到门牌号" in await operator.open("/operator/applications")
    await operator.send(f"{place}/approve")
    assert "新建权益" in await owner.open("/publisher/offers")
    assert "老街店" in await owner.open("/publisher/till")


async def test_a_member_applies_for_another_organisation_and_switches(visitors):
    visitor, member = visitors(), await a_member(login="li")
    await signed_in(visitor, "li")
    await with_confirmed_phone(visitor)
    assert 'name="login"' not in await visitor.open("/apply")
    assert "审核中" in await visitor.send("/apply", **application(name="第二家"))

    page = await visitor.open("/publisher/organisations")
    assert ("第二家" in page, "申请中" in page) == (True, True)
    await visitor.send(f"/publisher/organisations/{member.id}")
    assert 'class="header__acting"' in visitor.page
    assert "江城超市" in visitor.page
    other = next(m for m in await memberships_of(member.person) if m.id != member.id)
    visitor.page = await visitor.open("/publisher/organisations")
    assert "审核中" in await visitor.send(f"/publisher/organisations/{other.id}")


async def test_nobody_switches_to_anothers_organisation(visitors):
    visitor, stranger = visitors(), await a_member()
    await a_member(login="li")
    await signed_in(visitor, "li")
    await visitor.open("/publisher/organisations")
    csrf = re.search(r'name="_csrf_token" value="([^"]+)"', visitor.page)
    assert csrf is not None
    answer = await visitor.client.post(
        f"/publisher/organisations/{stranger.id}", data={"_csrf_token": csrf[1]}
    )
    assert answer.status_code == 404


async def test_an_owner_invites_and_the_link_makes_a_cashier_who_sees_a_cashiers_console(visitors):
    owner, invited = visitors(), visitors()
    await a_member(login="boss")
    await signed_in(owner, "boss")
    await owner.open("/publisher/team")
    page = await owner.send("/publisher/team/invitations", role="cashier", note="早班")
    link = re.search(r"/join/[\w-]+", page)
    assert link is not None
    assert link[0] not in await owner.open("/publisher/team")  # shown once

    await invited.open(link[0])
    again = await invited.send(f"{link[0]}/account", status=400, name="小王", login="X", password=PASSWORD)
    assert 'value="小王"' in again
    home = await invited.send(f"{link[0]}/account", name="小王", login="wang", password=PASSWORD)
    assert "收银核销" in home
    for place in ("/publisher/team", "/publisher/stores"):
        assert f'href="{place}"' not in home
        await invited.open(place, status=403)
    assert "邀请已失效" in await visitors().open(link[0], status=409)

    await owner.open("/publisher/team")
    cashier = await db.fetch_value(
        "SELECT m.id FROM membership m JOIN staff s ON s.id = m.staff WHERE s.login = 'wang'"
    )
    await owner.send(f"/publisher/team/{cashier}/role", role="manager")
    assert "新建权益" in await invited.open("/publisher/offers")
    await owner.send(f"/publisher/team/{cashier}/remove")
    assert 'action="/publisher/sign-in"' in await invited.open("/publisher/offers")
    assert "暂无所属机构" in await signed_in(invited, "wang")


async def test_somebody_with_an_account_signs_in_and_joins(visitors):
    owner, other = visitors(), visitors()
    await a_member(login="boss")
    await a_member(login="li", role="cashier")
    await signed_in(owner, "boss")
    await owner.open("/publisher/team")
    page = await owner.send("/publisher/team/invitations", role="manager", note="")
    link = re.search(r"/join/[\w-]+", page)
    assert link is not None
    await other.open(f"/publisher/sign-in?next={link[0]}")
    await other.send("/publisher/sign-in", login="li", password=PASSWORD)
    assert "新建权益" in await other.send(link[0])


async def test_the_last_owner_is_told_why_they_stay(visitors):
    owner, member = visitors(), await a_member(login="boss")
    await signed_in(owner, "boss")
    await owner.open("/publisher/team")
    assert "至少要有一位负责人" in await owner.send(f"/publisher/team/{member.id}/remove")


async def test_stores_are_opened_and_renamed(visitors):
    owner, member = visitors(), await a_member(login="boss")
    store = await builders.a_store(member.publisher)
    await signed_in(owner, "boss")
    await owner.open("/publisher/stores")
    wrong = await owner.send("/publisher/stores", status=400, name="光谷店", address="江边 3 号")
    assert 'value="江边 3 号"' in wrong
    await owner.send("/publisher/stores", name="江边店", address="江边 3 号")
    await owner.send(f"/publisher/stores/{store}", name="光谷二店", address="珞喻路 2 号")
    assert "光谷二店" in owner.page
    assert "江边店" in await owner.open("/publisher/till")


async def test_an_app_is_turned_on_asked_for_and_turned_off(visitors):
    visitor = visitors()
    await a_member(login="li")
    await signed_in(visitor, "li")
    page = await visitor.open("/publisher/security")
    secret = re.search(r'class="code secret">([^<]+)<', page)
    assert secret is not None
    code = pyotp.TOTP(secret[1].replace(" ", "")).now()
    assert "验证码不对" in await visitor.send("/publisher/security/totp", status=400, code="000000")
    codes = re.findall(
        r'<li class="code">([^<]+)<', await visitor.send("/publisher/security/totp", code=code)
    )
    assert len(codes) == 8
    assert codes[0] not in await visitor.open("/publisher/security")

    await visitor.send("/sign-out")
    assert "再确认一步" in await signed_in(visitor, "li")
    assert 'action="/publisher/sign-in"' in await visitors().open("/publisher/offers")
    assert "动态码或恢复码不对" in await visitor.send("/publisher/sign-in/second", status=401, code=code)
    assert "权益管理" in await visitor.send("/publisher/sign-in/second", code=codes[0])
    await visitor.open("/publisher/security")
    assert "动态码已关闭" in await visitor.send("/publisher/security/totp/off")
    await visitor.send("/sign-out")
    assert "权益管理" in await signed_in(visitor, "li")


async def test_who_signed_in_long_ago_signs_in_again_before_anything_changes(visitors, store):
    visitor = visitors()
    await a_member(login="li")
    await signed_in(visitor, "li")
    page = await visitor.open("/publisher/security")
    for key in [key for key in store._kept if key.startswith("recent:")]:
        await store.delete(key)
    assert "重新登录" in await visitor.send("/publisher/security/totp", code="000000")
    assert "secret" not in visitor.page.split("<main")[1]
    assert "secret" in page


async def test_neither_a_switch_nor_an_invitation_counts_as_a_sign_in(visitors, store):
    owner, visitor = visitors(), visitors()
    await a_member(login="boss")
    member = await a_member(login="li")
    await signed_in(owner, "boss")
    await owner.open("/publisher/team")
    page = await owner.send("/publisher/team/invitations", role="cashier", note="")
    link = re.search(r"/join/[\w-]+", page)
    assert link is not None
    await signed_in(visitor, "li")
    assert "设置动态码" in await visitor.open("/publisher/security")

    await visitor.open(link[0])
    await visitor.send(link[0])
    assert "设置动态码" not in await visitor.open("/publisher/security")
    await visitor.open("/publisher/organisations")
    await visitor.send(f"/publisher/organisations/{member.id}")
    assert "设置动态码" not in await visitor.open("/publisher/security")


async def test_a_phone_that_begins_a_login_with_a_capital_signs_in_all_the_same(visitors):
    visitor = visitors()
    await a_member(login="laojie")
    assert "权益管理" in await signed_in(visitor, "Laojie")


async def test_an_operator_secures_their_sign_in_too(visitors):
    operator = visitors()
    await a_signed_in_operator(operator)
    page = await operator.open("/operator/security")
    secret = re.search(r'class="code secret">([^<]+)<', page)
    assert secret is not None
    code = pyotp.TOTP(secret[1].replace(" ", "")).now()
    codes = re.findall(
        r'<li class="code">([^<]+)<', await operator.send("/operator/security/totp", code=code)
    )
    await operator.send("/sign-out")
    await operator.open("/operator/sign-in")
    await operator.send("/operator/sign-in", login="op", password=PASSWORD)
    assert "权益审核" in await operator.send("/operator/sign-in/second", code=codes[0])


@pytest.mark.parametrize(
    "path", ["/publisher/team", "/publisher/stores", "/publisher/offers", "/publisher/till"]
)
async def test_a_publisher_that_has_only_applied_is_led_to_its_application(visitors, path):
    visitor, owner = visitors(), await an_application()
    login = await db.fetch_value("SELECT login FROM staff WHERE id = $1", owner.person)
    await signed_in(visitor, login)
    assert "审核中" in await visitor.open(path)
