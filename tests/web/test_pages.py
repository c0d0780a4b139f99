"""The pages as people use them without JavaScript: a form is filled in, sent, and answered by a page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from litestar.di import Provide

from marketplace import db
from marketplace.errors import Invalid
from marketplace.identity.passwords import hash_password
from marketplace.identity.residents import resident_by_phone
from marketplace.ids import new_id
from marketplace.offers.eligibility import NoRules
from marketplace.registry import EmbeddedRegistry
from marketplace.settings import Settings
from merchants.staff import add_staff
from tests import builders
from tests.web.test_auth import served
from web.factory import create_web
from web.pages import error_page, page_handlers
from web.pages.forms import as_hundredths, hundredths, local_place
from web.pages.rendering import environment

PHONE = "13800138000"
PASSWORD = "correct horse"


class Forms(HTMLParser):
    """The forms of a page: where each goes, and what it sends when nothing is typed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str]] = {}
        self._action: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag == "form":
            self._action = given.get("action") or ""
            self.found[self._action] = {}
        elif tag == "input" and self._action is not None and given.get("type") != "checkbox":
            self.found[self._action][given.get("name") or ""] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._action = None


class Visitor:
    """Somebody with a browser."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.page = ""

    async def open(self, path: str, *, status: int = 200) -> str:
        answer = await self.client.get(path)
        while answer.is_redirect:
            answer = await self.client.get(answer.headers["location"])
        assert answer.status_code == status, answer.text
        self.page = answer.text
        return self.page

    async def send(self, action: str, *, status: int = 200, **typed: Any) -> str:
        fields = Forms(self.page).found[action] | {
            name.replace("__", "."): value for name, value in typed.items()
        }
        answer = await self.client.post(action, data=fields)
        if answer.is_redirect:
            assert answer.status_code == 303
            return await self.open(answer.headers["location"], status=status)
        assert answer.status_code == status, answer.text
        self.page = answer.text
        return self.page


@pytest.fixture
async def app(database: str) -> AsyncIterator[Litestar]:
    dependencies = {
        "eligibility": Provide(NoRules, sync_to_thread=False),
        "registry": Provide(EmbeddedRegistry, sync_to_thread=False),
    }
    app = create_web(Settings(), handlers=page_handlers(), dependencies=dependencies, error_page=error_page)
    async with served(app):
        yield app


@pytest.fixture
async def anyone(app: Litestar) -> AsyncIterator[Any]:
    clients: list[httpx.AsyncClient] = []

    def visitor() -> Visitor:
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        clients.append(
            httpx.AsyncClient(
                transport=transport, base_url="http://testserver", headers={"accept": "text/html"}
            )
        )
        return Visitor(clients[-1])

    yield visitor
    for client in clients:
        await client.aclose()


async def a_signed_in_resident(visitor: Visitor, *, available_g: int = 5_000) -> UUID:
    await visitor.open("/sign-in")
    page = await visitor.send("/sign-in/code", phone=PHONE)
    code = page.split('<strong class="code">')[1][:6]
    await visitor.send("/sign-in", code=code)
    resident = (await resident_by_phone(PHONE)).id
    if available_g:
        await builders.a_lot(resident, available_g)
    return resident


async def a_signed_in_member(visitor: Visitor, publisher: UUID, *, role: str = "owner") -> None:
    login = f"staff-{new_id()}"
    await add_staff(publisher=publisher, login=login, name="店长", password=PASSWORD, role=role)  # type: ignore[arg-type]
    await visitor.open("/publisher/sign-in")
    await visitor.send("/publisher/sign-in", login=login, password=PASSWORD)


async def a_signed_in_operator(visitor: Visitor) -> None:
    await db.execute(
        "INSERT INTO operator (id, login, name, password_hash, created_at) VALUES ($1, 'op', 'op', $2, now())",
        new_id(), await hash_password(PASSWORD),
    )  # fmt: skip
    await visitor.open("/operator/sign-in")
    await visitor.send("/operator/sign-in", login="op", password=PASSWORD)


async def test_a_coupon_is_taken_shown_verified_undone_and_cancelled(anyone):
    visitor, cashier = anyone(), anyone()
    offer = await builders.an_offer(kind="cash_coupon", price_g=400, stock=3, benefit={"amount_fen": 500})
    till = await builders.a_till(of=offer)
    await a_signed_in_resident(visitor)
    await a_signed_in_member(cashier, offer.publisher.id)

    assert "低碳好礼" in await visitor.open("/")
    assert "4,600" in await visitor.open(f"/offers/{offer.id}")
    coupon = await visitor.send(f"/offers/{offer.id}/redeem")
    assert "<svg" in coupon
    code = coupon.split('<p class="code">')[1].split("<")[0]
    assert "4,600" in await visitor.open("/wallet")

    await cashier.open("/publisher/till")
    good = await cashier.send("/publisher/till", code=code, bill="38.50")
    assert "answer--good" in good
    assert "¥5.00" in good
    again = await cashier.send("/publisher/till", code=code, bill="38.50", status=409)
    assert "answer--bad" in again
    assert 'value="38.50"' in again
    assert "answer--undone" in await cashier.send("/publisher/till/reverse")

    redemption = await db.fetch_value("SELECT id FROM redemption")
    await visitor.open(f"/redemptions/{redemption}")
    assert "已取消" in await visitor.send(f"/redemptions/{redemption}/cancel")
    assert "5,000" in await visitor.open("/wallet")
    assert "已取消" in await visitor.open("/redemptions")
    assert str(till) in cashier.page


async def test_the_mall_shows_what_is_in_a_city_and_what_a_resident_can_afford(anyone):
    visitor = anyone()
    for title, price_g in (("便宜", 100), ("昂贵", 9_000)):
        await builders.an_offer(title=title, price_g=price_g)
    assert 'name="affordable"' not in await visitor.open("/")
    assert "昂贵" in await visitor.open("/?affordable=true")
    await a_signed_in_resident(visitor)
    page = await visitor.open("/?affordable=true&city=420100&q=昂贵")
    assert "card__title" not in page
    page = await visitor.open("/?affordable=true&city=420100")
    assert ("便宜" in page, "昂贵" in page) == (True, False)
    assert 'href="/?kind=gift&amp;city=420100&amp;affordable=true"' in page
    assert '<option value="420100" selected>武汉' in page
    assert "card__title" not in await visitor.open("/?city=420500")
    assert "昂贵" in await visitor.open("/?city=nowhere")


async def test_a_search_that_finds_nothing_says_so(anyone):
    visitor = anyone()

    assert "没有找到“&lt;面&gt;”" in await visitor.open("/?q=<面>")
    assert "暂时没有" in await visitor.open("/")


async def test_the_short_addresses_lead_to_a_sign_in(anyone):
    for area in ("publisher", "operator"):
        assert f'action="/{area}/sign-in"' in await anyone().open(f"/{area}")


async def test_a_form_sent_twice_takes_one_coupon(anyone):
    visitor = anyone()
    offer = await builders.an_offer()
    await a_signed_in_resident(visitor)
    page = await visitor.open(f"/offers/{offer.id}")
    await visitor.send(f"/offers/{offer.id}/redeem")
    visitor.page = page
    await visitor.send(f"/offers/{offer.id}/redeem")
    assert await db.fetch_value("SELECT count(*) FROM redemption") == 1


async def test_a_form_without_our_token_is_refused(anyone):
    visitor = anyone()
    offer = await builders.an_offer()
    await a_signed_in_resident(visitor)
    answer = await visitor.client.post(f"/offers/{offer.id}/redeem", data={"key": "k"})
    assert answer.status_code == 403
    assert await db.fetch_value("SELECT count(*) FROM redemption") == 0


async def test_signing_in_and_out_changes_the_session(anyone):
    visitor = anyone()
    await a_signed_in_resident(visitor, available_g=0)
    token = visitor.client.cookies["chutan_session"]
    await visitor.open("/wallet")
    await visitor.send("/sign-out")
    assert "chutan_session" not in visitor.client.cookies
    visitor.client.cookies.set("chutan_session", token)
    assert 'name="phone"' in await visitor.open("/wallet")  # the old session is over


async def test_an_offer_is_written_sent_back_corrected_approved_and_ended(anyone):
    publisher = await builders.a_publisher()
    await builders.a_store(publisher)
    owner, operator = anyone(), anyone()
    await a_signed_in_member(owner, publisher)
    await a_signed_in_operator(operator)

    await owner.open("/publisher/offers/new")
    await owner.open("/publisher/offers/new?kind=discount")
    typed = {"title": "八五折", "benefit__off_bp": "15", "benefit__cap_fen": "20.555", "price_g": "x"}
    wrong = await owner.send("/publisher/offers/new", status=400, then="submit", **typed)
    assert wrong.count("field--bad") == 2
    assert 'value="20.555"' in wrong
    await owner.send("/publisher/offers/new", then="submit", benefit__cap_fen="20.5", price_g="300")
    assert "待审核" in owner.page

    offer = await db.fetch_value("SELECT id FROM offer")
    assert "八五折" in await operator.open("/operator/approvals")
    await operator.send(f"/operator/approvals/{offer}/reject", reason="请写明范围")
    assert "请写明范围" in await owner.open(f"/publisher/offers/{offer}")
    await owner.send(f"/publisher/offers/{offer}", then="submit", summary="全场通用")
    await operator.open("/operator/approvals")
    await operator.send(f"/operator/approvals/{offer}/approve")

    assert "最多 ¥20.50" in await anyone().open("/")
    await owner.open("/publisher/offers")
    for step in ("pause", "resume", "end"):
        await owner.send(f"/publisher/offers/{offer}/{step}")
    assert "已结束" in owner.page


async def test_the_operator_settles_and_audits(anyone):
    operator = anyone()
    offer = await builders.an_offer(price_g=400)
    _, code = await builders.redeemed(offer)
    await builders.verify(await builders.a_till(of=offer), code)
    await a_signed_in_operator(operator)
    assert "待清算" in await operator.open("/operator/settlement")
    assert "已登记注销" in await operator.send("/operator/settlement")
    assert "notice--good" in await operator.open("/operator/audit")


async def test_pages_that_are_not_for_the_visitor_lead_to_a_sign_in_or_are_refused(anyone):
    visitor = anyone()
    for path, place in (("/wallet", "/sign-in"), ("/publisher/till", "/publisher/sign-in"),
                        ("/operator/audit", "/operator/sign-in")):  # fmt: skip
        answer = await visitor.client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{place}?next={path}")
    await a_signed_in_resident(visitor)
    await visitor.open("/operator/audit", status=403)
    await visitor.open("/publisher/offers", status=403)
    await visitor.open(f"/offers/{new_id()}", status=404)
    await visitor.open(f"/redemptions/{new_id()}", status=404)
    await visitor.open("/nowhere", status=404)


@pytest.mark.parametrize(("kind", "said"), [("cash_coupon", True), ("gift", False), ("ticket", False)])
async def test_the_cashier_is_told_an_amount_only_where_it_comes_off_the_bill(anyone, kind, said):
    cashier, offer = anyone(), await builders.an_offer(kind=kind)
    await builders.a_till(of=offer)
    await a_signed_in_member(cashier, offer.publisher.id)
    _, code = await builders.redeemed(offer)
    await cashier.open("/publisher/till")

    answer = (await cashier.send("/publisher/till", code=code)).split("data-answer")[1].split("<form")[0]
    assert ("本单立减" in answer) is said


async def test_anothers_till_does_not_exist(anyone):
    cashier = anyone()
    await a_signed_in_member(cashier, await builders.a_publisher(), role="cashier")
    await cashier.open(f"/publisher/till?till={await builders.a_till()}", status=404)
    await cashier.open("/publisher/offers/new", status=403)


async def test_pages_speak_english_too(anyone):
    visitor = anyone()
    visitor.client.headers["accept-language"] = "en"
    await a_signed_in_resident(visitor, available_g=0)
    for path in ("/", "/wallet", "/redemptions", "/sign-in"):
        assert 'lang="en"' in await visitor.open(path)


def test_every_template_compiles():
    for name in environment().list_templates():
        environment().get_template(name)


@pytest.mark.parametrize(
    ("typed", "fen"), [("", None), ("12", 1200), ("12.5", 1250), ("0.07", 7), ("1,234.56", 123456)]
)
def test_yuan_become_fen_exactly(typed, fen):
    assert hundredths(typed, field="bill") == fen
    assert hundredths(as_hundredths(fen), field="bill") == fen


@pytest.mark.parametrize("typed", ["1.234", "-1", "1e3", "NaN", "１２", "十"])
def test_what_is_no_amount_is_refused(typed):
    with pytest.raises(Invalid):
        hundredths(typed, field="bill")


@pytest.mark.parametrize(
    "place", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", ""]
)
def test_nobody_is_led_away_after_signing_in(place):
    assert local_place(place, otherwise="/") == "/"
