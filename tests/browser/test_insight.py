"""In a real browser, against a real server: the dashboard moves while a resident redeems and the till verifies."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.test_redemption import (
    _keep,
    a_page,
    open_till,
    redeem,
    sign_in,
    site,  # noqa: F401  (a fixture)
    verify,
)

pytestmark = pytest.mark.browser

OFFER = "热干面 5 元代金券"
FORBIDDEN = re.compile(r"Content.Security.Policy|violates", re.IGNORECASE)


async def open_dashboard(page: Page, site: str, query: str = "") -> None:  # noqa: F811
    await page.goto(f"{site}/publisher/sign-in")
    await page.locator("input[name=login]").fill("demo-merchant")
    await page.locator("input[name=password]").fill("chutan-demo")
    await page.locator("main button").click()
    await page.goto(f"{site}/publisher/insight?{query}")


def cell(page: Page, table: str, row: str, column: int) -> object:
    """A cell of a table, by the name of its row."""
    rows = page.locator(f"#insight-{table} tbody tr", has=page.locator("th", has_text=row))
    return rows.locator("td").nth(column)


async def pixels(page: Page) -> str:
    """What the first chart shows."""
    shown: str = await page.locator("[data-chart] canvas").first.evaluate("canvas => canvas.toDataURL()")
    return shown


async def test_the_dashboard_moves_when_a_resident_redeems_and_the_till_verifies(
    browser: Browser,
    site: str,  # noqa: F811
) -> None:
    owner, resident, till = [await a_page(browser) for _ in range(3)]
    complaints: list[str] = []
    owner.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    await open_dashboard(owner, site)
    await expect(owner.locator("[data-state]")).to_have_text("实时更新中")
    await expect(owner.locator("[data-chart] canvas")).to_have_count(6)
    await expect(cell(owner, "funnel", "兑换", 0)).to_have_text("0")
    await owner.evaluate("window.wasHere = true")
    await owner.wait_for_timeout(1_500)  # the chart has come to rest
    before = await pixels(owner)

    await sign_in(resident, site, "13900000005")
    code = await redeem(resident, site, OFFER)
    await expect(cell(owner, "funnel", "兑换", 0)).to_have_text("1", timeout=20_000)
    await expect(cell(owner, "left", OFFER, 1)).to_have_text("499 / 500")
    await open_till(till, site)
    await verify(till, code, "15")
    await expect(cell(owner, "funnel", "核销", 0)).to_have_text("1", timeout=20_000)
    await expect(cell(owner, "stores", "江汉路店", 0)).to_have_text("1")
    await expect(cell(owner, "stores", "江汉路店", 3)).to_have_text("¥15.00")
    await expect(cell(owner, "funnel", "查看详情", 0)).to_have_text("1", timeout=20_000)

    assert await owner.evaluate("window.wasHere"), "without loading the page again"
    await owner.wait_for_timeout(1_500)
    assert await pixels(owner) != before
    assert not [said for said in complaints if FORBIDDEN.search(said)]
    await _keep(owner, "insight.png")


async def test_without_javascript_there_are_the_tables(browser: Browser, site: str) -> None:  # noqa: F811
    owner = await a_page(browser, script=False)
    await open_dashboard(owner, site, "period=30d")
    await expect(owner.locator("table")).to_have_count(6)
    await expect(owner.locator("[data-chart]").first).to_be_hidden()
    await owner.locator("summary").first.click()
    await owner.locator("input[name=from]").fill("2026-01-02")
    await owner.locator("input[name=to]").fill("2026-01-01")
    await owner.get_by_role("button", name="查看").click()
    await expect(owner.locator(".field__error")).to_be_visible()
    await expect(owner.locator("input[name=from]")).to_have_value("2026-01-02")


async def test_the_dashboard_fits_a_small_phone_light_and_dark_and_with_letters_of_twice_the_size(
    browser: Browser,
    site: str,  # noqa: F811
) -> None:
    for scheme in ("light", "dark"):
        context = await browser.new_context(
            viewport={"width": 360, "height": 740}, locale="zh-CN", color_scheme=scheme, bypass_csp=True
        )
        page = await context.new_page()
        await open_dashboard(page, site, "period=90d")
        await expect(page.locator("[data-chart] canvas").first).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.add_style_tag(content="html { font-size: 200% }")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_no_other_page_loads_the_charts(browser: Browser, site: str) -> None:  # noqa: F811
    owner = await a_page(browser)
    loaded: list[str] = []
    owner.on("request", lambda request: loaded.append(request.url))
    await open_dashboard(owner, site)
    assert any("/static/insight-" in url for url in loaded)
    loaded.clear()
    for path in ("/publisher/offers", "/publisher/till", "/"):
        await owner.goto(site + path)
    assert not any("insight-" in url or "charts" in url for url in loaded)
