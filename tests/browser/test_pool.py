"""The pool on a phone: a file is chosen, its progress is watched without a click, and it fits the screen."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import expect

from marketplace.identity.tokens import Principal, issue_token
from marketplace.pools.loading import load_waiting
from merchants.staff import add_staff
from tests import builders
from tests.browser.test_coupon import address  # noqa: F401  (the server as a fixture)
from tests.browser.test_mall import a_page
from tests.marketplace.pools.filling import a_spreadsheet
from tests.web.test_pages import PASSWORD, app  # noqa: F401  (the application as a fixture)
from web.sessions import COOKIE

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without"])
async def test_a_file_is_watched_until_it_is_loaded(browser, address, tmp_path: Path, script):  # noqa: F811
    offer = await builders.an_offer(kind="code", codes=["OLD"])
    staff = await add_staff(
        publisher=offer.publisher.id, login="dz", name="店长", password=PASSWORD, role="owner"
    )
    token = await issue_token(Principal("staff", str(staff.id)))
    page, faults = await a_page(browser, address, script=script)
    await page.context.add_cookies([{"name": COOKIE, "value": token, "url": address}])
    file = tmp_path / "券码.xlsx"
    file.write_bytes(a_spreadsheet(("券码",), *((f"C-{number:05d}",) for number in range(3_000)), ("OLD",)))

    await page.goto(f"/publisher/offers/{offer.id}/codes")
    await page.set_input_files("#file", file)
    await page.locator("form[enctype] button").click()
    await expect(page.locator("h1")).to_have_text("券码.xlsx")
    await expect(page.locator("#upload .state")).to_have_text("添加中")
    place = page.url
    loading = asyncio.create_task(load_waiting())  # as the server does in the background
    await expect(page.locator("#upload .state")).to_have_text("已完成", timeout=20_000)
    await loading

    assert page.url == place
    await expect(page.locator("#upload .counts")).to_contain_text("3,000")
    await expect(page.locator(".lines")).to_contain_text("第 3,002 行： 重复的券码")
    await expect(page.locator("progress")).to_have_attribute("value", "3001")
    if script:
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    assert faults == []
