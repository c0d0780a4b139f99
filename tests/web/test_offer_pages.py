"""A publisher's pages: offers of every kind, and who funds them."""

from __future__ import annotations

from typing import Any

import pytest

from incentives.rules import FACTS
from marketplace import db
from marketplace.campaigns.opening import create_campaign
from marketplace.errors import Invalid
from marketplace.identity.tokens import Principal, issue_token
from marketplace.offers.benefits import KINDS
from marketplace.offers.catalogue import publisher_offer
from merchants.staff import add_staff
from tests import builders
from tests.web.test_pages import (  # noqa: F401  (the application as a fixture)
    PASSWORD,
    Visitor,
    a_signed_in_operator,
    anyone,
    app,
)
from web.locale import LANGUAGES, text
from web.pages.forms import rate_bp
from web.sessions import COOKIE

TYPED: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "cash_coupon": ({"amount_fen": "5"}, {"amount_fen": 500}),
    "discount": ({"off_bp": "15%", "cap_fen": "20.5"}, {"off_bp": 1_500, "cap_fen": 2_050}),
    "gift": ({"item": "帆布袋", "value_fen": "15"}, {"item": "帆布袋", "value_fen": 1_500}),
    "ticket": ({"admits": "2", "value_fen": "60"}, {"admits": 2, "value_fen": 6_000}),
    "transit": ({"amount_fen": "2"}, {"amount_fen": 200}),
    "code": ({"value_fen": "10"}, {"value_fen": 1_000}),
    "rate_perk": ({"product": "绿色消费贷", "off_bp": "50bp", "term_months": "12"},
                  {"product": "绿色消费贷", "off_bp": 50, "term_months": 12}),
    "donation": ({"cause": "湿地", "value_fen": "0"}, {"cause": "湿地", "value_fen": 0}),
}  # fmt: skip


@pytest.fixture
async def owner(anyone) -> Visitor:  # noqa: F811
    publisher = await builders.a_publisher()
    await builders.a_store(publisher)
    visitor = anyone()
    visitor.publisher = publisher
    staff = await add_staff(publisher=publisher, login="dz", name="店长", password=PASSWORD, role="owner")
    visitor.client.cookies.set(COOKIE, await issue_token(Principal("staff", str(staff.id))))
    return visitor


async def the_offer(owner: Visitor):
    offer = await db.fetch_value("SELECT id FROM offer")
    return await publisher_offer(publisher=owner.publisher, offer=offer)


async def write(owner: Visitor, kind: str, *, status: int = 200, **typed: str) -> str:
    await owner.open(f"/publisher/offers/new?kind={kind}")
    benefit = {f"benefit__{name}": value for name, value in TYPED[kind][0].items()}
    typed = {"title": "好礼", "price_g": "300", **benefit, **typed}
    return await owner.send("/publisher/offers/new", status=status, **typed)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_offer_of_every_kind_is_written_and_comes_back_as_it_was_typed(owner, kind):
    await write(owner, kind, then="save")
    offer = await the_offer(owner)
    assert (offer.kind, offer.title, offer.benefit) == (kind, "好礼", TYPED[kind][1])
    await owner.open(f"/publisher/offers/{offer.id}")
    await owner.send(f"/publisher/offers/{offer.id}", then="save")
    assert await the_offer(owner) == offer


async def test_a_draft_may_be_without_a_benefit(owner):
    for kind in KINDS:
        await write(owner, kind, then="save", **{f"benefit__{name}": "" for name in TYPED[kind][0]})
    assert await db.fetch_value("SELECT count(*) FROM offer") == len(KINDS)


async def test_every_kind_can_be_chosen(owner):
    page = await owner.open("/publisher/offers/new")
    assert all(f'href="/publisher/offers/new?kind={kind}"' in page for kind in KINDS)
    assert len(KINDS) == page.count('class="card ')


async def test_a_form_asks_only_for_what_its_kind_has(owner):
    for kind in KINDS:
        page = await owner.open(f"/publisher/offers/new?kind={kind}")
        at_till = kind not in ("code", "donation", "rate_perk")
        for name in ("conditions.min_bill_fen", "weekdays", "hours_from", "stores"):
            assert (f'name="{name}"' in page) is at_till, (kind, name)
        assert ('name="coupon_valid_days"' in page) is (kind != "donation")


async def test_what_a_form_does_not_ask_for_stays_as_it_was(owner):
    await write(owner, "rate_perk", then="save")
    offer = await the_offer(owner)
    await builders.edited(offer, conditions={"weekdays": [6, 7]}, image_url="/static/picture.webp")
    await owner.open(f"/publisher/offers/{offer.id}")
    await owner.send(f"/publisher/offers/{offer.id}", then="save", title="好礼二")
    after = await the_offer(owner)
    assert (after.title, after.conditions.weekdays, after.image_url) == (
        "好礼二",
        (6, 7),
        "/static/picture.webp",
    )


