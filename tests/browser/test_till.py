"""The till on a phone, in a real browser: whatever scans, with a network and without, on one device and the next."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import uvicorn
from playwright.async_api import Browser, Page, Route, expect

from marketplace import db
from marketplace.clock import travelled
from marketplace.offers.view import OfferView
from marketplace.redemptions import token_of
from merchants.staff import add_staff
from tests import builders
from tests.browser.test_coupon import an_open_till, verify
from tests.web.test_pages import PASSWORD, app  # noqa: F401  (the application as a fixture)

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740}


class Server:
    """The shop's way to the application, which can be cut and mended."""

    def __init__(self, application: Any) -> None:
        self.app, self.server, self.serving = application, None, None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def begin(self) -> None:
        config = uvicorn.Config(self.app, port=self.port, log_level="warning", lifespan="off", ws="none",
                                timeout_graceful_shutdown=1)  # fmt: skip
        self.server = uvicorn.Server(config)
        self.serving = asyncio.create_task(self.server.serve())
        while not self.server.started:  # noqa: ASYNC110  (uvicorn tells it in no other way)
            await asyncio.sleep(0.02)

    async def end(self) -> None:
        self.server.should_exit = True
        await self.serving


@pytest.fixture
async def server(app) -> AsyncIterator[Server]:  # noqa: F811
    server = Server(app)
    await server.begin()
    yield server
    await server.end()


@pytest.fixture
async def offer(database: str) -> OfferView:
    offer = await builders.an_offer(kind="cash_coupon", benefit={"amount_fen": 500})
    await builders.a_till(of=offer)
    await add_staff(
        publisher=offer.publisher.id, login="dianzhang", name="店长", password=PASSWORD, role="owner"
    )
    return offer


async def a_phone(browser: Browser, server: Server, **more: Any) -> Page:
    context = await browser.new_context(base_url=server.address, locale="zh-CN", viewport=PHONE, **more)
    page = await context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"a script failed: {error}"))
    return page


async def a_coupon(offer: OfferView) -> tuple[UUID, str, str]:
    """A redemption with its typed code and the token of this half minute."""
    resident = await builders.a_resident()
    redemption, code = await builders.redeemed(offer, resident)
    return redemption, code, (await token_of(resident=resident, redemption=redemption)).token


async def ready_without_network(till: Page) -> None:
    """Wait until the service worker has what it needs."""
    await till.evaluate("""async () => {
        await navigator.serviceWorker.ready;
        for (let n = 0; n < 100; n++) {
            if ((await (await caches.open("till-pages")).keys()).length) return;
            await new Promise((resume) => setTimeout(resume, 50));
        }
        throw new Error("the page was not kept");
    }""")


async def verifications() -> int:
    count: int = await db.fetch_value("SELECT count(*) FROM verification WHERE reversed_at IS NULL")
    return count


@pytest.mark.parametrize("focus", ["#bill", "[data-sound]", "a.header__brand"])
async def test_a_scanner_may_type_wherever_the_focus_is(browser, server, offer, focus):
    redemption, _, token = await a_coupon(offer)
    till = await an_open_till(await a_phone(browser, server))
    await till.fill("#bill", "15")
    await till.focus(focus)
    await till.keyboard.type(token)
    await till.keyboard.press("Enter")

    await expect(till.locator(".answer--good")).to_contain_text("¥10.00")  # what the customer pays
    assert await builders.status_of(redemption) == "verified"
    assert await db.fetch_value("SELECT bill_fen FROM verification") == 1500


async def test_a_scanner_that_reads_twice_asks_once(browser, server, offer):
    _, code, _ = await a_coupon(offer)
    till = await an_open_till(await a_phone(browser, server))
    await verify(till, code)
    await verify(till, code)

    assert await verifications() == 1


