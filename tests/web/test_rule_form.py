"""Who may have an offer, on the pages: rows and text in the publisher's form without JavaScript, and why not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID

import pytest
from litestar import Litestar
from litestar.di import Provide

from incentives.eligibility import RuleEligibility
from incentives.programmes import NewProgramme, create_programme, enrol
from marketplace import clock, db
from marketplace.identity.tokens import Principal, issue_token
from marketplace.offers.catalogue import publisher_offer
from marketplace.registry import EmbeddedRegistry
from marketplace.settings import Settings
from merchants.staff import add_staff
from tests import builders
from tests.builders import a_resident, an_offer
from tests.web.test_auth import served
from tests.web.test_pages import PASSWORD, Visitor, anyone  # noqa: F401  (who visits, as a fixture)
from web.factory import create_web
from web.locale import text
from web.pages import error_page, page_handlers
from web.sessions import COOKIE


@pytest.fixture
async def app(database: str) -> AsyncIterator[Litestar]:
    dependencies = {
        "eligibility": Provide(RuleEligibility, sync_to_thread=False),
        "registry": Provide(EmbeddedRegistry, sync_to_thread=False),
    }
    app = create_web(Settings(), handlers=page_handlers(), dependencies=dependencies, error_page=error_page)
    async with served(app):
        yield app


@pytest.fixture
async def owner(anyone) -> Visitor:  # noqa: F811
    visitor = anyone()
    visitor.publisher = await builders.a_publisher(stores=["光谷店"])
    staff = await add_staff(
        publisher=visitor.publisher, login="dz", name="店长", password=PASSWORD, role="owner"
    )
    visitor.client.cookies.set(COOKIE, await issue_token(Principal("staff", str(staff.id))))
    await visitor.open("/publisher/offers/new?kind=donation")
    return visitor


async def a_token(resident: UUID) -> str:
    return await issue_token(Principal("resident", str(resident)))


NEW = "/publisher/offers/new"
WHOLE = {"title": "好礼", "price_g": "300", "benefit.cause": "湿地", "benefit.value_fen": "0"}


async def post(owner: Visitor, fields: list[tuple[str, str]], *, to: str = NEW, status: int = 200) -> str:
    """Send a form with fields that may be given several times."""
    csrf = owner.page.split('name="_csrf_token" value="')[1].split('"')[0]
    sent = [("_csrf_token", csrf), ("kind", "donation"), *WHOLE.items(), *fields]
    answer = await owner.client.post(
        to, content=urlencode(sent), headers={"content-type": "application/x-www-form-urlencoded"}
    )
    if answer.is_redirect:
        return await owner.open(answer.headers["location"], status=status)
    assert answer.status_code == status, answer.text
    owner.page = answer.text
    return owner.page


def row(n: int, fact: str, op: str, *values: str) -> list[tuple[str, str]]:
    return [(f"rule.{n}.fact", fact), (f"rule.{n}.op", op), *((f"rule.{n}.value", value) for value in values)]


ROWS = [
    ("rule_mode", "rows"), ("rule_how", "all"),
    *row(0, "resident.city", "one_of", "420500", "420100"),
    *row(1, "year.saved_g", "at_least", "5,000"),
    *row(2, "resident.verified", "yes"),
]  # fmt: skip
RULE = 'resident.city in ["420100", "420500"] && year.saved_g >= 5000 && resident.verified'


async def the_rule(owner: Visitor) -> str | None:
    offer = await db.fetch_value("SELECT id FROM offer")
    return (await publisher_offer(publisher=owner.publisher, offer=offer)).eligibility


async def test_rows_are_kept_as_the_rule_that_they_are_and_come_back_as_rows(owner):
    await post(owner, [*ROWS, ("then", "save")])
    assert await the_rule(owner) == RULE
    page = await owner.open(f"/publisher/offers/{await db.fetch_value('SELECT id FROM offer')}")
    assert 'name="rule.1.value" value="5000"' in page
    assert 'name="rule.0.value" value="420100" checked' in page
    assert 'name="rule.0.value" value="420300">' in page
    assert page.count('<li class="rule__row') == 3


async def test_a_row_is_added_and_removed_and_nothing_that_was_typed_is_lost(owner):
    page = await post(owner, [*ROWS, ("rule_new", "resident.tier"), ("rule_do", "add")])
    assert page.count('<li class="rule__row') == 4
    assert 'value="好礼"' in page
    page = await post(owner, [*ROWS, ("rule_do", "remove.0")])
    assert page.count('<li class="rule__row') == 2
    assert 'name="rule.0.fact" value="year.saved_g"' in page
    assert 'name="rule.0.value" value="5,000"' in page
    assert await db.fetch_value("SELECT count(*) FROM offer") == 0


async def test_rows_become_a_text_and_a_text_rows_where_they_can(owner):
    page = await post(owner, [*ROWS, ("rule_do", "text")])
    assert 'name="rule_mode" value="text"' in page
    assert RULE.replace('"', "&#34;").replace("&&", "&amp;&amp;").replace(">=", "&gt;=") in page
    page = await post(owner, [("rule_mode", "text"), ("eligibility", RULE), ("rule_do", "rows")])
    assert page.count('<li class="rule__row') == 3
    odd = "wallet.earned_g % 2 == 1"
    page = await post(owner, [("rule_mode", "text"), ("eligibility", odd), ("rule_do", "rows")])
    assert text("zh-CN", "field.rule_not_in_rows") in page
    assert odd in page


async def test_what_is_wrong_with_a_row_stands_at_the_row(owner):
    rows = [("rule_mode", "rows"), *row(0, "year.saved_g", "at_least", "many"), *row(1, "resident.city", "one_of"),
            *row(2, "resident.shoes", "at_least", "40"), *row(3, "now.weekday", "one_of", "8"),
            ("then", "save")]  # fmt: skip
    page = await post(owner, rows, status=400)
    for n in range(4):
        assert f'id="rule.{n}.value-note"' in page
    assert 'value="many"' in page
    assert page.count("field__error") == 4
    assert "<li>" not in page.split('role="alert"')[1].split("</div>")[0]


async def test_a_text_that_is_no_rule_is_refused_at_its_field_when_it_is_saved(owner):
    page = await post(
        owner, [("rule_mode", "text"), ("eligibility", "now.hour >"), ("then", "save")], status=400
    )
    assert "规则没有写完，到第 11 个字符就结束了" in page
    assert 'value="now.hour &gt;"' in page


async def test_a_rule_is_tried_with_facts_that_are_typed(owner):
    tried = [("try.resident.city", "420300"), ("try.year.saved_g", "3200"), ("try.resident.verified", "true")]
    page = await post(owner, [*ROWS, *tried, ("rule_do", "try")])
    assert "只限武汉、宜昌的居民，您在十堰" in page
    assert "过去一年的减排量须达到 5 千克，您目前是 3.2 千克" in page
    tried = [("try.resident.city", "420100"), ("try.year.saved_g", "5000"), ("try.resident.verified", "true")]
    page = await post(owner, [*ROWS, *tried, ("rule_do", "try")])
    assert text("zh-CN", "page.rule_try.yes") in page
    page = await post(owner, [*ROWS, ("try.year.saved_g", "lots"), ("rule_do", "try")])
    assert 'id="try.year.saved_g-note"' in page


async def test_with_javascript_the_part_alone_is_answered(owner):
    page = await post(owner, [*ROWS, ("rule_new", "now.hour"), ("rule_do", "add")], to="/publisher/rule")
    assert page.lstrip().startswith('<section class="rule" id="rule">')
    assert page.count('<li class="rule__row') == 4


async def test_rows_without_end_are_not_read(owner):
    many = [field for n in range(500) for field in row(n, "resident.verified", "yes")]
    page = await post(owner, [("rule_mode", "rows"), *many, ("rule_new", "now.hour"), ("rule_do", "add")])
    assert page.count('<li class="rule__row') == 20


async def test_a_resident_reads_why_not_on_the_offer_and_in_the_list(anyone):  # noqa: F811
    offer = await an_offer(eligibility="year.saved_g >= 5000 && resident.verified", rules=RuleEligibility())
    visitor = anyone()
    visitor.client.cookies.set(COOKIE, await a_token(await a_resident()))
    words = "过去一年的减排量须达到 5 千克，您目前是 0 克"
    page = await visitor.open(f"/offers/{offer.id}")
    assert words in page
    assert "须先完成实名认证" in page
    assert words in await visitor.open("/")


async def test_a_resident_sees_memberships_and_ends_them(anyone):  # noqa: F811
    await create_programme(NewProgramme("wugang", "武钢", "employer"))
    visitor = anyone()
    resident = await builders.create_resident(phone="13800000001")
    visitor.client.cookies.set(COOKIE, await a_token(resident))
    await enrol("wugang", ["13800000001"])
    with clock.travelled(timedelta(minutes=1)):
        assert "武钢" in await visitor.open("/account")
        page = await visitor.send("/account/programmes/wugang/leave")
    assert "已退出该场景平台" in page
    assert "武钢" not in page
