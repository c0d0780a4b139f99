"""The coupon's page and the lists that lead to it: what they tell, to whom, and for how long."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from marketplace import clock
from marketplace.coupons import STEP_SECONDS
from marketplace.ids import new_id
from marketplace.offers.windows import Conditions
from tests import builders
from tests.web.test_pages import a_signed_in_resident, anyone, app  # noqa: F401  (fixtures)
from web.pages import redemptions, wallet

A_CODE = re.compile(r'data-redemption="(\w{32})" data-key="([\w-]{43})"')


def derived(redemption: str, key: str, step: int) -> str:
    """A token as a client makes it by the book: HMAC-SHA-256, the first 16 bytes, base64url."""
    mac = hmac.new(urlsafe_b64decode(key + "="), f"{redemption}.{step}".encode(), hashlib.sha256).digest()
    return f"CT.{redemption}.{step}.{urlsafe_b64encode(mac[:16]).decode().rstrip('=')}"


async def test_the_page_of_an_open_coupon_has_its_key_and_the_page_of_a_closed_one_has_not(anyone):  # noqa: F811
    visitor, offer = anyone(), await builders.an_offer()
    resident = await a_signed_in_resident(visitor)
    redemption, _ = await builders.redeemed(offer, resident)
    page = await visitor.client.get(f"/redemptions/{redemption}")
    assert page.headers["cache-control"] == "no-store"
    assert '<noscript><meta http-equiv="refresh"' in page.text
    shown = A_CODE.search(page.text)
    assert shown is not None
    till = await builders.a_till(of=offer)
    step = int(clock.now().timestamp()) // STEP_SECONDS
    used = await builders.verify(till, token=derived(shown[1], shown[2], step))
    assert used["redemption_id"] == str(redemption)
    assert "data-key" not in (await visitor.open(f"/redemptions/{redemption}"))
    await builders.reverse(till, used["id"])
    assert A_CODE.search(await visitor.open(f"/redemptions/{redemption}"))


async def test_the_page_of_an_open_coupon_says_where_and_when_it_is_good(anyone):  # noqa: F811
    visitor = anyone()
    offer = await builders.an_offer(
        kind="cash_coupon",
        conditions=Conditions(min_bill_fen=1_000, weekdays=(2,), hours=(("22:00", "02:00"),)),
    )
    redemption, _ = await builders.redeemed(offer, await a_signed_in_resident(visitor))

    page = await visitor.open(f"/redemptions/{redemption}")

    for said in (offer.stores[0].name, "账单满 ¥10.00", "周二", "22:00–02:00"):
        assert said in page


async def test_the_status_is_told_to_the_resident_alone_and_never_kept(anyone):  # noqa: F811
    visitor, offer = anyone(), await builders.an_offer()
    resident = await a_signed_in_resident(visitor)
    redemption, code = await builders.redeemed(offer, resident)
    path = f"/redemptions/{redemption}/status"
    told = await visitor.client.get(path)
    assert (told.json()["status"], told.headers["cache-control"]) == ("issued", "no-store")
    await builders.verify(await builders.a_till(of=offer), code)
    assert (await visitor.client.get(path)).json()["status"] == "verified"
    others, _ = await builders.redeemed(offer)
    for part in ("status", "qr"):
        assert (await visitor.client.get(f"/redemptions/{others}/{part}")).status_code == 404
        assert (await visitor.client.get(f"/redemptions/{new_id()}/{part}")).status_code == 404
    assert (await visitor.client.get(f"/redemptions/{redemption}/qr")).status_code == 409


async def test_the_list_of_redemptions_has_each_once_page_by_page(anyone):  # noqa: F811
    visitor, offer = anyone(), await builders.an_offer(price_g=1)
    resident = await a_signed_in_resident(visitor)
    taken = [(await builders.redeemed(offer, resident))[0] for _ in range(redemptions.SHOWN + 1)]
    assert await followed(visitor, "/redemptions", r'href="/redemptions/([0-9a-f-]{36})"') == [
        str(one) for one in reversed(taken)
    ]


async def test_the_entries_of_a_wallet_have_each_once_page_by_page(anyone):  # noqa: F811
    visitor = anyone()
    resident = await a_signed_in_resident(visitor, available_g=0)
    for _ in range(wallet.ENTRIES + 1):
        await builders.a_lot(resident, 10)
    left = await followed(visitor, "/wallet", r"余 ([\d,]+)")
    assert left == [str(10 * n) for n in range(wallet.ENTRIES + 1, 0, -1)]


async def followed(visitor, path: str, what: str) -> list[str]:
    """What `what` finds on the page at `path` and on those that its 更多 leads to."""
    found = []
    while path:
        page = await visitor.open(path)
        found += re.findall(what, page)
        more = re.search(r'class="more"><a [^>]*href="([^"]+)"', page)
        path = more[1] if more else ""
    return found


@pytest.mark.parametrize("path", ["/redemptions", "/wallet"])
async def test_a_cursor_that_is_none_is_refused(anyone, path):  # noqa: F811
    visitor = anyone()
    await a_signed_in_resident(visitor, available_g=0)
    await visitor.open(f"{path}?cursor=x", status=400)
    await visitor.open(f"{path}?cursor=")