async def test_a_bill_that_is_missing_is_asked_for_and_nothing_typed_is_lost(browser, server, database):
    offer = await builders.an_offer(kind="discount", benefit={"off_bp": 2_000})
    await builders.a_till(of=offer)
    await add_staff(
        publisher=offer.publisher.id, login="dianzhang", name="店长", password=PASSWORD, role="cashier"
    )
    _, code, _ = await a_coupon(offer)
    till = await an_open_till(await a_phone(browser, server))
    await verify(till, code, answer="bad")
    await expect(till.locator("#bill")).to_be_focused()
    await expect(till.locator("#code")).to_have_value(code)
    await till.keyboard.type("33.33")
    await till.keyboard.press("Enter")

    await expect(till.locator(".answer__pays")).to_contain_text("¥26.67")
    await expect(till.locator(".answer")).to_contain_text("−¥6.66")


async def test_a_verification_is_undone_after_a_confirmation_and_shows_struck_through(browser, server, offer):
    redemption, code, _ = await a_coupon(offer)
    till = await an_open_till(await a_phone(browser, server))
    await verify(till, code)
    await till.click("[data-undo] summary")
    assert await builders.status_of(redemption) == "verified"
    await till.click("[data-undo] button")
    await expect(till.locator(".answer--undone")).to_be_visible()
    assert await builders.status_of(redemption) == "issued"

    await verify(till, code)
    await till.get_by_role("link", name="今日核销").click()
    await expect(till.locator("del").first).to_contain_text(offer.title)
    await expect(till.locator(".counts dd").first).to_have_text("1")
    await keep(till, "till-today.png")
    await till.click(".day__undo summary")
    await till.click(".day__undo button")
    await expect(till.locator(".answer--undone")).to_be_visible()
    assert await verifications() == 0


async def test_without_a_network_codes_are_kept_sent_later_and_conflicts_stay_until_seen(
    browser, server, offer
):
    quick, (slow, typed, _) = await a_coupon(offer), await a_coupon(offer)
    till = await an_open_till(await a_phone(browser, server))
    await ready_without_network(till)
    await server.end()

    await verify(till, quick[2], answer="unchecked")
    await verify(till, typed, answer="unchecked")
    await expect(till.locator(".queue__waiting")).to_have_count(2)
    await keep(till, "till-unchecked.png")
    assert await verifications() == 0

    context = till.context
    await till.close()
    till = await context.new_page()
    await till.goto("/publisher/till")  # opens without the server
    await expect(till.locator(".queue__waiting")).to_have_count(2)
    await builders.verify(await db.fetch_value("SELECT id FROM till"), typed)

    with travelled(timedelta(minutes=5)):
        await server.begin()
        await till.click("[data-queue-send]")
        await expect(till.locator(".queue__settled")).to_have_count(1)
        await expect(till.locator(".queue__conflict")).to_contain_text("核销")
    assert (await builders.status_of(quick[0]), await builders.status_of(slow)) == ("verified", "verified")
    assert await db.fetch_value(
        "SELECT scanned_at < verified_at - interval '4 minutes' FROM verification WHERE redemption = $1",
        quick[0],
    )
    await keep(till, "till-conflict.png")

    await till.reload()
    await expect(till.locator(".queue__conflict")).to_have_count(1)
    await till.click("[data-seen]")
    await expect(till.locator("[data-queue]")).to_be_hidden()
    await till.reload()
    await expect(till.locator("[data-answer]")).to_be_empty()
    await expect(till.locator("[data-queue]")).to_be_hidden()


async def test_what_waits_is_sent_by_itself(browser, server, offer):
    _, code, _ = await a_coupon(offer)
    phone = await a_phone(browser, server)
    await phone.clock.install()  # before the page reads it
    till = await an_open_till(phone)
    await server.end()
    await verify(till, code, answer="unchecked")
    await verify(till, code, answer="unchecked")  # asked again, it waits once
    await expect(till.locator(".queue__waiting")).to_have_count(1)
    await server.begin()
    for _ in range(20):
        await till.clock.fast_forward(30_000)
        await asyncio.sleep(0.3)
        if await till.locator(".queue__settled").count():
            break

    await expect(till.locator(".queue__settled")).to_have_count(1)
    assert await verifications() == 1


