"""The coupon and the till in a real browser, under the content security policy that everyone gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvicorn
from playwright.async_api import Browser, Page

from marketplace.identity.residents import resident_by_phone
from merchants.staff import add_staff
from tests import builders
from tests.web.test_pages import PASSWORD, PHONE, app  # noqa: F401  (the application as a fixture)

pytestmark = pytest.mark.browser


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


async def a_page(browser: Browser, address: str) -> tuple[Page, list[str]]:
    """A phone's page, and the faults that its console tells."""
    context = await browser.new_context(
        base_url=address, locale="zh-CN", viewport={"width": 390, "height": 844}
    )
    page, faults = await context.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    return page, faults


async def test_a_coupon_hides_its_code_and_closes_when_the_till_has_verified_it(browser, address):
    offer = await builders.an_offer(kind="cash_coupon", benefit={"amount_fen": 500})
    await builders.a_till(of=offer)
    await add_staff(
        publisher=offer.publisher.id, login="dianzhang", name="店长", password=PASSWORD, role="owner"
    )
    resident, faults = await a_page(browser, address)
    await resident.goto("/sign-in")
    await resident.fill("#phone", PHONE)
    await resident.click("main button")
    await resident.fill("#code", await resident.inner_text("strong.code"))
    await resident.click("main button")
    await builders.a_lot((await resident_by_phone(PHONE)).id, 500)
    await resident.goto(f"/offers/{offer.id}")
    await resident.click("main form button")
    assert await resident.is_visible("[data-qr] svg")
    assert not await resident.is_visible(".coupon__code .code")
    await resident.click("summary")
    code = await resident.inner_text(".coupon__code .code")

    cashier, till_faults = await a_page(browser, address)
    await cashier.goto("/publisher/sign-in?next=/publisher/till")
    await cashier.fill("#login", "dianzhang")
    await cashier.fill("#password", PASSWORD)
    await cashier.click("main button")
    await cashier.click("[data-scan]")
    assert await cashier.is_visible("video")
    await cashier.click("[data-scan-stop]")
    await cashier.fill("#code", code)
    await cashier.click("form[data-till] .button--big")
    assert await cashier.is_visible(".answer--good")

    await resident.reload()
    assert await resident.is_visible(".state--verified")
    assert (faults, till_faults) == ([], [])
