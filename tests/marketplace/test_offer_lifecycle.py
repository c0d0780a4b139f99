"""From draft to end: who may do what, when, and what becomes of the terms."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from marketplace import clock, db
from marketplace.campaigns.opening import create_campaign
from marketplace.errors import FieldError, Invalid, NotFound, Refused
from marketplace.ids import new_id
from marketplace.offers import catalogue, lifecycle
from marketplace.offers.terms import Change, change_from
from marketplace.offers.view import OfferView
from marketplace.pools import add_codes
from tests import builders
from tests.builders import a_draft, a_publisher, an_offer

pytestmark = pytest.mark.usefixtures("database")

ACTOR = "test"  # the builders' own
STORE = ["1 号店"]


async def events(offer: UUID) -> list[tuple[str, str]]:
    rows = await db.fetch("SELECT event, actor FROM offer_event WHERE offer = $1 ORDER BY id", offer)
    return [(row["event"], row["actor"]) for row in rows]


async def numbers(offer: UUID) -> list[int]:
    rows = await db.fetch("SELECT number FROM offer_version WHERE offer = $1 ORDER BY id", offer)
    return [row["number"] for row in rows]


async def test_an_offer_goes_from_draft_to_its_end_and_every_step_is_kept():
    publisher = await a_publisher(stores=STORE)
    draft = await a_draft(publisher)
    assert draft.status == "draft"
    who = {"publisher": publisher, "offer": draft.id, "actor": ACTOR}
    assert (await lifecycle.submit(**who)).status == "submitted"
    assert (await lifecycle.approve(offer=draft.id, actor="operator:1")).status == "live"
    assert (await lifecycle.pause(**who)).status == "paused"
    assert (await lifecycle.resume(**who)).status == "live"
    assert (await lifecycle.end(**who)).status == "ended"
    assert await events(draft.id) == [
        ("created", ACTOR), ("submitted", ACTOR), ("approved", "operator:1"),
        ("paused", ACTOR), ("resumed", ACTOR), ("ended", ACTOR),
    ]  # fmt: skip


async def test_stores_left_out_are_all_that_the_publisher_has_when_it_submits():
    publisher = await a_publisher(stores=["1 号店", "2 号店"])
    offer = await an_offer(publisher=publisher)
    assert [store.name for store in offer.stores] == ["1 号店", "2 号店"]


async def test_an_incomplete_draft_is_kept_and_not_submitted():
    publisher = await a_publisher()
    draft = await lifecycle.create_draft(publisher=publisher, change=Change(kind="gift"), actor=ACTOR)
    with pytest.raises(Invalid) as refused:
        await lifecycle.submit(publisher=publisher, offer=draft.id, actor=ACTOR)
    assert {error.field for error in refused.value.errors} == {"title", "price_g", "benefit", "stores"}
    assert (await catalogue.publisher_offer(publisher=publisher, offer=draft.id)).status == "draft"


async def test_stores_of_others_unknown_campaigns_and_rules_are_found_when_it_is_submitted():
    publisher, other = await a_publisher(stores=STORE), await a_publisher(stores=STORE)
    store = (await db.fetch_value("SELECT id FROM store WHERE publisher = $1", other)).hex
    draft = await a_draft(publisher, stores=[store], funding={"campaign": str(new_id())}, eligibility="true")
    with pytest.raises(Invalid) as refused:
        await lifecycle.submit(publisher=publisher, offer=draft.id, actor=ACTOR)
    assert refused.value.errors == (
        FieldError("stores", "unknown"),
        FieldError("funding.campaign", "unknown"),
        FieldError("eligibility", "not_available"),
    )


async def test_a_campaign_that_exists_may_fund_an_offer():
    publisher, campaign = (
        await a_publisher(stores=STORE),
        await create_campaign(name="低碳周", funder="武汉市"),
    )
    assert (await an_offer(publisher=publisher, campaign=campaign)).funding.campaign == campaign


async def test_anothers_offer_does_not_exist():
    publisher, other = await a_publisher(stores=STORE), await a_publisher(stores=STORE)
    offer = await an_offer(publisher=publisher)
    for verb in (lifecycle.submit, lifecycle.pause, lifecycle.resume, lifecycle.end):
        with pytest.raises(NotFound):
            await verb(publisher=other, offer=offer.id, actor=ACTOR)
    with pytest.raises(NotFound):
        await lifecycle.edit(publisher=other, offer=offer.id, change=Change(title="我的"), actor=ACTOR)
    with pytest.raises(NotFound):
        await catalogue.publisher_offer(publisher=other, offer=offer.id)


async def test_a_verb_in_the_wrong_state_is_refused_with_the_state_it_is_in():
    publisher = await a_publisher(stores=STORE)
    draft = await a_draft(publisher)
    who = {"publisher": publisher, "offer": draft.id, "actor": ACTOR}
    for verb in (lifecycle.pause, lifecycle.resume, lifecycle.end):
        with pytest.raises(Refused) as refused:
            await verb(**who)
        assert (refused.value.code, refused.value.facts) == ("offer_not_in_state", {"status": "draft"})
    with pytest.raises(Refused):
        await lifecycle.approve(offer=draft.id, actor=ACTOR)
    await lifecycle.submit(**who)
    with pytest.raises(Refused):
        await lifecycle.edit(publisher=publisher, offer=draft.id, change=Change(title="改"), actor=ACTOR)
    with pytest.raises(Refused):
        await lifecycle.submit(**who)
    assert await events(draft.id) == [("created", ACTOR), ("submitted", ACTOR)]


async def test_a_rejected_offer_says_why_and_can_be_mended():
    publisher = await a_publisher(stores=STORE)
    draft = await a_draft(publisher)
    who = {"publisher": publisher, "offer": draft.id, "actor": ACTOR}
    await lifecycle.submit(**who)
    with pytest.raises(Invalid):
        await lifecycle.reject(offer=draft.id, reason=" ", actor=ACTOR)
    rejected = await lifecycle.reject(offer=draft.id, reason="缺少使用说明", actor=ACTOR)
    assert (rejected.status, rejected.reason) == ("rejected", "缺少使用说明")
    await lifecycle.edit(**who, change=Change(terms="每桌限用一张"))
    assert (await lifecycle.submit(**who)).status == "submitted"


async def test_an_edit_of_a_live_offer_is_a_new_version_and_the_old_terms_stay():
    publisher = await a_publisher(stores=STORE)
    offer = await an_offer(publisher=publisher)
    before = await lifecycle.live_terms(offer.id)
    edited = await lifecycle.edit(
        publisher=publisher, offer=offer.id, change=Change(price_g=700), actor=ACTOR
    )
    after = await lifecycle.live_terms(offer.id)
    assert (edited.status, edited.price_g, after.terms.price_g) == ("live", 700, 700)
    kept = await db.fetch_value("SELECT terms FROM offer_version WHERE id = $1", before.version)
    assert kept["price_g"] == 100
    assert await numbers(offer.id) == [1, 2, 3]  # the second has the stores that were left out


async def test_an_edit_that_changes_nothing_leaves_nothing():
    publisher = await a_publisher(stores=STORE)
    draft = await a_draft(publisher)
    await lifecycle.edit(publisher=publisher, offer=draft.id, change=Change(title=draft.title), actor=ACTOR)
    assert await numbers(draft.id) == [1]
    assert await events(draft.id) == [("created", ACTOR)]


async def test_a_live_offer_stays_whole_and_of_its_kind():
    publisher = await a_publisher(stores=STORE)
    offer = await an_offer(publisher=publisher)
    broken = [
        Change(title=None),
        Change(kind="ticket"),
        Change(benefit=None),
        Change(cash_fen=1),
        Change(stores=()),
    ]
    for change in broken:
        with pytest.raises(Invalid):
            await lifecycle.edit(publisher=publisher, offer=offer.id, change=change, actor=ACTOR)
    assert (await lifecycle.live_terms(offer.id)).terms.title == offer.title


COUPON = {"kind": "cash_coupon", "benefit": {"amount_fen": 1_000}}


async def test_once_approved_nobody_else_is_made_to_pay():
    publisher = await a_publisher(stores=STORE)
    campaign, other = [await create_campaign(name=name, funder="武汉市") for name in ("低碳周", "骑行季")]
    own = await an_offer(publisher=publisher, **COUPON)
    with pytest.raises(Invalid) as refused:
        await lifecycle.edit(
            publisher=publisher, offer=own.id, actor=ACTOR,
            change=change_from({"funding": {"campaign": str(campaign)}}),
        )  # fmt: skip
    assert refused.value.errors == (FieldError("funding", "cannot_change"),)
    dearer = await lifecycle.edit(
        publisher=publisher, offer=own.id, change=Change(benefit={"amount_fen": 2_000}), actor=ACTOR
    )
    assert dearer.face_value_fen == 2_000

    funded = await an_offer(publisher=publisher, campaign=campaign, **COUPON)
    change = {"funding": {"campaign": str(other)}, "benefit": {"amount_fen": 2_000}}
    with pytest.raises(Invalid) as refused:
        await lifecycle.edit(publisher=publisher, offer=funded.id, change=change_from(change), actor=ACTOR)
    assert refused.value.errors == (
        FieldError("funding", "cannot_change"),
        FieldError("benefit", "cannot_change"),
    )
    same = {"funding": {"campaign": str(campaign)}, "benefit": {"amount_fen": 1_000}, "price_g": 600}
    kept = await lifecycle.edit(publisher=publisher, offer=funded.id, change=change_from(same), actor=ACTOR)
    assert (kept.price_g, kept.funding.campaign, kept.face_value_fen) == (600, campaign, 1_000)


async def test_who_pays_may_change_until_it_is_approved():
    publisher, campaign = (
        await a_publisher(stores=STORE),
        await create_campaign(name="低碳周", funder="武汉市"),
    )
    draft = await a_draft(publisher, funding={"campaign": str(campaign)}, **COUPON)
    await lifecycle.submit(publisher=publisher, offer=draft.id, actor=ACTOR)
    await lifecycle.reject(offer=draft.id, reason="请自行出资", actor="operator:test")
    change = change_from({"funding": None, "benefit": {"amount_fen": 5}})
    mended = await lifecycle.edit(publisher=publisher, offer=draft.id, change=change, actor=ACTOR)
    assert (mended.funding.campaign, mended.face_value_fen) == (None, 5)


async def test_an_offer_of_codes_is_not_submitted_before_it_has_one():
    publisher = await a_publisher()
    draft = await a_draft(publisher, kind="code", benefit={"value_fen": 500})
    with pytest.raises(Invalid) as refused:
        await lifecycle.submit(publisher=publisher, offer=draft.id, actor=ACTOR)
    assert refused.value.errors == (FieldError("codes", "required"),)
    await add_codes(publisher=publisher, offer=draft.id, codes=["AA"])
    assert (await lifecycle.submit(publisher=publisher, offer=draft.id, actor=ACTOR)).status == "submitted"


async def test_an_offer_whose_codes_are_all_given_out_can_still_be_edited():
    offer = await builders.an_offer(kind="code", codes=["AA"])
    await builders.redeemed(offer)
    assert (await builders.edited(offer, price_g=90)).price_g == 90


async def test_an_approved_offer_is_live_when_its_window_begins_and_ended_when_it_is_over():
    publisher, now = await a_publisher(stores=STORE), clock.now()
    window = {"starts_at": now + timedelta(days=1), "ends_at": now + timedelta(days=2)}
    offer = await an_offer(publisher=publisher, **{name: at.isoformat() for name, at in window.items()})
    assert offer.status == "approved"
    with pytest.raises(Refused, match="offer_not_started"):
        await lifecycle.live_terms(offer.id)
    with clock.travelled(timedelta(days=1)):
        assert (await lifecycle.live_terms(offer.id)).status == "live"
        assert (await catalogue.public_offer(offer.id)).status == "live"
        await lifecycle.pause(publisher=publisher, offer=offer.id, actor=ACTOR)
        await lifecycle.resume(publisher=publisher, offer=offer.id, actor=ACTOR)
    with clock.travelled(timedelta(days=2)):
        assert (await catalogue.public_offer(offer.id)).status == "ended"
        with pytest.raises(Refused, match="offer_ended"):
            await lifecycle.live_terms(offer.id)
        with pytest.raises(Refused, match="offer_not_in_state"):
            await lifecycle.pause(publisher=publisher, offer=offer.id, actor=ACTOR)


async def test_a_redemption_is_told_why_an_offer_is_not_live_and_never_hears_of_a_draft():
    publisher = await a_publisher(stores=STORE)
    draft = await a_draft(publisher)
    for unseen in (draft.id, new_id()):
        with pytest.raises(NotFound):
            await lifecycle.live_terms(unseen)
    offer = await an_offer(publisher=publisher)
    await lifecycle.pause(publisher=publisher, offer=offer.id, actor=ACTOR)
    with pytest.raises(Refused, match="offer_not_live"):
        await lifecycle.live_terms(offer.id)
    await lifecycle.end(publisher=publisher, offer=offer.id, actor=ACTOR)
    with pytest.raises(Refused, match="offer_ended"):
        await lifecycle.live_terms(offer.id)


async def test_the_offers_of_a_suspended_publisher_are_paused():
    publisher = await a_publisher(stores=STORE)
    offer = await an_offer(publisher=publisher)
    await db.execute("UPDATE publisher SET status = 'suspended' WHERE id = $1", publisher)
    with pytest.raises(Refused, match="offer_not_live"):
        await lifecycle.live_terms(offer.id)
    assert (await catalogue.live_offers()).items == []


async def test_of_two_operators_who_rule_at_once_one_is_heard():
    publisher = await a_publisher(stores=STORE)
    draft = await a_draft(publisher)
    await lifecycle.submit(publisher=publisher, offer=draft.id, actor=ACTOR)
    outcomes = await asyncio.gather(
        *(lifecycle.approve(offer=draft.id, actor=f"operator:{n}") for n in range(3)),
        lifecycle.reject(offer=draft.id, reason="否", actor="operator:3"),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes].count(OfferView) == 1
    assert [outcome.code for outcome in outcomes if isinstance(outcome, Refused)] == [
        "offer_not_in_state"
    ] * 3
    assert len(await events(draft.id)) == 3


async def test_edits_at_once_are_each_a_version_of_their_own():
    publisher = await a_publisher(stores=STORE)
    offer = await an_offer(publisher=publisher)
    await asyncio.gather(
        *(
            lifecycle.edit(publisher=publisher, offer=offer.id, change=Change(price_g=1_000 + n), actor=ACTOR)
            for n in range(4)
        )
    )
    assert await numbers(offer.id) == [1, 2, 3, 4, 5, 6]
