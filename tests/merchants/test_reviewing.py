"""The facts beside a submitted offer, as they are found."""

from __future__ import annotations

import msgspec
import pytest

from marketplace import db
from marketplace.offers import catalogue, lifecycle
from marketplace.offers.eligibility import NoRules
from merchants.reviewing import Review, reviews
from tests.builders import a_draft, a_publisher, a_resident, a_till, an_offer, edited, redeemed, verify
from tests.merchants.people import a_member

pytestmark = pytest.mark.usefixtures("database")


async def the_review() -> Review:
    [offer] = (await catalogue.submitted_offers()).items
    return (await reviews([offer], eligibility=NoRules()))[offer.id]


def codes(review: Review) -> set[str]:
    return {risk.code for risk in review.risks}


async def test_a_submitted_offer_is_compared_with_the_live_ones_of_its_kind():
    publisher = await a_publisher(stores=["光谷店"])
    for _ in range(5):
        await an_offer(publisher=publisher, kind="gift", price_g=100)
    draft = await a_draft(publisher, kind="gift", price_g=1_000)
    await lifecycle.submit(publisher=publisher, offer=draft.id, actor="test")
    review = await the_review()
    assert codes(review) == {"dear", "new_publisher"}
    assert review.changes is None


async def test_staff_who_redeem_at_their_own_publisher_are_counted():
    offer = await an_offer()
    publisher = offer.publisher.id
    await a_member(publisher, login="13700137001")
    insider, stranger = await a_resident(), await a_resident()
    await db.execute("UPDATE resident SET phone = '13700137001' WHERE id = $1", insider)
    _, code = await redeemed(offer, insider)
    await redeemed(offer, stranger)
    await verify(await a_till(of=offer), code)
    draft = await a_draft(publisher)
    await lifecycle.submit(publisher=publisher, offer=draft.id, actor="test")
    [risk] = [risk for risk in (await the_review()).risks if risk.code == "self_dealing"]
    assert (risk.severity, risk.facts) == ("grave", {"own": 1, "redeemed": 2})


async def test_what_was_changed_since_an_offer_was_sent_back_is_shown():
    publisher = await a_publisher(stores=["光谷店"])
    draft = await a_draft(publisher)
    offer = await lifecycle.submit(publisher=publisher, offer=draft.id, actor="test")
    await lifecycle.reject(offer=offer.id, reason="太便宜", actor="operator:1")
    await edited(offer, price_g=200)
    await lifecycle.submit(publisher=publisher, offer=offer.id, actor="test")
    review = await the_review()
    assert [(one.field, one.before, one.after) for one in review.changes or []] == [("price_g", 100, 200)]


async def test_a_rule_is_tried_with_those_who_redeemed_last():
    offer = await an_offer()
    for _ in range(20):
        await redeemed(offer, await a_resident())
    shown = msgspec.structs.replace(offer, eligibility="no")
    review = (await reviews([shown], eligibility=NoRules()))[offer.id]
    [risk] = [risk for risk in review.risks if risk.code == "fits_hardly_anyone"]
    assert risk.facts == {"passed": 0, "tried": 20}
