"""What residents find, and exactly why they could not take it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

import pytest

from marketplace import chart, clock, db, ledger
from marketplace.campaigns.opening import create_campaign
from marketplace.campaigns.reading import campaigns
from marketplace.devices import calling
from marketplace.errors import FieldError, Invalid, NotFound
from marketplace.ids import new_id
from marketplace.offers import catalogue, lifecycle
from marketplace.offers.eligibility import Reason, Verdict
from marketplace.offers.terms import Change, Conditions
from marketplace.publishers import (
    create_publisher,
    create_till,
    stores,
    tills,
)
from marketplace.publishers import publisher as publisher_of
from marketplace.residents import create_resident
from tests import builders
from tests.builders import a_draft, a_publisher, a_till, an_offer

pytestmark = pytest.mark.usefixtures("database")

ACTOR = "staff:test"
STORES = ["江汉路店"]


async def sell(offer: UUID, resident: UUID, units: int = 1) -> None:
    """Move the counters as redemptions do."""
    counters = [chart.stock(offer), chart.uses(offer, resident)]
    async with db.transaction():
        await ledger.open_and_lock([*counters, chart.UNITS])
        await db.insert_many(
            "ledger_transfer",
            ("id", "group_id", "debit", "credit", "amount", "kind", "phase", "created_at"),
            [
                (new_id(), new_id(), chart.UNITS.id, counter.id, units, "sell", "posted", clock.now())
                for counter in counters
            ],
        )


NO = Reason(code="not_eligible", why="condition_not_met", facts={"condition": "false"})


class Rules:
    """Every rule can be judged; `false` keeps everybody out."""

    async def verdicts(self, *, resident: UUID, rules: Collection[str]) -> dict[str, Verdict]:
        return {rule: Verdict([NO] if rule == "false" else []) for rule in rules}

    def check(self, expression: str) -> list[FieldError]:
        return []


async def titles(**query: Any) -> list[str | None]:
    return [offer.title for offer in (await catalogue.live_offers(**query)).items]


async def test_an_offer_is_shown_as_the_contract_says():
    publisher = await a_publisher(stores=STORES)
    offer = await an_offer(
        publisher=publisher, kind="cash_coupon", stock=5, ends_at="2199-12-31",
        conditions=Conditions(min_bill_fen=3_000),
    )  # fmt: skip
    shown = (await catalogue.live_offers()).items
    assert [item.id for item in shown] == [offer.id]
    item = shown[0]
    assert (item.publisher.name, item.publisher.kind) == ("江城超市", "merchant")
    assert (item.benefit, item.face_value_fen, item.capture) == (
        {"amount_fen": 1_000},
        1_000,
        "on_verification",
    )
    assert (item.stock_total, item.stock_left, item.status) == (5, 5, "live")
    assert [(store.name, store.address) for store in item.stores] == [("江汉路店", "洪山区珞喻路1号")]
    assert (item.conditions.min_bill_fen, item.ends_at.isoformat()) == (3_000, "2199-12-31T16:00:00+00:00")


async def test_only_live_offers_are_listed_and_drafts_are_not_found():
    publisher = await a_publisher(stores=STORES)
    paused = await an_offer(publisher=publisher, title="暂停")
    await lifecycle.pause(publisher=publisher, offer=paused.id, actor=ACTOR)
    await an_offer(publisher=publisher, title="未开始", starts_at="2190-01-01")
    await an_offer(publisher=publisher, title="已结束", ends_at="2020-01-01")
    draft = await lifecycle.create_draft(publisher=publisher, change=Change(kind="gift"), actor=ACTOR)
    await an_offer(publisher=publisher, title="在架")
    assert await titles() == ["在架"]
    with pytest.raises(NotFound):
        await catalogue.public_offer(draft.id)
    assert len((await catalogue.publisher_offers(publisher=publisher)).items) == 5


async def test_offers_are_found_by_city_kind_publisher_and_words():
    wuhan, yichang = (
        await a_publisher(stores=STORES),
        await a_publisher(name="三峡书店", city="420500", stores=STORES),
    )
    await an_offer(publisher=wuhan, kind="cash_coupon", title="热干面 50%_off", summary="早餐")
    await an_offer(publisher=yichang, title="赠书", benefit={"item": "书", "value_fen": 0})
    assert await titles(city="420500") == ["赠书"]
    assert await titles(kind="cash_coupon") == ["热干面 50%_off"]
    assert await titles(publisher=yichang) == ["赠书"]
    assert [await titles(q=q) for q in ("三峡", "早餐", "%", "_", "\\", "OFF", " ")] == [
        ["赠书"], ["热干面 50%_off"], ["热干面 50%_off"], ["热干面 50%_off"], [], ["热干面 50%_off"],
        ["赠书", "热干面 50%_off"],
    ]  # fmt: skip


async def test_pages_hold_every_offer_once_newest_first():
    publisher = await a_publisher(stores=STORES)
    made = [(await an_offer(publisher=publisher, title=str(n))).title for n in range(5)]
    seen, cursor = [], None
    while True:
        page = await catalogue.live_offers(limit=2, cursor=cursor)
        seen += [offer.title for offer in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == made[::-1]


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 101}, {"kind": "loan"}, {"q": "\x00"}, {"q": "q" * 101}, {"city": "\x00"},
     *({"cursor": cursor} for cursor in ("", "x", "é", "A" * 22 + "=", "A" * 21 + "B", "A" * 40))],
)  # fmt: skip
async def test_a_query_that_cannot_be_meant_is_refused(query):
    with pytest.raises(Invalid):
        await catalogue.live_offers(**query)


async def test_what_stands_in_the_way_is_told_exactly():
    publisher, resident = await a_publisher(stores=STORES), await create_resident()
    campaign = await create_campaign(name="低碳周", funder="武汉市")
    offer = await an_offer(
        publisher=publisher,
        kind="cash_coupon",
        stock=1,
        limit=1,
        campaign=campaign,
        eligibility="false",
        rules=Rules(),
    )
    await sell(offer.id, resident)
    judged = await catalogue.public_offer(offer.id, resident=resident, eligibility=Rules())
    assert judged.eligible is False
    assert judged.reasons == [
        "sold_out", "limit_reached", "insufficient_reductions", "budget_exhausted", "not_eligible"
    ]  # fmt: skip
    assert judged.reason_details[-1] == NO
    assert [reason.code for reason in judged.reason_details] == judged.reasons
    assert (judged.status, judged.stock_left) == ("sold_out", 0)
    await lifecycle.pause(publisher=publisher, offer=offer.id, actor=ACTOR)
    paused = await catalogue.public_offer(offer.id, resident=await create_resident(), eligibility=Rules())
    assert paused.reasons[0] == "offer_not_live"
    assert "limit_reached" not in paused.reasons


async def test_an_offer_of_codes_promises_no_more_than_its_pool_has():
    resident = await builders.a_resident()
    one = await builders.an_offer(kind="code", codes=["AA"])
    two = await builders.an_offer(kind="code", codes=["AA", "BB", "CC"], stock=2)
    assert {o.id: (o.stock_left, o.status) for o in (await catalogue.live_offers()).items} == {
        one.id: (1, "live"), two.id: (2, "live"),
    }  # fmt: skip
    await builders.redeemed(one)
    judged = {o.id: o for o in (await catalogue.live_offers(resident=resident)).items}
    assert (judged[one.id].stock_left, judged[one.id].status) == (0, "sold_out")
    assert (judged[one.id].reasons, judged[two.id].reasons) == (["sold_out"], [])


async def test_a_benefit_of_no_value_needs_no_budget():
    publisher, resident = await a_publisher(stores=STORES), await create_resident()
    campaign = await create_campaign(name="低碳周", funder="武汉市")
    offer = await an_offer(publisher=publisher, benefit={"item": "书签", "value_fen": 0}, campaign=campaign)
    assert (await catalogue.public_offer(offer.id, resident=resident)).reasons == ["insufficient_reductions"]


async def test_a_raised_stock_reopens_a_sold_out_offer_and_a_lowered_one_corrupts_nothing():
    publisher, resident = await a_publisher(stores=STORES), await create_resident()
    offer = await an_offer(publisher=publisher, stock=2)
    await sell(offer.id, resident, units=2)
    assert (await catalogue.public_offer(offer.id)).status == "sold_out"
    for stock, expected in ((3, ("live", 1)), (1, ("sold_out", 0)), (None, ("live", None))):
        shown = await lifecycle.edit(
            publisher=publisher, offer=offer.id, change=Change(stock_total=stock), actor=ACTOR
        )
        assert (shown.status, shown.stock_left) == expected


async def test_a_resident_without_grams_can_afford_nothing():
    await an_offer()
    resident = await create_resident()
    assert await titles(resident=resident, affordable=True) == []
    assert await titles(resident=resident) == ["低碳好礼"]


async def test_the_operator_sees_what_waits():
    publisher = await a_publisher(stores=STORES)
    await an_offer(publisher=publisher)
    draft = await a_draft(publisher, kind="donation")
    await lifecycle.submit(publisher=publisher, offer=draft.id, actor=ACTOR)
    assert [offer.id for offer in (await catalogue.submitted_offers()).items] == [draft.id]


async def test_a_till_knows_its_store_and_publisher():
    publisher = await a_publisher(stores=STORES)
    (store,) = await stores(publisher=publisher)
    found = await calling(await create_till(store=store.id, name="1 号收银台"))
    assert (found.store, found.store_name, found.publisher) == (store.id, "江汉路店", publisher)
    await a_till()
    assert await tills(publisher=publisher) == [found]
    for nowhere in (calling(new_id()), create_till(store=new_id(), name="x"), publisher_of(new_id())):
        with pytest.raises(NotFound):
            await nowhere


@pytest.mark.parametrize(
    "given", [{"city": "110000"}, {"city": "42010０"}, {"name": " "}, {"name": "\x00"}, {"kind": "shop"}]
)
async def test_a_publisher_is_of_hubei_and_has_a_name(given):
    with pytest.raises(Invalid):
        await create_publisher(**({"kind": "venue", "name": "东湖磨山", "city": "420100"} | given))


async def test_a_campaign_begins_with_an_empty_budget():
    campaign = await create_campaign(name="低碳周", funder="武汉市")
    assert [(c.id, c.budget_fen) for c in await campaigns()] == [(campaign, 0)]
