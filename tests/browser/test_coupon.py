"""The coupon and the till in a real browser, under the content security policy that everyone gets."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import segno
import uvicorn
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from marketplace.clock import travelled
from marketplace.identity.residents import resident_by_phone
from marketplace.offers.view import OfferView
from marketplace.redemptions import token_of
from merchants.staff import add_staff
from tests import builders
from tests.web.test_pages import PASSWORD, PHONE, app  # noqa: F401  (the application as a fixture)
from web.pages.rendering import asset

pytestmark = pytest.mark.browser

Opener = Callable[..., Awaitable[Page]]

FRAME_PX = 480


@pytest.fixture
async def address(app) -> AsyncIterator[str]:  # noqa: F811
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off", ws="none"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  (uvicorn tells it in no other way)
        await asyncio.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving


@pytest.fixture
async def offer(database: str) -> OfferView:
    offer = await builders.an_offer(kind="cash_coupon", benefit={"amount_fen": 500})
    await builders.a_till(of=offer)
    await add_staff(
        publisher=offer.publisher.id, login="dianzhang", name="店长", password=PASSWORD, role="owner"
    )
    return offer


@pytest.fixture
async def a_page(address) -> AsyncIterator[Opener]:
    """Opens a phone's page in a browser; what goes wrong in the console of any of them fails the test."""
    faults: list[str] = []

    async def opened(browser: Browser, **more: Any) -> Page:
        context = await browser.new_context(
            **{"base_url": address, "locale": "zh-CN", "viewport": {"width": 360, "height": 740}, **more}
        )
        page = await context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if is_fault(message) else None)
        return page

    def is_fault(message: ConsoleMessage) -> bool:
        # The till refuses by its status too, which the console tells.
        refused = message.location["url"].startswith(f"{address}/publisher/till")
        return message.type == "error" and not refused

    yield opened
    assert faults == []


async def a_coupon(page: Page, offer: OfferView) -> UUID:
    """Sign in and take the offer; the page then shows the coupon."""
    await page.goto("/sign-in")
    await page.fill("#phone", PHONE)
    await page.click("main button")
    await page.fill("#code", await page.inner_text("strong.code"))
    await page.click("main button")
    await builders.a_lot((await resident_by_phone(PHONE)).id, 500)
    await page.goto(f"/offers/{offer.id}")
    await page.click("main form button")
    await page.wait_for_url("**/redemptions/*")
    return UUID(page.url.rsplit("/", 1)[1])


async def an_open_till(page: Page) -> Page:
    await page.goto("/publisher/sign-in?next=/publisher/till")
    await page.fill("#login", "dianzhang")
    await page.fill("#password", PASSWORD)
    await page.click("main button")
    await page.wait_for_url("**/publisher/till")
    return page


async def scanned(shown: Page, till: Page, *, other_than: str | None = None) -> str:
    """The token in the QR that `shown` shows, read by the till's own reader; once it is another, if one is given."""
    for _ in range(100):
        picture = base64.b64encode(await shown.locator("[data-qr]").screenshot()).decode()
        token: str = await till.evaluate(READ, [asset("till.js"), picture])
        if token != other_than:
            return token
        await asyncio.sleep(0.05)
    pytest.fail("the QR stayed as it was")


READ = """async ([script, picture]) => {
    const { readCode } = await import(script);
    return readCode(new Blob([Uint8Array.from(atob(picture), (c) => c.charCodeAt(0))]));
}"""


def step_of(token: str) -> int:
    return int(token.split(".")[2])


