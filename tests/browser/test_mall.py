"""The mall in a real browser: with JavaScript only the list changes, without it every click is a page."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Browser, Page, expect

from marketplace.publishers import create_publisher, create_store
from tests import builders
from tests.browser.test_coupon import address  # noqa: F401  (the server as a fixture)
from tests.web.test_pages import app  # noqa: F401  (the application as a fixture)
from web.pages.mall import OFFERS_A_PAGE

pytestmark = pytest.mark.browser

GIFTS = OFFERS_A_PAGE + 3


@pytest.fixture
async def offers(app) -> None:  # noqa: F811
    """More gifts than one page of the mall holds, a ticket, and a donation in Yichang."""
    publisher = await builders.a_publisher()
    await builders.a_store(publisher)
    yichang = await create_publisher(kind="venue", name="三峡书店", city="420500")
    await create_store(publisher=yichang, name="江边店", address="宜昌市沿江大道 1 号")
    await builders.an_offer(publisher=publisher, kind="ticket", title="游船票")
    await builders.an_offer(publisher=yichang, kind="donation", title="种芦苇")
    for number in range(GIFTS):
        await builders.an_offer(publisher=publisher, kind="gift", title=f"好礼 {number}")


async def a_page(browser: Browser, address: str, *, script: bool = True) -> tuple[Page, list[str]]:  # noqa: F811
    """A phone, and what goes wrong in its console."""
    context = await browser.new_context(
        base_url=address, locale="zh-CN", viewport={"width": 360, "height": 740}, java_script_enabled=script
    )
    page, faults = await context.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda told: faults.append(told.text) if told.type in ("error", "warning") else None)
    return page, faults


def cards(page: Page):
    return page.locator(".card")


def chip(page: Page, name: str):
    return page.locator(".chip", has_text=re.compile(f"^{name}$"))


@pytest.mark.usefixtures("offers")
async def test_the_list_is_filtered_and_goes_on_without_loading_the_page_anew(browser, address):  # noqa: F811
    page, faults = await a_page(browser, address)
    await page.goto("/")
    await page.evaluate("window.stayed = true")
    await expect(cards(page)).to_have_count(OFFERS_A_PAGE)
    await page.click("#more")
    await expect(cards(page)).to_have_count(GIFTS + 2)
    await expect(page.locator("#more")).to_have_count(0)
    assert page.url == f"{address}/"

    await chip(page, "门票").click()
    await expect(cards(page)).to_have_count(1)
    await expect(chip(page, "门票")).to_have_attribute("aria-current", "true")
    assert page.url == f"{address}/?kind=ticket"
    await page.fill("#q", "没有这样的")
    await page.press("#q", "Enter")
    await expect(page.locator(".empty")).to_be_visible()
    assert "kind=ticket" in page.url
    await page.fill("#q", "")
    await page.press("#q", "Enter")
    await expect(cards(page)).to_have_count(1)
    await chip(page, "全部").click()
    await expect(cards(page)).to_have_count(OFFERS_A_PAGE)
    await page.select_option("#city", "420500")
    await expect(cards(page)).to_have_count(1)
    await expect(page.locator(".card__title")).to_have_text("种芦苇")
    assert await page.evaluate("window.stayed")

    await page.go_back()
    await expect(cards(page)).to_have_count(OFFERS_A_PAGE)
    kept = await page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
    assert "好礼" not in kept  # no page is left behind for whoever signs in next
    assert faults == []


@pytest.mark.usefixtures("offers")
async def test_while_the_list_is_on_its_way_the_visitor_is_told(browser, address):  # noqa: F811
    page, faults = await a_page(browser, address)
    await page.goto("/")
    await expect(page.locator(".loading")).to_be_hidden()
    arrive = asyncio.Event()

    async def hold(route) -> None:
        await arrive.wait()
        await route.continue_()

    await page.route("**/?kind=ticket", hold)
    await chip(page, "门票").click()
    await expect(page.locator(".loading")).to_be_visible()
    arrive.set()
    await expect(cards(page)).to_have_count(1)
    await expect(page.locator(".loading")).to_be_hidden()
    assert faults == []


@pytest.mark.usefixtures("offers")
async def test_what_cannot_be_swapped_in_is_shown_as_a_page(browser, address):  # noqa: F811
    page, _ = await a_page(browser, address)
    await page.goto("/")

    async def fail(route) -> None:
        if route.request.headers.get("hx-request"):
            await route.fulfill(status=503, body="{}")
        else:
            await route.continue_()

    await page.route("**/?kind=ticket", fail)
    await page.evaluate("window.stayed = true")
    await chip(page, "门票").click()
    await expect(cards(page)).to_have_count(1)
    assert await page.evaluate("window.stayed") is None


@pytest.mark.usefixtures("offers")
async def test_without_javascript_the_mall_filters_and_goes_on_by_links_and_a_form(browser, address):  # noqa: F811
    page, faults = await a_page(browser, address, script=False)
    await page.goto("/")
    await expect(cards(page)).to_have_count(OFFERS_A_PAGE)
    await page.click("#more")
    await expect(cards(page)).to_have_count(5)
    await chip(page, "兑换券").click()
    await page.fill("#q", "好礼 1")
    await page.select_option("#city", "420100")
    await page.click("#search button")
    await expect(cards(page)).to_have_count(11)  # 1, and 10 to 19
    assert "kind=gift" in page.url
    await expect(page.locator("#city")).to_have_value("420100")
    await page.select_option("#city", "420500")
    await page.click("#search button")
    await expect(page.locator(".empty")).to_be_visible()
    assert faults == []