async def test_a_crash_between_sending_and_the_answer_verifies_once(browser, server, offer):
    redemption, code, _ = await a_coupon(offer)
    till = await an_open_till(await a_phone(browser, server, service_workers="block"))

    async def lost(route: Route) -> None:
        await route.fetch()  # the server does its work, and nobody hears of it
        await asyncio.sleep(3600)

    await till.route("**/publisher/till/checks", lost)
    await till.keyboard.type(code)
    await till.keyboard.press("Enter")
    await expect(till.locator(".answer--sending")).to_be_visible()
    for _ in range(100):
        if await builders.status_of(redemption) == "verified":
            break
        await asyncio.sleep(0.05)
    context = till.context
    await till.close()

    till = await context.new_page()
    await till.goto("/publisher/till")
    await expect(till.locator(".queue__settled")).to_have_count(1)
    await expect(till.locator(".queue__conflict")).to_have_count(0)
    assert await verifications() == 1


async def test_a_second_phone_is_a_till_within_a_minute_until_it_is_revoked(browser, server, offer):
    owner, phone = await an_open_till(await a_phone(browser, server)), await a_phone(browser, server)
    await owner.get_by_role("link", name="管理收银设备").click()
    await owner.fill("#name", "小王的手机")
    await owner.get_by_role("button", name="配对一台手机").click()
    code = await owner.inner_text("[data-pairing-code]")
    await keep(owner, "pairing.png")

    await phone.goto(f"/pair#{code}")
    await keep(phone, "pair.png")
    await phone.get_by_role("button", name="开始收银").click()
    await phone.wait_for_url("**/publisher/till")
    await expect(phone.locator("h1")).to_contain_text("小王的手机")
    await expect(owner.locator(".rows")).to_contain_text("小王的手机")  # the list follows by itself
    redemption, typed, _ = await a_coupon(offer)
    await verify(phone, typed)
    assert await builders.status_of(redemption) == "verified"

    await phone.goto(f"/pair#{code}")
    await phone.get_by_role("button", name="开始收银").click()
    await expect(phone.locator(".field__error")).to_be_visible()  # good once

    await phone.goto("/publisher/till")
    await owner.goto("/publisher/devices")
    await keep(owner, "devices.png")
    await owner.get_by_text("停用", exact=True).click()
    await owner.get_by_role("button", name="确认停用").click()
    await expect(owner.get_by_text("小王的手机")).to_have_count(0)
    redemption, typed, _ = await a_coupon(offer)
    await verify(phone, typed, answer="unchecked")
    await expect(phone.locator(".answer--unchecked")).to_contain_text("登录已失效")
    assert await builders.status_of(redemption) == "issued"
    await phone.goto("/publisher/till")
    await expect(phone.locator("#login")).to_be_visible()


async def test_the_sound_stays_off_once_it_is_turned_off(browser, server, offer):
    till = await an_open_till(await a_phone(browser, server))
    await expect(till.locator("[data-sound]")).to_have_attribute("aria-pressed", "true")
    await till.click("[data-sound]")
    await till.reload()
    await expect(till.locator("[data-sound]")).to_have_attribute("aria-pressed", "false")


async def test_a_good_and_a_bad_answer_sound_and_shake_differently(browser, server, offer):
    _, code, _ = await a_coupon(offer)
    page = await a_phone(browser, server)
    await page.add_init_script("""
        globalThis.heard = [];
        navigator.vibrate = (pattern) => heard.push(["shake", String(pattern)]);
        const start = OscillatorNode.prototype.start;
        OscillatorNode.prototype.start = function (at) {
            heard.push(["tone", this.frequency.value]);
            start.call(this, at);
        };
    """)
    till = await an_open_till(page)
    await till.click("#code")  # browsers are silent before the first touch
    await verify(till, code)
    good = await till.evaluate("heard.splice(0)")
    await verify(till, "000000000000", answer="bad")
    bad = await till.evaluate("heard.splice(0)")

    assert {kind for kind, _ in good} == {kind for kind, _ in bad} == {"shake", "tone"}
    assert good != bad


async def keep(page: Page, name: str) -> None:
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        await page.screenshot(path=Path(folder) / name, full_page=True)
