"""Passkeys in a real browser, with an authenticator that the browser plays."""

from __future__ import annotations

import pyotp
import pytest
from playwright.async_api import Browser, Page, expect

from marketplace import db
from tests.browser.test_coupon import Opener, a_page, address  # noqa: F401  (a server and its pages as fixtures)
from tests.merchants.people import PASSWORD, a_member, an_operator
from tests.web.test_pages import app  # noqa: F401  (the application as a fixture)

pytestmark = pytest.mark.browser

AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip


@pytest.fixture
async def phone(browser: Browser, a_page: Opener, address: str) -> Page:  # noqa: F811
    """A phone that can keep passkeys; they belong to a name, which the loopback's number is none."""
    page = await a_page(browser, base_url=address.replace("127.0.0.1", "localhost"))
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    await session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    return page


async def sign_in(page: Page, area: str, login: str) -> None:
    await page.goto(f"/{area}/sign-in?next=/{area}/security")
    await page.fill("#login", login)
    await page.fill("#password", PASSWORD)
    await page.click("main form button")


async def use_passkey(page: Page) -> None:
    await page.get_by_role("button", name="使用通行密钥").click()


async def add_passkey(page: Page, name: str) -> None:
    await page.fill("#name", name)
    await page.click("text=添加通行密钥")


async def test_a_passkey_signs_in_without_a_name_or_a_password(phone, database):
    member = await a_member(login="li")
    await sign_in(phone, "publisher", "li")
    await add_passkey(phone, "店里的手机")
    await expect(phone.locator(".secrets li")).to_have_count(8)  # recovery codes come with the first factor
    await phone.click("text=我已抄好")
    await expect(phone.locator("text=店里的手机").first).to_be_visible()
    await phone.click("text=退出")

    await phone.goto("/publisher/sign-in?next=/publisher/team")
    await use_passkey(phone)
    await phone.wait_for_url("**/publisher/team")

    await expect(phone.locator(".header__acting")).to_have_text("江城超市")
    used = await db.fetch_row("SELECT holder, sign_count, last_used_at FROM passkey")
    assert used["holder"] == member.person
    assert used["last_used_at"] is not None


async def test_the_password_alone_is_not_enough_any_more_and_a_passkey_is_the_second_step(phone, database):
    await a_member(login="li")
    await sign_in(phone, "publisher", "li")
    await add_passkey(phone, "手机")
    await phone.click("text=我已抄好")
    await phone.click("text=退出")
    await sign_in(phone, "publisher", "li")
    await expect(phone.locator("h1")).to_have_text("再确认一步")
    await use_passkey(phone)
    await phone.wait_for_url("**/publisher/security")


async def test_a_passkey_is_renamed_and_removed_and_then_signs_nobody_in(phone, database):
    await a_member(login="li")
    await sign_in(phone, "publisher", "li")
    await add_passkey(phone, "手机")
    await phone.click("text=我已抄好")
    renaming = phone.locator("form[action$='/name']")
    await renaming.locator("input[name=name]").fill("旧手机")
    await renaming.locator("button").click()
    await expect(phone.locator("li strong")).to_have_text("旧手机")
    await phone.click("text=移除")
    await expect(phone.locator("text=通行密钥已移除")).to_be_visible()
    assert await db.fetch_value("SELECT count(*) FROM recovery_code") == 0
    await phone.click("text=退出")

    await phone.goto("/publisher/sign-in")
    await use_passkey(phone)
    await expect(phone.locator("text=通行密钥没有通过")).to_be_visible()


async def test_a_copied_device_is_found_out_by_its_count(phone, database):
    await a_member(login="li")
    await sign_in(phone, "publisher", "li")
    await add_passkey(phone, "手机")
    await phone.click("text=我已抄好")
    await phone.click("text=退出")
    await db.execute("UPDATE passkey SET sign_count = 1000")
    await phone.goto("/publisher/sign-in")
    await use_passkey(phone)
    await expect(phone.locator("text=通行密钥没有通过")).to_be_visible()


async def test_a_members_passkey_is_no_operators(phone, database):
    await a_member(login="li")
    await an_operator("op")
    await sign_in(phone, "publisher", "li")
    await add_passkey(phone, "手机")
    await phone.click("text=我已抄好")
    await phone.click("text=退出")
    await phone.goto("/operator/sign-in")
    await use_passkey(phone)
    await expect(phone.locator("text=通行密钥没有通过")).to_be_visible()

    await sign_in(phone, "operator", "op")
    await add_passkey(phone, "办公室")
    await phone.click("text=我已抄好")
    assert await db.fetch_value("SELECT count(*) FROM passkey WHERE role = 'operator'") == 1


async def test_the_app_is_learnt_from_the_qr_code(phone, database):
    await a_member(login="li")
    await sign_in(phone, "publisher", "li")
    await phone.click("text=设置动态码")
    await expect(phone.locator(".qr svg")).to_be_visible()
    place = await phone.locator("a[href^='otpauth:']").get_attribute("href")
    await phone.fill("#code", pyotp.parse_uri(place).now())
    await phone.click("form[action$='/totp'] button")
    await expect(phone.locator(".secrets li")).to_have_count(8)


async def test_at_an_address_of_numbers_the_page_says_why_there_are_no_passkeys(browser, a_page, database):  # noqa: F811
    page = await a_page(browser)
    await a_member(login="li")
    await sign_in(page, "publisher", "li")
    await expect(page.locator("text=不能用 IP 地址")).to_be_visible()
