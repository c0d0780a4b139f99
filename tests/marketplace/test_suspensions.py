"""A publisher is suspended, reinstated and closed: what becomes of its offers, its coupons out and its tills."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from marketplace import clock, db, devices, suspensions
from marketplace.deeds import Sought, deeds
from marketplace.errors import Invalid, NotFound, Refused
from marketplace.matters import notices, open_matters, standing_of
from marketplace.offers import catalogue, lifecycle
from marketplace.registry import EmbeddedRegistry
from marketplace.settlement import settle
from tests.builders import (
    a_campaign,
    a_draft,
    a_resident,
    a_till,
    an_offer,
    available_g,
    budget_left_fen,
    cancel,
    held_g,
    redeem,
    redeemed,
    reverse,
    status_of,
    taken,
    verify,
)

pytestmark = pytest.mark.usefixtures("database")
ACTOR = "operator:test"


async def suspend(publisher: UUID, coupons_out: Any = "kept", **more: Any) -> None:
    await suspensions.suspend(
        publisher=publisher, coupons_out=coupons_out, reason="投诉查实", actor=ACTOR, **more
    )


async def reinstate(publisher: UUID) -> None:
    await suspensions.reinstate(publisher=publisher, reason="整改完成", actor=ACTOR)


async def close(publisher: UUID) -> None:
    await suspensions.close(publisher=publisher, reason="注销登记", actor=ACTOR)


# ------------------------------------------------------------------ case 45
async def test_suspending_a_publisher_pauses_its_offers_and_reinstating_brings_them_back():
    offer, resident = await an_offer(), await a_resident()
    await suspend(offer.publisher.id)

    with pytest.raises(Refused, match="offer_not_live"):
        await redeem(resident, offer)
    assert (await catalogue.live_offers()).items == []
    assert (await catalogue.public_offer(offer.id)).status == "paused"

    await reinstate(offer.publisher.id)
    await redeem(resident, offer)
    assert await held_g(resident) == 100


async def test_coupons_out_that_are_kept_are_good_at_the_till_and_their_holders_are_told():
    offer, resident = await an_offer(), await a_resident()
    redemption, code = await redeemed(offer, resident)
    assert await notices(resident) == []
    await suspend(offer.publisher.id)

    told = await notices(resident)
    assert [(one.redemption_id, one.kind, one.amount_g) for one in told] == [(redemption, "suspended", 100)]
    till = await a_till(of=offer)
    verification = (await verify(till, code))["id"]
    assert await notices(resident) == []
    await reverse(till, verification)
    await cancel(resident, redemption)
    assert await available_g(resident) == 5_000


async def test_coupons_out_that_are_given_back_release_all_they_held_and_their_holders_are_told():
    campaign = await a_campaign(10_000)
    offer = await an_offer(kind="cash_coupon", stock=5, limit=1, campaign=campaign)
    residents = [await a_resident() for _ in range(3)]
    taken_by = [await redeemed(offer, resident) for resident in residents]
    await suspend(offer.publisher.id, "given_back")

    assert await suspensions.give_back_due() == 3
    assert await suspensions.give_back_due() == 0
    for (redemption, _), resident in zip(taken_by, residents, strict=True):
        assert await status_of(redemption) == "cancelled"
        assert (await available_g(resident), await held_g(resident)) == (5_000, 0)
        assert [(one.redemption_id, one.kind) for one in await notices(resident)] == [
            (redemption, "given_back")
        ]
    assert (await taken(offer), await budget_left_fen(campaign)) == (0, 10_000)
    with clock.travelled(timedelta(days=31)):
        assert await notices(residents[0]) == []


async def test_no_till_takes_a_coupon_that_is_about_to_be_given_back():
    offer, resident = await an_offer(), await a_resident()
    redemption, code = await redeemed(offer, resident)
    await suspend(offer.publisher.id, "given_back")
    with pytest.raises(Refused, match="publisher_suspended"):
        await verify(await a_till(of=offer), code, bill_fen=1_000)
    assert await status_of(redemption) == "issued"
    await suspensions.give_back_due()
    with pytest.raises(Refused, match="coupon_cancelled"):
        await verify(await a_till(of=offer), code)


async def test_a_coupon_that_a_till_hands_back_after_the_suspension_is_given_back_too():
    offer, resident = await an_offer(), await a_resident()
    redemption, code = await redeemed(offer, resident)
    till = await a_till(of=offer)
    verification = (await verify(till, code))["id"]
    await suspend(offer.publisher.id, "given_back")
    assert await suspensions.give_back_due() == 0
    assert (await standing_of(offer.publisher.id)).giving_back
    await reverse(till, verification)
    with clock.travelled(timedelta(minutes=20)):
        assert await suspensions.give_back_due() == 1
        assert await suspensions.give_back_due() == 0
    assert await status_of(redemption) == "cancelled"
    assert not (await standing_of(offer.publisher.id)).giving_back


async def test_what_was_kept_may_be_given_back_later_and_never_the_other_way_round():
    offer = await an_offer()
    await redeemed(offer)
    await suspend(offer.publisher.id)
    with pytest.raises(Refused, match="publisher_suspended"):
        await suspend(offer.publisher.id)
    await suspend(offer.publisher.id, "given_back")
    with pytest.raises(Refused, match="publisher_suspended"):
        await suspend(offer.publisher.id, "kept")
    assert await suspensions.give_back_due() == 1


async def test_reinstating_ends_the_giving_back():
    offer = await an_offer()
    redemption, code = await redeemed(offer)
    await suspend(offer.publisher.id, "given_back")
    await reinstate(offer.publisher.id)
    assert await suspensions.give_back_due() == 0
    await verify(await a_till(of=offer), code)
    assert await status_of(redemption) == "verified"


# ------------------------------------------------------------------ what a suspended publisher may not
async def test_a_suspended_publisher_neither_submits_nor_resumes_and_nobody_approves_for_it():
    offer = await an_offer()
    publisher = offer.publisher.id
    draft, waiting = await a_draft(publisher), await a_draft(publisher)
    await lifecycle.submit(publisher=publisher, offer=waiting.id, actor="test")
    await lifecycle.pause(publisher=publisher, offer=offer.id, actor="test")
    await suspend(publisher)
    for deed in (
        lifecycle.submit(publisher=publisher, offer=draft.id, actor="test"),
        lifecycle.resume(publisher=publisher, offer=offer.id, actor="test"),
        lifecycle.approve(offer=waiting.id, actor=ACTOR),
    ):
        with pytest.raises(Refused, match="publisher_suspended"):
            await deed
    await lifecycle.end(publisher=publisher, offer=offer.id, actor="test")


# ------------------------------------------------------------------ closing
async def test_a_publisher_is_closed_when_nothing_is_open_and_then_its_tills_are_nobody():
    offer, resident = await an_offer(), await a_resident()
    publisher = offer.publisher.id
    draft = await a_draft(publisher)
    await lifecycle.submit(publisher=publisher, offer=draft.id, actor="test")
    redemption, code = await redeemed(offer, resident)
    _, unused = await redeemed(offer, resident)
    till = await a_till(of=offer)
    with pytest.raises(Refused, match="publisher_not_suspended"):
        await close(publisher)
    await suspend(publisher)
    await verify(till, code)
    assert (await open_matters(publisher)).coupons_out == 1
    with pytest.raises(Refused, match="publisher_has_open_matters") as refused:
        await close(publisher)
    assert refused.value.facts == {"coupons_out": 1, "unsettled": 1, "owed_fen": 0}

    await suspend(publisher, "given_back")
    await suspensions.give_back_due()
    await settle(EmbeddedRegistry(), everything=True)
    assert (await devices.calling(till)).id == till
    await close(publisher)

    with pytest.raises(NotFound):
        await devices.calling(till)
    states = {row["id"]: row["status"] for row in await db.fetch("SELECT id, status FROM offer")}
    assert states == {offer.id: "ended", draft.id: "rejected"}
    with pytest.raises(Refused, match="publisher_not_suspended"):
        await reinstate(publisher)
    with pytest.raises(Refused, match="publisher_not_active"):
        await suspend(publisher)
    assert await status_of(redemption) == "verified"
    assert unused


async def test_a_publisher_that_is_owed_money_is_not_closed():
    offer = await an_offer(kind="cash_coupon", campaign=await a_campaign(10_000))
    _, code = await redeemed(offer)
    await verify(await a_till(of=offer), code, bill_fen=5_000)
    await settle(EmbeddedRegistry(), everything=True)
    await suspend(offer.publisher.id)
    with pytest.raises(Refused, match="publisher_has_open_matters") as refused:
        await close(offer.publisher.id)
    assert refused.value.facts["owed_fen"] == 1_000


# ------------------------------------------------------------------ who, why
async def test_each_deed_has_a_reason_and_leaves_a_trail():
    publisher = (await an_offer()).publisher.id
    before = len(await deeds(Sought(), limit=100))
    for reason in ("", "  ", "x" * 501, "a\x00b"):
        with pytest.raises(Invalid):
            await suspensions.suspend(publisher=publisher, coupons_out="kept", reason=reason, actor=ACTOR)
    await suspend(publisher)
    await reinstate(publisher)
    trail = await deeds(Sought(object=publisher), limit=100)
    assert [(deed.deed, deed.actor, deed.reason, deed.city) for deed in trail] == [
        ("reinstate", ACTOR, "整改完成", "420100"), ("suspend_kept", ACTOR, "投诉查实", "420100"),
    ]  # fmt: skip
    assert len(await deeds(Sought(), limit=100)) == before + 2


async def test_what_was_refused_leaves_no_trail():
    publisher = (await an_offer()).publisher.id
    with pytest.raises(Refused):
        await reinstate(publisher)
    assert await deeds(Sought(object=publisher), limit=100) == []


async def test_another_citys_publisher_is_not_found():
    publisher = (await an_offer()).publisher.id
    with pytest.raises(NotFound):
        await suspend(publisher, city="420500")
    await suspend(publisher, city="420100")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE operator_deed SET reason = 'x'",
        "DELETE FROM operator_deed",
        "UPDATE publisher_standing SET reason = 'x'",
        "DELETE FROM holder_notice",
        "UPDATE publisher SET status = 'active'",
        """INSERT INTO operator_deed (id, actor, deed, object_kind, object, created_at)
           VALUES (gen_random_uuid(), '', 'suspend', 'publisher', gen_random_uuid(), now())""",
    ],
)
async def test_the_database_refuses_what_no_verb_does(statement):
    publisher = (await an_offer()).publisher.id
    await suspend(publisher)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await db.execute(statement)
