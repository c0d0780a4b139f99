"""In a real browser, against a real server: from sign-in to a coupon that a till verified."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of a demonstration of its own, which must audit clean in the end."""
    with tempfile.TemporaryDirectory(prefix="chutan-", ignore_cleanup_errors=True) as home:
        environment = os.environ | {"CHUTAN_HOME": home, "PORT": "0"}

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "app.py", *arguments]
            return subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
            )

        run("demo")
        command = [sys.executable, "app.py", "serve"]
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            ready = re.search(r"http://\S+", server.stdout.readline())
            assert ready is not None
            yield ready[0]
            assert json.loads(run("audit").stdout)["ok"]
            server.send_signal(signal.SIGTERM)
            server.stdout.read()
            assert server.wait(timeout=20) == 0


async def a_page(browser: Browser, *, script: bool = True) -> Page:
    """A phone; what goes wrong in its console fails the test."""
    context = await browser.new_context(viewport=PHONE, locale="zh-CN", java_script_enabled=script)
    page = await context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"a script failed: {error}"))
    return page


async def sign_in(page: Page, site: str, phone: str) -> None:
    await page.goto(f"{site}/sign-in")
    await page.get_by_label("手机号").fill(phone)
    await page.get_by_role("button", name="获取验证码").click()
    shown = re.search(r"(?<!\d)\d{6}(?!\d)", await page.locator("main").inner_text())
    assert shown is not None
    await page.locator("input[name=code]").fill(shown[0])
    await page.locator("main button").first.click()


async def redeem(page: Page, site: str, title: str) -> str:
    """Take the offer called `title`; answers the typed code of its coupon."""
    await page.goto(site)
    await page.get_by_role("link", name=title).click()
    await page.locator("form[action$='/redeem'] button").click()
    await page.wait_for_url("**/redemptions/*")
    await page.locator(".coupon__code summary").click()
    return (await page.locator(".code").inner_text()).strip()


async def open_till(page: Page, site: str) -> None:
    await page.goto(f"{site}/publisher/sign-in")
    await page.locator("input[name=login]").fill("demo-merchant")
    await page.locator("input[name=password]").fill("chutan-demo")
    await page.locator("main button").click()
    await page.goto(f"{site}/publisher/till")
    await page.locator(".rows a").first.click()


async def verify(page: Page, code: str, bill: str) -> None:
    await page.locator("input[name=bill]").fill(bill)
    await page.locator("input[name=code]").fill(code)
    await page.locator("[data-verify]").click()


@pytest.mark.parametrize(("script", "phone"), [(True, "13900000000"), (False, "13900000001")])
async def test_a_coupon_goes_from_sign_in_to_the_till(
    browser: Browser, site: str, script: bool, phone: str
) -> None:
    resident, till = await a_page(browser), await a_page(browser, script=script)
    await sign_in(resident, site, phone)
    code = await redeem(resident, site, "热干面 5 元代金券")
    assert len(re.sub(r"\D", "", code)) == 12
    await _keep(resident, "coupon.png")

    await open_till(till, site)
    await verify(till, code, "9")
    await expect(till.locator(".answer--bad")).to_be_visible()
    await verify(till, code, "15")
    await expect(till.locator(".answer--good")).to_contain_text("5.00")
    await _keep(till, "till.png")

    await resident.reload()
    await expect(resident.locator(".state--verified")).to_be_visible()
    await resident.goto(f"{site}/wallet")
    await _keep(resident, "wallet.png")
    await resident.goto(site)
    await _keep(resident, "mall.png")


async def test_letters_of_twice_the_size_fit_a_small_phone(browser: Browser, site: str) -> None:
    resident, cashier = [await (await browser.new_context(viewport=PHONE, locale="zh-CN", bypass_csp=True)).new_page()
                         for _ in range(2)]  # fmt: skip
    await sign_in(resident, site, "13900000002")
    await redeem(resident, site, "热干面 5 元代金券")
    await open_till(cashier, site)

    for page, addresses in (
        (resident, (resident.url, site, f"{site}/wallet", f"{site}/activities", f"{site}/account")),
        (cashier, (cashier.url, f"{site}/publisher/offers", f"{site}/publisher/offers/new?kind=discount")),
    ):
        for address in addresses:
            await page.goto(address)
            await page.add_style_tag(content="html { font-size: 200% }")
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address


async def _keep(page: Page, name: str) -> None:
    """Keep a picture of the page where `SCREENSHOTS` says so: the README's come from here."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        await page.screenshot(path=Path(folder) / name)