def filmed(token: str) -> bytes:
    """Two seconds of film with the QR of `token` in the middle: black and white, in YUV4MPEG2."""
    rows = [list(row) for row in segno.make(token, error="m", micro=False).matrix_iter(border=4)]
    scale = FRAME_PX // len(rows)
    edge = (FRAME_PX - scale * len(rows)) // 2
    luma = bytearray(b"\xeb" * FRAME_PX * FRAME_PX)
    for y in range(scale * len(rows)):
        line = b"".join((b"\x10" if dark else b"\xeb") * scale for dark in rows[y // scale])
        begin = (y + edge) * FRAME_PX + edge
        luma[begin : begin + len(line)] = line
    grey = b"\x80" * (FRAME_PX // 2) ** 2
    frame = b"FRAME\n" + luma + grey + grey
    return f"YUV4MPEG2 W{FRAME_PX} H{FRAME_PX} F10:1 Ip A1:1 C420jpeg\n".encode() + frame * 20


async def verify(till: Page, typed: str, *, answer: str = "good") -> None:
    """Type a code as a hand-held scanner does: into the page as it stands, with Enter in the end."""
    await expect(till.locator("#code")).to_be_focused()
    await till.keyboard.type(typed)
    await till.keyboard.press("Enter")
    await expect(till.locator(f".answer--{answer}")).to_be_visible()


async def test_a_coupon_hides_its_code_and_tells_of_itself_that_the_till_has_verified_it(
    browser, a_page, offer
):
    resident, till = await a_page(browser), await an_open_till(await a_page(browser))
    await resident.context.clock.install()
    await a_coupon(resident, offer)
    await expect(resident.locator("[data-qr] svg")).to_be_visible()
    await expect(resident.locator(".coupon__code .code")).to_be_hidden()
    await resident.click("summary")
    await verify(till, await resident.inner_text(".coupon__code .code"))

    await resident.clock.fast_forward(10_000)
    await expect(resident.locator(".state--verified")).to_be_visible()


@pytest.mark.parametrize("off", [timedelta(), timedelta(minutes=-10), timedelta(minutes=10)])
async def test_without_a_network_the_qr_changes_and_is_good_whatever_the_phones_clock_says(
    browser, a_page, offer, off
):
    resident, till = await a_page(browser), await an_open_till(await a_page(browser))
    await resident.context.clock.install(time=datetime.now(UTC) + off)
    await a_coupon(resident, offer)
    first = await scanned(resident, till)

    await resident.context.set_offline(True)
    with travelled(timedelta(minutes=5)):
        await resident.clock.fast_forward(300_000)
        await expect(resident.locator("[data-qr-note]")).to_contain_text("离线")
        later = await scanned(resident, till, other_than=first)
        assert step_of(later) - step_of(first) in (10, 11)
        await verify(till, later)
        await resident.clock.fast_forward(30_000)
        await expect(resident.locator(".state--issued")).to_be_visible()  # how should it know
        await resident.context.set_offline(False)
        await expect(resident.locator(".state--verified")).to_be_visible()


async def test_without_webcrypto_the_server_draws_the_qr(browser, a_page, offer):
    resident, till = await a_page(browser), await an_open_till(await a_page(browser))
    await resident.add_init_script("Object.defineProperty(crypto, 'subtle', { value: undefined })")
    await resident.context.clock.install()
    await a_coupon(resident, offer)
    first = await scanned(resident, till)
    with travelled(timedelta(minutes=5)):
        await resident.clock.fast_forward(300_000)
        await verify(till, await scanned(resident, till, other_than=first))


async def test_a_hand_held_scanner_needs_no_hand_on_the_keyboard(browser, a_page, offer):
    resident = await builders.a_resident()
    redemption, _ = await builders.redeemed(offer, resident)
    till = await an_open_till(await a_page(browser))
    token = (await token_of(resident=resident, redemption=redemption)).token
    await verify(till, token[:-1], answer="bad")
    await verify(till, token)


async def test_the_tills_camera_reads_a_coupon(filming, film, a_page, offer):
    resident = await builders.a_resident()
    redemption, _ = await builders.redeemed(offer, resident)
    till = await an_open_till(await a_page(filming))
    film.write_bytes(filmed((await token_of(resident=resident, redemption=redemption)).token))
    await till.click("[data-scan]")
    await expect(till.locator(".answer--good")).to_be_visible()
    assert await builders.status_of(redemption) == "verified"


async def test_the_tills_camera_can_be_closed_again(browser, a_page, offer):
    till = await an_open_till(await a_page(browser))
    await till.click("[data-scan]")
    await expect(till.locator("video")).to_be_visible()
    await till.click("[data-scan-stop]")
    await expect(till.locator("video")).to_be_hidden()
