"""Making an offer step by step without JavaScript; drafts, two devices, copies, and what an edit changes."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from marketplace import db
from marketplace.ids import new_id
from marketplace.offers import lifecycle
from marketplace.offers.benefits import KINDS
from marketplace.offers.catalogue import publisher_offer
from tests import builders
from tests.web.test_offer_pages import TYPED, owner, the_offer  # noqa: F401  (the owner as a fixture)
from tests.web.test_pages import Forms, Visitor, a_signed_in_member, anyone, app  # noqa: F401  (the application)
from web.locale import LANGUAGES, text
from web.pages.wizard_steps import STEPS, steps_of


async def begin(owner: Visitor, kind: str = "cash_coupon") -> str:  # noqa: F811
    """The first step of a new offer; answers the address of its draft."""
    page = await owner.open(f"/publisher/offers/new/{kind}")
    return re.search(r'action="(/publisher/offers/[0-9a-f-]{36})/steps/benefit"', page)[1]


async def go(owner: Visitor, place: str, step: str, to: str, *, status: int = 200, **typed: Any) -> str:  # noqa: F811
    return await owner.send(f"{place}/steps/{step}", status=status, then=to, **typed)


def benefit_of(kind: str) -> dict[str, str]:
    return {f"benefit__{name}": value for name, value in TYPED[kind][0].items()}


async def begun(owner: Visitor, kind: str = "cash_coupon", to: str = "price") -> str:  # noqa: F811
    place = await begin(owner, kind)
    await go(owner, place, "benefit", to, **benefit_of(kind))
    return place


def value_of(page: str, name: str) -> str:
    return next(fields[name] for fields in Forms(page).found.values() if name in fields)


# ------------------------------------------------------------------ from nothing to submitted
async def test_an_amount_and_a_look_make_an_offer_with_defaults_that_cannot_run_away(owner):  # noqa: F811
    await builders.an_offer(kind="cash_coupon", price_g=1_000, benefit={"amount_fen": 1_000})
    place = await begin(owner)
    page = await go(owner, place, "benefit", "price", benefit__amount_fen="5")
    assert value_of(page, "price_g") == "500"
    assert "每元面值 100 g" in page
    await go(owner, place, "price", "review")
    await go(owner, place, "review", "submit")

    offer = await publisher_offer(publisher=owner.publisher, offer=UUID(place[-36:]))
    assert (offer.status, offer.title, offer.price_g) == ("submitted", "立减 ¥5.00", 500)
    assert (offer.stock_total, offer.per_resident_limit, offer.coupon_valid_days) == (100, 1, 30)
    assert offer.ends_at is not None
    assert len(offer.stores) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_an_offer_of_every_kind_goes_through_every_step_forward_and_back(owner, kind):  # noqa: F811
    await builders.a_store(owner.publisher, name="2 号店")
    steps = steps_of(kind, stores=2)
    place = await begun(owner, kind, to=steps[1])
    for step, after in pairwise(steps[1:]):
        await go(owner, place, step, after, **({"price_g": "300"} if step == "price" else {}))
    whole = await the_offer(owner)
    assert (whole.benefit, whole.price_g, whole.status) == (TYPED[kind][1], 300, "draft")
    for step, before in zip(steps[:0:-1], steps[-2::-1], strict=True):
        await go(owner, place, step, before)
    assert await the_offer(owner) == whole


async def test_every_step_has_its_words_and_a_step_that_is_none_is_not_found(owner):  # noqa: F811
    place = await begun(owner)
    assert all(text(language, f"page.wizard.{step}") for language in LANGUAGES for step in STEPS)
    await owner.open(f"{place}/steps/elsewhere", status=404)
    await owner.open("/publisher/offers/new/elsewhere", status=404)


async def test_nothing_is_kept_before_something_was_typed_and_a_double_tap_makes_one_draft(owner):  # noqa: F811
    place = await begin(owner)
    first = owner.page
    assert await db.fetch_value("SELECT count(*) FROM offer") == 0
    for _ in range(2):
        owner.page = first
        await go(owner, place, "benefit", "price", benefit__amount_fen="5")
    assert await db.fetch_value("SELECT count(*) FROM offer_version") == 1


async def test_an_id_of_the_callers_own_making_or_anothers_is_no_draft(owner, anyone):  # noqa: F811
    await owner.open(
        "/publisher/offers/6f0f3f0e-6a0c-4a5e-9c53-0f9d7f2b1c11/steps/benefit?kind=gift", status=404
    )
    theirs = await builders.a_draft(await builders.a_publisher())
    place = await begin(owner)
    owner.page = owner.page.replace(place[-36:], str(theirs.id))
    answer = await go(
        owner, f"/publisher/offers/{theirs.id}", "benefit", "price", status=404, benefit__amount_fen="5"
    )
    assert "低碳好礼" not in answer
    assert (await publisher_offer(publisher=theirs.publisher.id, offer=theirs.id)).version == 1
    assert new_id().version == 7


async def test_a_title_follows_the_benefit_until_somebody_gives_another(owner):  # noqa: F811
    place = await begun(owner)
    await owner.open(f"{place}/steps/benefit")
    await go(owner, place, "benefit", "review", benefit__amount_fen="8")
    assert value_of(owner.page, "title") == "立减 ¥8.00"
    owner.client.headers["accept-language"] = "en"
    await owner.open(f"{place}/steps/benefit")
    await go(owner, place, "benefit", "review", benefit__amount_fen="7")
    assert value_of(owner.page, "title") == "立减 ¥7.00"
    await go(owner, place, "review", "benefit", title="早餐券")
    await go(owner, place, "benefit", "review", benefit__amount_fen="9")
    assert value_of(owner.page, "title") == "早餐券"


async def test_a_step_sets_what_it_asks_for_and_nothing_else(owner):  # noqa: F811
    place = await begin(owner)
    await go(owner, place, "benefit", "window", benefit__amount_fen="5", conditions__min_bill_fen="20")
    await go(owner, place, "window", "benefit", weekdays=["6", "7"], hours_from="11:00", hours_to="14:00")
    await go(owner, place, "benefit", "review", conditions__min_bill_fen="30")
    await builders.edited(await the_offer(owner), image_url="/static/a.webp", funding=None)
    await owner.open(f"{place}/steps/limits")
    await go(owner, place, "limits", "review", stock_total="7")

    offer = await the_offer(owner)
    assert (offer.conditions.min_bill_fen, offer.conditions.weekdays) == (3_000, (6, 7))
    assert offer.conditions.hours == (("11:00", "14:00"),)
    assert (offer.image_url, offer.stock_total, offer.benefit) == ("/static/a.webp", 7, {"amount_fen": 500})


async def test_the_preview_is_what_a_resident_sees(owner, anyone):  # noqa: F811
    place = await begun(owner)
    await go(owner, place, "price", "limits", price_g="321")
    page = await go(owner, place, "limits", "review", budget_fen="5000")
    preview = page.split('id="preview"')[1]
    assert "优惠预算" not in preview
    assert "光谷店" in preview
    await go(owner, place, "review", "submit")
    await lifecycle.approve(offer=UUID(place[-36:]), actor="test")
    seen = await anyone().open(f"/offers/{place[-36:]}")
    facts = seen.split('<dl class="facts">')[1].split("</dl>")[0]
    assert facts.split() == preview.split('<dl class="facts">')[1].split("</dl>")[0].split()


# ------------------------------------------------------------------ bad input
@pytest.mark.parametrize(
    ("step", "typed", "fields"),
    [
        ("benefit", {"benefit__amount_fen": "1.234", "conditions__min_bill_fen": "-1"},
         ["benefit.amount_fen", "conditions.min_bill_fen"]),
        ("price", {"price_g": "1.5"}, ["price_g"]),
        ("limits", {"stock_total": "0", "per_resident_limit": "x", "redeem_to": "25:00", "redeem_from": "08:00"},
         ["stock_total", "per_resident_limit", "redeem_to"]),
        ("window", {"starts_at": "2199-02-01", "ends_at": "2199-01-01"}, ["ends_at"]),
        ("window", {"starts_at": "2026-02-31", "coupon_valid_days": "367", "hours_from": "11:00", "hours_to": "11:00"},
         ["starts_at", "coupon_valid_days", "hours_from"]),
        ("review", {"title": "长" * 61, "summary": "长" * 201}, ["title", "summary"]),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_told_at_its_field_and_nothing_typed_is_lost(owner, step, typed, fields):  # noqa: F811
    place = await begun(owner, to=step)
    await owner.open(f"{place}/steps/{step}")
    before = await the_offer(owner)
    page = await go(owner, place, step, "review", status=400, **typed)
    for field in fields:
        assert f'class="field__error" id="{field}-note"' in page, field
    assert page.count("field__error") == len(fields)
    for name, value in typed.items():
        assert value in page, name
    assert await the_offer(owner) == before


async def test_a_condition_is_added_and_kept_at_the_audience_step(owner):  # noqa: F811
    place = await begun(owner, to="audience")
    page = await go(owner, place, "audience", "", rule_do="add", rule_new="resident.verified")
    assert 'value="resident.verified"' in page
    assert (await the_offer(owner)).eligibility is None
    row = {"rule__0__fact": "resident.verified", "rule__0__op": "yes", "rule_how": "all", "rule_mode": "rows"}
    await go(owner, place, "audience", "limits", **row)
    assert (await the_offer(owner)).eligibility == "resident.verified"


# ------------------------------------------------------------------ drafts
async def test_a_draft_says_what_is_missing_in_the_list_and_where_to_put_it_right(owner):  # noqa: F811
    place = await begin(owner, "code")
    await go(owner, place, "benefit", "review", benefit__value_fen="5")
    assert "还缺：" in owner.page
    assert f'href="{place}/codes"' in owner.page
    assert 'name="then" value="price">去填写' in owner.page
    page = await owner.open("/publisher/offers")
    assert "还缺： 减排量价格、券码池" in page
    assert f'action="{place}/submit"' not in page
    assert f'href="{place}/steps/review"' in page


async def test_submitting_tells_all_that_is_missing_and_keeps_what_was_typed(owner):  # noqa: F811
    place = await begun(owner, to="review")
    page = await go(owner, place, "review", "submit", status=400, title="早餐券", summary="每天都有")
    assert "减排量价格" in page.split("wizard__missing")[1].split("</ul>")[0]
    offer = await the_offer(owner)
    assert (offer.status, offer.title, offer.summary) == ("draft", "早餐券", "每天都有")


async def test_a_page_saves_itself_and_says_when_or_why_not(owner):  # noqa: F811
    place = await begin(owner)
    kept = await go(owner, place, "benefit", "keep", benefit__amount_fen="5", kind="cash_coupon")
    assert re.search(r'id="kept" role="status">已保存 \d{4}-\d\d-\d\d \d\d:\d\d', kept)
    assert 'name="version" value="1" hx-swap-oob="true"' in kept
    assert "立减 ¥5.00" in kept.split('id="preview"')[1]
    assert "<html" not in kept
    await owner.open(f"{place}/steps/benefit")
    assert "减免金额：请输入金额，最多两位小数" in await go(
        owner, place, "benefit", "keep", benefit__amount_fen="x"
    )
    assert (await the_offer(owner)).benefit == {"amount_fen": 500}


async def test_an_edit_on_another_device_is_told_and_saving_again_decides(owner):  # noqa: F811
    place = await begun(owner)
    phone = owner.page
    await go(owner, place, "price", "price", price_g="300")
    owner.page = phone
    assert "减排量价格" in await go(owner, place, "price", "keep", price_g="400")
    owner.page = phone
    page = await go(owner, place, "price", "audience", status=409, price_g="400")
    assert "有人在别处改过：减排量价格" in page
    assert value_of(page, "price_g") == "400"
    assert (await the_offer(owner)).price_g == 300
    await go(owner, place, "price", "audience", price_g="400")
    assert (await the_offer(owner)).price_g == 400


async def test_the_form_on_one_page_tells_of_another_device_too(owner):  # noqa: F811
    draft = await builders.a_draft(owner.publisher)
    place = f"/publisher/offers/{draft.id}"
    await owner.open(place)
    await builders.edited(draft, price_g=500)
    page = await owner.send(place, status=409, then="save", price_g="400")
    assert "有人在别处改过：减排量价格" in page
    await owner.send(place, then="save")
    assert (await the_offer(owner)).price_g == 400


async def test_steps_are_for_drafts_a_live_offer_opens_as_a_whole(owner):  # noqa: F811
    offer = await builders.an_offer(publisher=owner.publisher)
    place = f"/publisher/offers/{offer.id}"
    await owner.open(f"{place}/steps/price")
    assert f'action="{place}"' in owner.page
    form = {"_csrf_token": value_of(owner.page, "_csrf_token"), "then": "review", "price_g": "1"}
    assert (await owner.client.post(f"{place}/steps/price", data=form)).headers["location"].startswith(place)
    assert (await the_offer(owner)).price_g == 100


async def test_a_cashier_makes_no_offers_and_copies_none(owner, anyone):  # noqa: F811
    draft = await builders.a_draft(owner.publisher)
    cashier = anyone()
    await a_signed_in_member(cashier, owner.publisher, role="cashier")
    assert "/copies" not in await cashier.open("/publisher/offers")
    csrf = value_of(cashier.page, "_csrf_token")
    await cashier.open(f"/publisher/offers/{draft.id}/steps/price", status=403)
    for place in ("steps/price", "copies"):
        answer = await cashier.client.post(
            f"/publisher/offers/{draft.id}/{place}", data={"_csrf_token": csrf}
        )
        assert answer.status_code == 403, place


# ------------------------------------------------------------------ copies, edits, history
async def test_a_copy_of_a_live_offer_opens_where_it_is_looked_over(owner):  # noqa: F811
    offer = await builders.an_offer(publisher=owner.publisher, price_g=321)
    await owner.open("/publisher/offers")
    page = await owner.send(f"/publisher/offers/{offer.id}/copies")
    assert "预览并提交" in page
    assert await db.fetch_value("SELECT count(*) FROM offer WHERE status = 'draft'") == 1
    assert value_of(page, "title") == offer.title


async def test_an_edit_of_a_live_offer_shows_what_changes_and_is_confirmed(owner):  # noqa: F811
    offer = await builders.an_offer(publisher=owner.publisher, stock=5)
    taken, _ = await builders.redeemed(offer)
    place = f"/publisher/offers/{offer.id}"
    await owner.open(place)
    page = await owner.send(place, then="review", price_g="250", stock_total="", weekdays=["6", "7"])
    rows = [
        " ".join(re.sub("<[^>]*>", " ", row).split()) for row in page.split('<div class="facts__row">')[1:]
    ]
    assert rows[:2] == ["减排量价格 100 g → 250 g", "可用日 不限 → 周六、周日"]
    assert "总库存" in page
    assert (await the_offer(owner)).price_g == 100
    again = await owner.send(place, then="again")
    assert value_of(again, "price_g") == "250"
    assert 'name="weekdays" value="7" checked' in again
    await owner.send(place, then="review", weekdays=["6", "7"])
    await owner.send(place, then="save", weekdays=["6", "7"])

    after = await the_offer(owner)
    assert (after.price_g, after.stock_total, after.conditions.weekdays) == (250, None, (6, 7))
    kept = "SELECT v.number FROM redemption r JOIN offer_version v ON v.id = r.offer_version WHERE r.id = $1"
    assert await db.fetch_value(kept, taken) < after.version


async def test_an_edit_that_cannot_be_is_told_before_it_is_confirmed(owner):  # noqa: F811
    offer = await builders.an_offer(publisher=owner.publisher)
    await owner.open(f"/publisher/offers/{offer.id}")
    page = await owner.send(
        f"/publisher/offers/{offer.id}", status=400, then="review", title="", price_g="250"
    )
    assert 'id="title-note"' in page
    assert value_of(page, "price_g") == "250"


async def test_the_history_tells_who_changed_what_and_when(owner):  # noqa: F811
    offer = await builders.an_offer(publisher=owner.publisher, price_g=100)
    place = f"/publisher/offers/{offer.id}"
    for price_g in range(101, 123):
        await owner.open(place)
        await owner.send(place, then="save", price_g=str(price_g))
    page = await owner.open(f"{place}/versions")
    assert page.count("<section") == 20
    assert "第 24 版" in page
    assert "店长" in page
    assert "<del>121 g</del>" in page
    assert "最初的版本" not in page
    more = re.search(rf'href="({place}/versions\?before=\d+)"', page)[1]
    page = await owner.open(more)
    assert "最初的版本" in page
    assert "<del>100 g</del>" in page
    await owner.open(f"/publisher/offers/{(await builders.an_offer()).id}/versions", status=404)