@pytest.mark.parametrize(
    ("kind", "typed", "fields"),
    [
        ("discount", {"benefit__off_bp": "x", "price_g": "1.5", "starts_at": "2020-02-31"},
         ["benefit.off_bp", "price_g", "starts_at"]),
        ("discount", {"benefit__off_bp": "101", "benefit__cap_fen": "1.234"}, ["benefit.off_bp", "benefit.cap_fen"]),
        ("discount", {"benefit__off_bp": "", "benefit__cap_fen": "0"}, ["benefit.off_bp", "benefit.cap_fen"]),
        ("gift", {"benefit__item": "", "hours_from": "11:00", "hours_to": "25:00"}, ["benefit.item", "hours_to"]),
        ("gift", {"hours_from": "11", "hours_to": "12:00"}, ["hours_from"]),
        ("gift", {"hours_from": "11:00", "hours_to": "11:00"}, ["hours_from"]),
        ("ticket", {"conditions__min_bill_fen": "-1"}, ["conditions.min_bill_fen"]),
        ("rate_perk", {"benefit__voucher_fen": "10"}, ["perk"]),
        ("rate_perk", {"benefit__off_bp": ""}, ["perk"]),
        ("rate_perk", {"benefit__term_months": "361"}, ["benefit.term_months"]),
        ("donation", {"benefit__cause": "", "eligibility": "x" * 2_001, "rule_mode": "text"},
         ["benefit.cause", "eligibility"]),
    ],
)  # fmt: skip
async def test_every_error_stands_at_its_field(owner, kind, typed, fields):
    page = await write(owner, kind, status=400, then="save", **typed)
    for field in fields:
        assert f'class="field__error" id="{field}-note"' in page, field
    assert page.count("field__error") == len(fields)
    assert "<li>" not in page.split('role="alert"')[1].split("</div>")[0]


async def test_a_rule_that_is_none_is_refused_at_its_field_when_the_offer_is_submitted(owner):
    page = await write(owner, "donation", status=400, then="submit", eligibility="true", rule_mode="text")
    assert 'id="eligibility-note"' in page
    assert '<details class="more-fields" open' in page


def test_every_fact_of_a_rule_has_words():
    for language in LANGUAGES:
        for fact in FACTS.values():
            keys = (
                f"page.rule.{fact.name}",
                f"page.rule_name.{fact.name}",
                f"page.rule_source.{fact.source}",
            )
            assert all(text(language, key) for key in keys), fact.name


@pytest.mark.parametrize(
    ("typed", "bp"),
    [("", None), ("0.5", 50), ("0.5%", 50), ("0.5 ％", 50), ("50bp", 50), ("50 BPs", 50), ("50个基点", 50),
     ("5 基点", 5)],
)  # fmt: skip
def test_a_rate_is_typed_as_percent_or_in_basis_points(typed, bp):
    assert rate_bp(typed, field="off_bp") == bp


@pytest.mark.parametrize("typed", ["0.005", "bp", "0.5bp", "-1%", "%", "1%%"])
def test_what_is_no_rate_is_refused(typed):
    with pytest.raises(Invalid):
        rate_bp(typed, field="off_bp")


# ------------------------------------------------------------------ who funds it
async def test_a_campaign_can_fund_an_offer_and_the_operator_reads_whose_money_it_is(owner, anyone):  # noqa: F811
    assert 'name="funding"' not in await owner.open("/publisher/offers/new?kind=gift")
    campaign = await create_campaign(name="低碳周", funder="武汉市")
    await write(owner, "gift", then="submit", funding=str(campaign))
    assert (await the_offer(owner)).funding.campaign == campaign
    assert "活动「低碳周」（武汉市出资）" in owner.page
    operator = anyone()
    await a_signed_in_operator(operator)
    assert "活动「低碳周」（武汉市出资）" in await operator.open("/operator/approvals")


async def test_who_pays_is_shown_and_not_asked_once_the_offer_is_approved(owner):
    campaign = await create_campaign(name="低碳周", funder="武汉市")
    await builders.an_offer(publisher=owner.publisher, campaign=campaign)
    offer = await the_offer(owner)
    page = await owner.open(f"/publisher/offers/{offer.id}")
    assert 'name="funding"' not in page
    assert "活动「低碳周」" in page
    refused = await owner.send(f"/publisher/offers/{offer.id}", status=400, benefit__value_fen="99")
    assert 'id="benefit.item-note"' in refused
    await owner.open(f"/publisher/offers/{offer.id}")
    await owner.send(f"/publisher/offers/{offer.id}", price_g="301")
    after = await the_offer(owner)
    assert (after.price_g, after.funding.campaign, after.benefit) == (301, campaign, offer.benefit)


async def test_a_campaign_that_is_not_there_is_refused_at_its_field(owner):
    await create_campaign(name="低碳周", funder="武汉市")
    assert 'id="funding-note"' in await write(owner, "gift", status=400, then="save", funding="x")
