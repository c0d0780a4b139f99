"""Who may have an offer, on a phone: with JavaScript the part alone changes, without it every button is a page."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from marketplace.identity.tokens import Principal, issue_token
from merchants.staff import add_staff
from tests import builders
from tests.browser.test_coupon import address  # noqa: F401  (the server as a fixture)
from tests.browser.test_mall import a_page
from tests.web.test_pages import PASSWORD, app  # noqa: F401  (the application as a fixture)
from web.sessions import COOKIE

pytestmark = pytest.mark.browser


@pytest.fixture
async def owner(app) -> str:  # noqa: F811
    publisher = await builders.a_publisher(stores=["光谷店"])
    staff = await add_staff(publisher=publisher, login="dz", name="店长", password=PASSWORD, role="owner")
    return await issue_token(Principal("staff", str(staff.id)))


@pytest.mark.parametrize("script", [True, False])
async def test_conditions_are_put_together_tried_and_read_as_text(
    browser: Browser,
    address: str,  # noqa: F811
    owner: str,
    script: bool,
):
    page, faults = await a_page(browser, address, script=script)
    await page.context.add_cookies([{"name": COOKIE, "value": owner, "url": address}])
    await page.goto("/publisher/offers/new?kind=gift")
    await page.fill("#title", "低碳好礼")
    await page.click("details:has(#rule) > summary")
    for n, fact in enumerate(("resident.city", "year.saved_g")):
        await page.select_option("[name=rule_new]", fact)
        await page.click("button[value=add]")
        await expect(page.locator(".rule__row")).to_have_count(n + 1)
    await page.check("[name='rule.0.value'][value='420500']")
    await page.fill("[name='rule.1.value']", "5000")
    if await page.locator(".rule__try:not([open])").count():
        await page.click(".rule__try summary")
    await page.fill("[name='try.year.saved_g']", "3200")
    await page.click("button[value=try]")
    await expect(page.locator(".rule__try .notice li")).to_have_text(
        ["只限宜昌的居民，您在武汉", "过去一年的减排量须达到 5 千克，您目前是 3.2 千克"]
    )
    await page.click("button[value='remove.0']")
    await expect(page.locator(".rule__row")).to_have_count(1)
    await page.click("button[value=text]")
    await expect(page.locator("#eligibility")).to_have_value("year.saved_g >= 5000")

    assert await page.input_value("#title") == "低碳好礼"
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth") if script else True
    assert faults == []
