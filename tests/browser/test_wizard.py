"""An offer made on a phone: few taps from nothing to submitted, saved while it is typed, on a line that fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from marketplace import db
from marketplace.identity.tokens import Principal, issue_token
from marketplace.offers.catalogue import publisher_offer
from merchants.staff import add_staff
from tests import builders
from tests.browser.test_coupon import address  # noqa: F401  (the server as a fixture)
from tests.browser.test_mall import a_page
from tests.web.test_pages import PASSWORD, app  # noqa: F401  (the application as a fixture)
from web.sessions import COOKIE

pytestmark = pytest.mark.browser


@pytest.fixture
async def noodle_shop(app) -> tuple[Any, str]:  # noqa: F811
    await builders.an_offer(kind="cash_coupon", price_g=1_000, benefit={"amount_fen": 1_000})
    publisher = await builders.a_publisher(name="蔡记热干面", stores=["光谷店"])
    staff = await add_staff(publisher=publisher, login="dz", name="店长", password=PASSWORD, role="owner")
    return publisher, await issue_token(Principal("staff", str(staff.id)))


class Hand:
    """Somebody's thumb on the page, that counts what it does: a tap, or a field typed."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.did = 0

    async def tap(self, selector: str) -> None:
        self.did += 1
        await self.page.locator(selector).click()

    async def types(self, selector: str, words: str) -> None:
        self.did += 1
        await self.page.fill(selector, words)


async def opened(browser: Browser, site: str, token: str, *, script: bool = True) -> tuple[Page, list[str]]:
    page, faults = await a_page(browser, site, script=script)
    await page.context.add_cookies([{"name": COOKIE, "value": token, "url": site}])
    return page, faults


async def fits(page: Page) -> bool:
    return await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def pictured(page: Page, name: str) -> None:
    """A picture of the whole page in the folder that `PICTURES` names, if it does."""
    if folder := os.environ.get("PICTURES"):
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            await page.screenshot(path=Path(folder) / f"{name}-{scheme}.png", full_page=True)


def go(to: str) -> str:
    return f".wizard__go button[value={to}]"


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without"])
async def test_from_nothing_to_submitted_takes_five_taps_and_one_field(browser, address, noodle_shop, script):  # noqa: F811
    publisher, token = noodle_shop
    page, faults = await opened(browser, address, token, script=script)
    hand = Hand(page)
    await page.goto("/publisher/offers")
    await hand.tap("a[href='/publisher/offers/new']")
    await hand.tap("a[href='/publisher/offers/new/cash_coupon']")
    await hand.types("[name='benefit.amount_fen']", "5")
    await hand.tap(go("price"))
    await expect(page.locator("#price_g")).to_have_value("500")
    await hand.tap(go("review"))
    await expect(page.locator("#title")).to_have_value("立减 ¥5.00")
    await hand.tap(go("submit"))
    await expect(page.locator(".state")).to_have_text("待审核")

    assert hand.did <= 6
    offer = await publisher_offer(publisher=publisher, offer=await db.fetch_value(
        "SELECT id FROM offer WHERE publisher = $1", publisher))  # fmt: skip
    assert (offer.status, offer.price_g, offer.stock_total) == ("submitted", 500, 100)
    assert faults == []


async def test_every_step_fits_a_small_phone_and_shows_how_it_looks(browser, address, noodle_shop):  # noqa: F811
    publisher, token = noodle_shop
    await builders.a_store(publisher, name="汉口店")
    page, faults = await opened(browser, address, token)
    await page.goto("/publisher/offers/new")
    await pictured(page, "kinds")
    await page.goto("/publisher/offers/new/discount")
    await page.fill("[name='benefit.off_bp']", "15")
    await expect(page.locator("#preview .card__face")).to_have_text("立减 15%")
    await pictured(page, "benefit")
    for step in ("price", "audience", "limits", "window", "stores", "review"):
        await page.click(go(step) + ".wizard__next")
        await expect(page.locator(f"[aria-current=step][value={step}]")).to_have_count(1)
        assert await fits(page), step
        small = await page.evaluate(
            "[...document.querySelectorAll('.wizard__form button:not(.visually-hidden), .wizard__form .check')]"
            ".filter((one) => one.offsetParent && one.offsetHeight < 40).map((one) => one.textContent)"
        )
        assert small == [], step
        await pictured(page, step)
    await page.click(go("stores"))
    await page.check("[name=stores] >> nth=1")
    await expect(page.locator("#preview")).not_to_contain_text("光谷店")
    await page.goto("/publisher/offers")
    await pictured(page, "list")
    assert faults == []


