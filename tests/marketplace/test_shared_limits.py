"""Limits over several offers together: taking one counts for the others, and all limits over an offer hold."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from marketplace import db, redemptions
from marketplace.errors import Invalid, NotFound, Refused
from marketplace.ids import new_id
from marketplace.offers import catalogue, lifecycle, shared_limits
from marketplace.offers.lifecycle import LiveOffer
from marketplace.offers.shared_limits import LimitChange, NewLimit, Owner, OwnLimit
from marketplace.offers.view import OfferView
from tests.builders import (
    a_campaign,
    a_draft,
    a_publisher,
    a_resident,
    an_offer,
    cancel,
    redeem,
    redeemed,
)
from tests.marketplace.test_limits import MONDAY, on

ACTOR = "staff:test"


async def offers_of(publisher: UUID, count: int = 3) -> list[OfferView]:
    return [await an_offer(publisher=publisher) for _ in range(count)]


async def a_limit(publisher: UUID, *offers: OfferView, name: str = "早餐券", **caps: int) -> OwnLimit:
    given = NewLimit(name=name, offers=tuple(offer.id for offer in offers), **(caps or {"per_resident": 1}))
    return await shared_limits.create_limit(Owner(publisher=publisher), given, actor=ACTOR)


async def a_campaigns_limit(campaign: UUID, *offers: OfferView, **caps: int) -> OwnLimit:
    given = NewLimit(
        name="低碳出行季", offers=tuple(offer.id for offer in offers) or None, **(caps or {"per_resident": 1})
    )
    return await shared_limits.create_limit(Owner(campaign=campaign), given, actor="operator:test")


async def changed(publisher: UUID, limit: OwnLimit, **change: Any) -> OwnLimit:
    return await shared_limits.edit_limit(
        Owner(publisher=publisher), limit.id, LimitChange(**change), actor=ACTOR
    )


async def refused(resident: UUID, offer: OfferView, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        await redeem(resident, offer)
    shown = await catalogue.public_offer(offer.id, resident=resident)
    assert (refusal.value.code, shown.reasons) == (code, [code])


async def outcome(resident: UUID, offer: OfferView) -> str:
    try:
        await redeem(resident, offer)
    except Refused as refusal:
        return refusal.code
    return "ok"


@pytest.fixture
async def publisher(database: str) -> UUID:
    return await a_publisher(stores=["光谷店"])


# ------------------------------------------------------------------ what they hold
async def test_taking_one_offer_blocks_the_others_of_the_limit_and_no_offer_outside(publisher: UUID) -> None:
    a, b, c = await offers_of(publisher)
    await a_limit(publisher, a, b)
    one, other = await a_resident(), await a_resident()
    await redeem(one, a)
    await refused(one, b, "shared_limit_reached")
    await refused(one, a, "shared_limit_reached")
    await redeem(one, c)
    await redeem(other, b)


async def test_two_limits_over_one_offer_must_both_hold(publisher: UUID) -> None:
    a, b, c = await offers_of(publisher)
    await a_limit(publisher, a, b, per_resident=2)
    await a_limit(publisher, b, c, name="晚餐券", per_resident=1)
    resident = await a_resident()
    await redeem(resident, c)
    await refused(resident, b, "shared_limit_reached")  # the second limit is used up, the first is not
    await redeem(resident, a)
    await redeem(resident, a)
    await refused(resident, a, "shared_limit_reached")  # the first


async def test_what_one_limit_refuses_uses_nothing_of_the_other(publisher: UUID) -> None:
    a, b, c = await offers_of(publisher)
    await a_limit(publisher, a, b, per_resident=1)
    await a_limit(publisher, b, c, name="晚餐券", per_resident=1)
    resident = await a_resident()
    await redeem(resident, a)
    await refused(resident, b, "shared_limit_reached")
    await redeem(resident, c)


async def test_a_shared_limit_of_a_day_and_of_a_week_begin_anew(publisher: UUID) -> None:
    a, b, _ = await offers_of(publisher)
    await a_limit(publisher, a, b, per_resident_per_day=1, per_resident_per_week=2)
    resident = await a_resident()
    with on(MONDAY):
        await redeem(resident, a)
        await refused(resident, b, "shared_limit_reached_today")
    with on("2027-01-05"):
        await redeem(resident, b)
    with on("2027-01-10"):
        await refused(resident, a, "shared_limit_reached_this_week")
    with on("2027-01-11"):
        await redeem(resident, a)


async def test_cancelling_gives_the_use_back_to_all_limits_over_the_offer(publisher: UUID) -> None:
    a, b, c = await offers_of(publisher)
    await a_limit(publisher, a, b)
    await a_limit(publisher, a, c, name="晚餐券")
    resident = await a_resident()
    redemption, _ = await redeemed(a, resident)
    await cancel(resident, redemption)
    await redeem(resident, b)
    await redeem(resident, c)


# ------------------------------------------------------------------ changing them
async def test_lifting_a_shared_limit_unblocks_at_once(publisher: UUID) -> None:
    a, b, _ = await offers_of(publisher)
    limit = await a_limit(publisher, a, b)
    resident = await a_resident()
    await redeem(resident, a)
    await refused(resident, b, "shared_limit_reached")
    await shared_limits.end_limit(Owner(publisher=publisher), limit.id, actor=ACTOR)
    await redeem(resident, b)
    with pytest.raises(Refused, match="limit_has_ended"):
        await changed(publisher, limit, per_resident=5)
    with pytest.raises(Refused, match="limit_has_ended"):
        await shared_limits.end_limit(Owner(publisher=publisher), limit.id, actor=ACTOR)


async def test_raising_and_lowering_a_shared_cap_rewrite_nothing(publisher: UUID) -> None:
    a, b, _ = await offers_of(publisher)
    limit = await a_limit(publisher, a, b, per_resident=1)
    resident = await a_resident()
    await redeem(resident, a)
    await changed(publisher, limit, per_resident=2)
    await redeem(resident, b)
    await refused(resident, b, "shared_limit_reached")
    await changed(publisher, limit, per_resident=1)
    await refused(resident, a, "shared_limit_reached")
    await changed(publisher, limit, per_resident=None, per_resident_per_day=9)
    await redeem(resident, a)


async def test_an_offer_that_leaves_a_limit_is_free_and_one_that_joins_is_bound(publisher: UUID) -> None:
    a, b, c = await offers_of(publisher)
    limit = await a_limit(publisher, a, b)
    resident = await a_resident()
    await redeem(resident, c)  # outside: does not count
    await redeem(resident, a)
    await changed(publisher, limit, offers=(a.id, c.id))
    await redeem(resident, b)
    await refused(resident, c, "shared_limit_reached")


async def test_a_limit_that_another_process_set_is_found_out_under_the_locks(
    publisher: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, _ = await offers_of(publisher)
    resident = await a_resident()
    await redeem(resident, a)
    stale = {offer.id: [await redemptions.live_terms(offer.id)] for offer in (a, b)}
    fresh = redemptions.live_terms

    async def read_too_early(of: UUID) -> LiveOffer:
        return stale[of].pop() if stale[of] else await fresh(of)

    monkeypatch.setattr(redemptions, "live_terms", read_too_early)
    await a_limit(publisher, a, b)
    await redeem(resident, a)  # counts from now on, though this process had not heard of it
    assert await outcome(resident, b) == "shared_limit_reached"


async def test_who_changed_a_limit_stands_in_the_trail_of_its_offers(publisher: UUID) -> None:
    a, b, _ = await offers_of(publisher)
    limit = await a_limit(publisher, a, b)
    await changed(publisher, limit, per_resident=3)
    await shared_limits.end_limit(Owner(publisher=publisher), limit.id, actor=ACTOR)
    rows = await db.fetch(
        "SELECT event FROM offer_event WHERE offer = $1 AND actor = $2 ORDER BY id", a.id, ACTOR
    )
    assert [row["event"] for row in rows] == ["limit_set", "limit_changed", "limit_ended"]


# ------------------------------------------------------------------ campaigns
async def test_a_campaigns_limit_spans_all_its_offers_whoever_publishes_them(database: str) -> None:
    campaign, resident = await a_campaign(100_000), await a_resident()
    one, other = [await an_offer(kind="cash_coupon", campaign=campaign) for _ in range(2)]
    outside = await an_offer(kind="cash_coupon")
    limit = await a_campaigns_limit(campaign)
    await redeem(resident, one)
    await refused(resident, other, "shared_limit_reached")
    await redeem(resident, outside)
    later = await an_offer(kind="cash_coupon", campaign=campaign)
    await refused(resident, later, "shared_limit_reached")
    await shared_limits.end_limit(Owner(campaign=campaign), limit.id, actor="operator:test")
    await redeem(resident, later)


async def test_a_campaigns_limit_may_be_over_some_of_its_offers(database: str) -> None:
    campaign, resident = await a_campaign(100_000), await a_resident()
    a, b, c = [await an_offer(kind="cash_coupon", campaign=campaign) for _ in range(3)]
    limit = await a_campaigns_limit(campaign, a, b)
    await redeem(resident, a)
    await refused(resident, b, "shared_limit_reached")
    await redeem(resident, c)
    whole = await shared_limits.edit_limit(
        Owner(campaign=campaign), limit.id, LimitChange(offers=None), actor="operator:test"
    )
    assert whole.offers is None
    await refused(resident, c, "shared_limit_reached")
    stranger = await an_offer(kind="cash_coupon")
    with pytest.raises(Invalid) as wrong:
        await a_campaigns_limit(campaign, stranger)
    assert wrong.value.errors == (("offers", "unknown"),)


async def test_an_offer_says_what_its_limits_span(database: str) -> None:
    campaign, publisher = await a_campaign(100_000), await a_publisher(stores=["光谷店"])
    offer = await an_offer(publisher=publisher, kind="cash_coupon", campaign=campaign, limit=3)
    own = await a_limit(publisher, offer, per_resident_per_day=1)
    wide = await a_campaigns_limit(campaign, per_resident=5)
    shown = await catalogue.public_offer(offer.id)
    assert shown.per_resident_limit == 3
    spans = [(one.id, one.name, one.campaign) for one in shown.shared_limits]
    assert spans == [(own.id, "早餐券", None), (wide.id, "低碳出行季", campaign)]
    caps = [(one.per_resident, one.per_resident_per_day) for one in shown.shared_limits]
    assert caps == [(None, 1), (5, None)]


# ------------------------------------------------------------------ whose they are, and what they may say
async def test_a_limit_is_its_owners_alone(publisher: UUID) -> None:
    a, b, _ = await offers_of(publisher)
    limit, stranger = await a_limit(publisher, a, b), await a_publisher(stores=["汉口店"])
    theirs = await an_offer(publisher=stranger)
    for owner in (Owner(publisher=stranger), Owner(campaign=await a_campaign(0))):
        with pytest.raises(NotFound):
            await shared_limits.own_limit(owner, limit.id)
        with pytest.raises(NotFound):
            await shared_limits.end_limit(owner, limit.id, actor=ACTOR)
        assert await shared_limits.own_limits(owner, before=None, count=10) == []
    with pytest.raises(Invalid) as wrong:
        await a_limit(publisher, a, theirs)
    assert wrong.value.errors == (("offers", "unknown"),)
    with pytest.raises(NotFound):
        await a_campaigns_limit(new_id())


@pytest.mark.parametrize(
    ("given", "errors"),
    [
        ({"per_resident": None}, [("per_resident", "required")]),
        ({"offers": None}, [("offers", "required")]),
        ({"offers": ()}, [("offers", "required")]),
        ({"offers": (new_id(),)}, [("offers", "unknown")]),
        ({"offers": None, "per_resident": None}, [("per_resident", "required"), ("offers", "required")]),
    ],
)  # fmt: skip
async def test_a_limit_that_says_nothing_is_refused_at_its_field(
    publisher: UUID, given: dict[str, Any], errors: list[tuple[str, str]]
) -> None:
    a, b, _ = await offers_of(publisher)
    whole = {"name": "早餐券", "offers": (a.id, b.id), "per_resident": 1}
    with pytest.raises(Invalid) as wrong:
        await shared_limits.create_limit(Owner(publisher=publisher), NewLimit(**whole | given), actor=ACTOR)
    assert list(wrong.value.errors) == errors
    limit = await a_limit(publisher, a, b)
    with pytest.raises(Invalid) as wrong:
        await changed(publisher, limit, **given)
    assert list(wrong.value.errors) == errors


async def test_an_offer_named_twice_is_refused(publisher: UUID) -> None:
    a, _, _ = await offers_of(publisher)
    with pytest.raises(Invalid) as wrong:
        await a_limit(publisher, a, a)
    assert wrong.value.errors == (("offers", "repeated"),)


async def test_no_offer_is_under_more_limits_than_a_redemption_can_carry(publisher: UUID) -> None:
    a, b, _ = await offers_of(publisher)
    limits = [
        await a_limit(publisher, a, name=str(n), per_resident=9) for n in range(shared_limits.MAX_PER_OFFER)
    ]
    with pytest.raises(Invalid) as wrong:
        await a_limit(publisher, a, b)
    assert wrong.value.errors == (("offers", "in_too_many_limits"),)
    await changed(publisher, limits[0], name="改名")
    await redeem(await a_resident(), a)
    await shared_limits.end_limit(Owner(publisher=publisher), limits[0].id, actor=ACTOR)
    await a_limit(publisher, a, b)


async def test_no_campaign_has_more_limits_over_all_its_offers_than_a_redemption_can_carry(
    database: str,
) -> None:
    campaign = await a_campaign(0)
    for _ in range(shared_limits.MAX_PER_OFFER):
        await a_campaigns_limit(campaign)
    with pytest.raises(Invalid) as wrong:
        await a_campaigns_limit(campaign)
    assert wrong.value.errors == (("offers", "in_too_many_limits"),)


async def test_the_database_lets_no_offer_under_anothers_limit(publisher: UUID) -> None:
    a, _, _ = await offers_of(publisher)
    limit, theirs = await a_limit(publisher, a), await an_offer()
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="not of whose limit"):
        await db.execute("INSERT INTO shared_limit_offer VALUES ($1, $2)", limit.id, theirs.id)


async def test_drafts_may_be_put_under_a_limit_before_they_go_live(publisher: UUID) -> None:
    live, draft = await an_offer(publisher=publisher), await a_draft(publisher)
    given = NewLimit(name="早餐券", offers=(live.id, draft.id), per_resident=1)
    await shared_limits.create_limit(Owner(publisher=publisher), given, actor=ACTOR)
    await lifecycle.submit(publisher=publisher, offer=draft.id, actor=ACTOR)
    await lifecycle.approve(offer=draft.id, actor="operator:test")
    resident = await a_resident()
    await redeem(resident, draft)
    await refused(resident, live, "shared_limit_reached")
