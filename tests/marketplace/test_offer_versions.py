"""Drafts that two people write, the history of an offer's terms, its copies, and what others ask for as much."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from marketplace import clock, db
from marketplace.errors import Invalid, NotFound, Refused
from marketplace.ids import is_fresh, new_id
from marketplace.offers import lifecycle
from marketplace.offers.catalogue import publisher_offer
from marketplace.offers.copying import copy
from marketplace.offers.pricing import rounded, suggested_price
from marketplace.offers.terms import Change, change_from
from marketplace.offers.versions import versions_of
from marketplace.offers.view import OfferView
from tests.builders import a_draft, a_publisher, a_resident, an_offer, code_of, edited, redeemed

pytestmark = pytest.mark.usefixtures("database")


async def edit(offer: OfferView, *, seen: int, **change: object) -> OfferView:
    return await lifecycle.edit(
        publisher=offer.publisher.id, offer=offer.id, change=change_from(change), actor="test", seen=seen
    )


async def numbers(offer: OfferView) -> list[int]:
    found = await versions_of(publisher=offer.publisher.id, offer=offer.id, count=100)
    return [version.number for version in found]


# ------------------------------------------------------------------ two who write
async def test_what_somebody_else_has_set_meanwhile_is_not_undone():
    draft = await a_draft(await a_publisher())
    await edit(draft, seen=1, price_g=200)

    with pytest.raises(Refused) as refused:
        await edit(draft, seen=1, price_g=300, summary="话")

    assert (refused.value.code, refused.value.facts["fields"]) == ("offer_edited_meanwhile", ["price_g"])
    after = await publisher_offer(publisher=draft.publisher.id, offer=draft.id)
    assert (after.price_g, after.summary, after.version) == (200, "", 2)
    assert (await edit(draft, seen=2, price_g=300)).price_g == 300


async def test_two_may_write_different_fields_or_the_same_thing():
    draft = await a_draft(await a_publisher())
    await edit(draft, seen=1, price_g=200)

    after = await edit(draft, seen=1, summary="话")
    again = await edit(draft, seen=1, price_g=200)

    assert (after.price_g, after.summary) == (200, "话")
    assert again.version == after.version


async def test_of_two_who_write_one_field_at_once_one_is_told():
    draft = await a_draft(await a_publisher())

    outcomes = await asyncio.gather(
        *(edit(draft, seen=1, price_g=price_g) for price_g in (200, 300)), return_exceptions=True
    )

    assert sorted(map(code_of, outcomes)) == ["offer_edited_meanwhile", "ok"]


async def test_a_version_that_never_was_cannot_have_been_seen():
    draft = await a_draft(await a_publisher())
    with pytest.raises(Invalid):
        await edit(draft, seen=7, price_g=200)


async def test_a_draft_under_an_id_that_was_given_out_is_made_once():
    publisher, other, given = await a_publisher(), await a_publisher(), new_id()
    makes = [
        lifecycle.create_draft(publisher=one, change=Change(kind="gift"), actor="test", offer=given)
        for one in (publisher, publisher, other)
    ]

    outcomes = await asyncio.gather(*makes, return_exceptions=True)

    assert sorted(map(code_of, outcomes)) == ["offer_edited_meanwhile"] * 2 + ["ok"]
    assert await db.fetch_value("SELECT count(*) FROM offer") == 1


def test_an_id_is_fresh_for_a_day_and_not_before_its_time():
    def moved(by: timedelta) -> UUID:
        made = new_id()
        return UUID(int=made.int + (int(by.total_seconds() * 1_000) << 80))

    assert is_fresh(new_id())
    assert is_fresh(moved(timedelta(hours=-23)))
    assert not is_fresh(moved(timedelta(hours=-25)))
    assert not is_fresh(moved(timedelta(hours=1)))
    assert not is_fresh(UUID("6f0f3f0e-6a0c-4a5e-9c53-0f9d7f2b1c11"))


# ------------------------------------------------------------------ history
async def test_the_history_has_what_was_handed_in_and_what_was_in_force_and_not_every_save():
    publisher = await a_publisher(stores=["光谷店"])
    draft = await a_draft(publisher)
    for price_g in (200, 300):
        await edit(draft, seen=1 if price_g == 200 else 2, price_g=price_g)
    assert await numbers(draft) == [3]
    await lifecycle.submit(publisher=publisher, offer=draft.id, actor="test")  # settles the stores: version 4
    await lifecycle.reject(offer=draft.id, reason="太贵", actor="test")
    await edited(draft, price_g=250)
    await edited(draft, price_g=240)
    assert await numbers(draft) == [6, 4]
    await lifecycle.submit(publisher=publisher, offer=draft.id, actor="test")
    await lifecycle.approve(offer=draft.id, actor="test")
    await edited(draft, price_g=230)
    await edited(draft, price_g=220)

    assert await numbers(draft) == [8, 7, 6, 4]
    older = await versions_of(publisher=publisher, offer=draft.id, before=7, count=1)
    assert [(one.number, one.terms.price_g, one.created_by) for one in older] == [(6, 240, "test")]


async def test_the_history_of_anothers_offer_is_empty():
    offer = await an_offer()
    assert await versions_of(publisher=await a_publisher(), offer=offer.id, count=10) == []


# ------------------------------------------------------------------ copies
@pytest.mark.parametrize("state", ["draft", "live", "ended"])
async def test_a_copy_is_a_draft_with_the_same_terms_whatever_the_state(state):
    publisher = await a_publisher(stores=["光谷店"])
    more = {"kind": "cash_coupon", "benefit": {"amount_fen": 500}, "conditions": {"min_bill_fen": 900},
            "limits": {"per_resident_per_day": 2}, "starts_at": "2020-01-01", "ends_at": "2199-12-31"}  # fmt: skip
    offer = (
        await a_draft(publisher, **more) if state == "draft" else await an_offer(publisher=publisher, **more)
    )
    if state == "ended":
        await lifecycle.end(publisher=publisher, offer=offer.id, actor="test")

    made = await copy(publisher=publisher, offer=offer.id, actor="test")

    assert (made.status, made.version) == ("draft", 1)
    assert made.id != offer.id
    same = ("kind", "title", "price_g", "benefit", "conditions", "limits", "starts_at", "ends_at", "stores")
    assert [getattr(made, name) for name in same] == [getattr(offer, name) for name in same]


async def test_a_copy_leaves_a_window_that_is_over_and_what_was_sold():
    offer = await an_offer(stock=5, starts_at="2020-01-01", ends_at="2199-12-31")
    await redeemed(offer, await a_resident())
    with clock.travelled(timedelta(days=366 * 180)):
        made = await copy(publisher=offer.publisher.id, offer=offer.id, actor="test")

    assert (made.starts_at, made.ends_at, made.stock_left) == (None, None, 5)


async def test_anothers_offer_cannot_be_copied():
    offer = await an_offer()
    with pytest.raises(NotFound):
        await copy(publisher=await a_publisher(), offer=offer.id, actor="test")


# ------------------------------------------------------------------ prices
async def test_a_price_is_suggested_by_what_live_offers_of_the_kind_ask_for_a_yuan():
    publisher = await a_publisher(stores=["光谷店"])
    for price_g, amount_fen in ((500, 500), (1_200, 1_000), (9_000, 1_000)):
        await an_offer(
            publisher=publisher, kind="cash_coupon", price_g=price_g, benefit={"amount_fen": amount_fen}
        )
    await a_draft(publisher, kind="cash_coupon", price_g=1, benefit={"amount_fen": 1_000})
    ended = await an_offer(publisher=publisher, kind="cash_coupon", price_g=1, benefit={"amount_fen": 1_000})
    await lifecycle.end(publisher=publisher, offer=ended.id, actor="test")

    assert await suggested_price(kind="cash_coupon", face_value_fen=2_000) == (2_400, 120, 3, True)
    assert await suggested_price(kind="ticket", face_value_fen=2_000) == (2_400, 120, 3, False)


async def test_no_price_is_suggested_without_a_face_value_or_anything_to_compare_with():
    assert await suggested_price(kind="gift", face_value_fen=1_000) is None
    await an_offer(kind="donation", benefit={"cause": "湿地", "value_fen": 0})
    assert await suggested_price(kind="donation", face_value_fen=1_000) is None
    assert await suggested_price(kind="discount", face_value_fen=None) is None


@pytest.mark.parametrize(
    ("amount", "to"), [(0, 1), (7, 7), (47, 47), (1_247, 1_200), (1_250, 1_300), (99_900, 100_000)]
)
def test_a_suggestion_has_two_digits_that_count(amount, to):
    assert rounded(amount) == to