async def test_what_is_typed_is_saved_by_itself_and_when_the_page_is_left(browser, address, noodle_shop):  # noqa: F811
    publisher, token = noodle_shop
    page, faults = await opened(browser, address, token)
    await page.goto("/publisher/offers/new/cash_coupon")
    await page.fill("[name='benefit.amount_fen']", "5")
    await expect(page.locator("#kept")).to_contain_text("已保存")
    await page.fill("[name='benefit.amount_fen']", "x")
    await expect(page.locator("#kept")).to_contain_text("尚未保存：减免金额")
    await page.fill("[name='benefit.amount_fen']", "8")
    await expect(page.locator("#preview .card__face")).to_have_text("立减 ¥8.00")
    await page.fill("[name='benefit.amount_fen']", "9")
    await page.goto("/publisher/offers")  # before typing has paused

    await expect(page.locator(".row")).to_contain_text("继续填写")
    await page.click(".row .button:has-text('继续填写')")
    await expect(page.locator("#title")).to_have_value("立减 ¥9.00")
    assert await db.fetch_value("SELECT count(*) FROM offer WHERE publisher = $1", publisher) == 1
    assert faults == []


async def test_without_a_network_the_page_stays_and_is_saved_when_there_is_one(browser, address, noodle_shop):  # noqa: F811
    _, token = noodle_shop
    page, _ = await opened(browser, address, token)
    await page.goto("/publisher/offers/new/cash_coupon")
    await page.context.set_offline(True)
    await page.fill("[name='benefit.amount_fen']", "5")
    await expect(page.locator("#kept")).to_contain_text("网络不通")
    assert await page.input_value("[name='benefit.amount_fen']") == "5"
    await page.context.set_offline(False)
    await expect(page.locator("#kept")).to_contain_text("已保存")


async def test_two_phones_that_write_one_field_are_told(browser, address, noodle_shop):  # noqa: F811
    _, token = noodle_shop
    page, faults = await opened(browser, address, token)
    await page.goto("/publisher/offers/new/cash_coupon")
    await page.fill("[name='benefit.amount_fen']", "5")
    await page.click(go("price"))
    other, _ = await opened(browser, address, token)
    await other.goto(page.url)
    await other.fill("#price_g", "600")
    await expect(other.locator("#kept")).to_contain_text("已保存")
    await page.fill("#price_g", "700")
    await expect(page.locator("#kept")).to_contain_text("有人在别处改过：减排量价格")
    await page.click(go("review"))
    await expect(page.locator("[role=alert]")).to_contain_text("有人在别处改过：减排量价格")
    assert await page.input_value("#price_g") == "700"
    await pictured(page, "clash")
    await page.click(go("review"))
    await expect(page.locator("#preview .card__price")).to_contain_text("700")
    assert [fault for fault in faults if "409" not in fault] == []


@pytest.mark.parametrize("wide", [False, True], ids=["phone", "desk"])
async def test_an_edit_of_a_live_offer_is_looked_over_before_it_holds(browser, address, noodle_shop, wide):  # noqa: F811
    publisher, token = noodle_shop
    offer = await builders.an_offer(publisher=publisher, price_g=100, stock=5)
    page, faults = await opened(browser, address, token)
    if wide:
        await page.set_viewport_size({"width": 1200, "height": 800})
    await page.goto(f"/publisher/offers/{offer.id}")
    await page.fill("#price_g", "250")
    await page.click(".actions button[value=review]")
    await expect(page.locator(".changes")).to_contain_text("100 g → 250 g")
    assert await fits(page)
    await pictured(page, f"changes-{wide}")
    await page.click("button[value=save]")
    await page.goto(f"/publisher/offers/{offer.id}/versions")
    await expect(page.locator(".changes").first).to_contain_text("250 g")
    assert await fits(page)
    await pictured(page, f"versions-{wide}")
    assert faults == []
