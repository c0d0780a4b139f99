"""A new shop's first day, on phones: it applies, makes an offer, and serves a resident who redeemed it.

`SCREENSHOTS=docs/pictures/first-day` keeps the pictures of docs/first-day.md.
"""

from __future__ import annotations

import os
import re

import pytest
from playwright.async_api import Browser, Page, expect
from stdnum.cn import uscc

from tests.browser.test_redemption import PHONE, a_page, redeem, sign_in, site  # noqa: F401  (the server as a fixture)

pytestmark = pytest.mark.browser

PASSWORD = "yi-wan-re-gan-mian"
OFFER = "立减 ¥5.00"


async def pictured(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        height = await page.evaluate("document.documentElement.scrollHeight")
        await page.set_viewport_size(
            PHONE | {"height": height}
        )  # so that what sticks to an edge is at the edge
        await page.screenshot(path=f"{folder}/{name}.png")
        await page.set_viewport_size(PHONE)


async def confirm_phone(page: Page, phone: str) -> None:
    await page.fill("input[name=phone]", phone)
    await page.click("main form button")
    shown = re.search(r"(?<!\d)\d{6}(?!\d)", await page.locator(".notice--warn").inner_text())
    assert shown is not None
    await page.fill("input[name=code]", shown[0])
    await page.click("main form button")


async def sign_in_with_password(page: Page, site: str, area: str, login: str, password: str) -> None:  # noqa: F811
    await page.goto(f"{site}/{area}/sign-in")
    await page.fill("input[name=login]", login)
    await page.fill("input[name=password]", password)
    await page.locator("main button").first.click()


async def apply(owner: Page, site: str) -> None:  # noqa: F811
    """With one digit of the licence wrong at first."""
    await owner.goto(f"{site}/apply")
    await pictured(owner, "01-apply")
    await confirm_phone(owner, "13871234567")
    licence = "91420106MA4K0R1E2"
    licence += uscc.calc_check_digit(licence)
    wrong = licence[:-1] + ("0" if licence[-1] != "0" else "1")
    typed = {
        "licence": wrong, "name": "徐记热干面", "contact_name": "徐师傅", "store.name": "户部巷店",
        "store.address": "武汉市武昌区户部巷 8 号", "login": "xuji", "password": PASSWORD,
    }  # fmt: skip
    for name, value in typed.items():
        await owner.fill(f"[name='{name}']", value)
    await owner.select_option("[name=kind]", "merchant")
    await owner.select_option("[name=city]", "420100")
    await owner.click("main form button.button--big")
    await expect(owner.locator(".field__error").first).to_be_visible()
    await pictured(owner, "02-a-wrong-digit")
    assert await owner.input_value("[name='store.address']") == typed["store.address"]
    await owner.fill("[name=licence]", licence)
    await owner.click("main form button.button--big")
    await expect(owner.locator("main")).to_contain_text("徐记热干面")
    await pictured(owner, "03-applied")


async def approve_the_shop(operator: Page, site: str) -> None:  # noqa: F811
    await operator.goto(f"{site}/operator/sign-in")
    await operator.fill("input[name=login]", "demo-operator")
    await operator.fill("input[name=password]", "chutan-demo")
    await operator.locator("main button").first.click()
    await operator.wait_for_url("**/operator/approvals")
    await operator.goto(f"{site}/operator/applications")
    await expect(operator.locator("article")).to_contain_text("徐记热干面")
    await pictured(operator, "04-reviewed")
    await operator.click("form[action$='/approve'] button")
    await expect(operator.locator(".empty")).to_be_visible()


async def make_an_offer(owner: Page, site: str) -> None:  # noqa: F811
    await owner.goto(f"{site}/publisher/offers/new")
    await pictured(owner, "05-kinds")
    await owner.click("a[href='/publisher/offers/new/cash_coupon']")
    await owner.fill("[name='benefit.amount_fen']", "5")
    await pictured(owner, "06-benefit")
    await owner.click(".wizard__go button[value=price]")
    await owner.fill("[name=price_g]", "500")
    await pictured(owner, "07-price")
    await owner.click(".wizard__go button[value=review]")
    await pictured(owner, "08-review")
    await owner.click(".wizard__go button[value=submit]")
    await expect(owner.locator(".state").first).to_have_text("待审核")


async def approve_the_offer(operator: Page, site: str) -> None:  # noqa: F811
    await operator.goto(f"{site}/operator/approvals")
    await expect(operator.locator("main")).to_contain_text(OFFER)
    await pictured(operator, "09-approval")
    await operator.click("form[action$='/approve'] button")
    await expect(operator.locator("main")).not_to_contain_text(OFFER)


async def test_a_noodle_shop_publishes_and_serves_its_first_guest(browser: Browser, site: str) -> None:  # noqa: F811
    owner, operator, resident = await a_page(browser), await a_page(browser), await a_page(browser)
    await apply(owner, site)
    await approve_the_shop(operator, site)
    await make_an_offer(owner, site)
    await approve_the_offer(operator, site)

    await owner.goto(f"{site}/publisher/insight?period=today")
    await sign_in(resident, site, "13900000003")
    await resident.goto(site)
    await pictured(resident, "10-mall")
    code = await redeem(resident, site, OFFER)
    await pictured(resident, "11-coupon")

    till = await owner.context.new_page()
    await till.goto(f"{site}/publisher/till")
    await till.fill("input[name=code]", code)
    await till.click("[data-verify]")
    await expect(till.locator(".answer--good")).to_contain_text("5.00")
    await pictured(till, "12-verified")

    # The dashboard has moved meanwhile, without being loaded again.
    await expect(owner.locator("table", has_text="核销").first).to_contain_text("1", timeout=15_000)
    await pictured(owner, "13-dashboard")
