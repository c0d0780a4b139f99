"""Verification at the till: to the fen, once, by whoever may, and undone only within its window."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from marketplace import chart, clock, coupons, db, ledger, redemptions, till_day
from marketplace.errors import Invalid, NotFound, Refused
from marketplace.expiry import expire
from marketplace.offers.terms import Conditions
from marketplace.offers.view import OfferView
from marketplace.registry import EmbeddedRegistry
from marketplace.settlement import settle
from tests.builders import (
    a_campaign,
    a_key,
    a_publisher,
    a_resident,
    a_store,
    a_till,
    an_offer,
    available_g,
    balance,
    budget_left_fen,
    cancel,
    held_g,
    payable_fen,
    redeem,
    redeemed,
    reverse,
    status_of,
    taken,
    verify,
)

NEARLY_THE_WINDOW = redemptions.REVERSAL_WINDOW - timedelta(seconds=5)


async def a_coupon(offer: OfferView, resident: UUID | None = None) -> tuple[UUID, str, UUID]:
    """A coupon of `offer`, and a till that takes it."""
    redemption, code = await redeemed(offer, resident)
    return redemption, code, await a_till(of=offer)


# ------------------------------------------------------------------ what a coupon is worth
@pytest.mark.parametrize(("bill_fen", "discount_fen"), [
    (0, 0), (3, 0), (4, 0), (5, 1), (9_999, 1_999), (10_000, 2_000), (24_999, 4_999), (25_000, 5_000), (99_999, 5_000),
])  # fmt: skip
async def test_a_discount_is_a_share_of_the_bill_to_the_fen_up_to_its_cap(
    database: str, bill_fen: int, discount_fen: int
) -> None:
    offer = await an_offer(kind="discount", benefit={"off_bp": 2_000, "cap_fen": 5_000})
    _, code, till = await a_coupon(offer)
    assert (await verify(till, code, bill_fen=bill_fen))["discount_fen"] == discount_fen


async def test_a_share_of_the_bill_needs_the_bill(database: str) -> None:
    _, code, till = await a_coupon(await an_offer(kind="discount"))
    with pytest.raises(Invalid):
        await verify(till, code)


async def test_a_cash_coupon_takes_off_no_more_than_the_bill_and_the_budget_pays_what_was_given(
    database: str,
) -> None:
    campaign = await a_campaign(1_000)
    offer = await an_offer(kind="cash_coupon", benefit={"amount_fen": 1_000}, campaign=campaign)
    _, code, till = await a_coupon(offer)

    assert (await verify(till, code, bill_fen=640))["discount_fen"] == 640

    assert await payable_fen(offer.publisher.id) == 640
    assert await budget_left_fen(campaign) == 360


async def test_a_discount_of_nothing_moves_no_money_and_still_uses_the_coupon(database: str) -> None:
    campaign = await a_campaign(1_000)
    redemption, code, till = await a_coupon(await an_offer(kind="cash_coupon", campaign=campaign))
    assert (await verify(till, code, bill_fen=0))["discount_fen"] == 0
    assert await budget_left_fen(campaign) == 1_000
    assert await status_of(redemption) == "verified"


async def test_a_verification_captures_what_was_held(database: str) -> None:
    offer, resident = await an_offer(price_g=300, stock=1), await a_resident(available_g=1_000)
    redemption, code, till = await a_coupon(offer, resident)

    answer = await verify(till, code)

    assert answer["redemption_id"] == str(redemption)
    assert (await available_g(resident), await held_g(resident)) == (700, 0)
    assert await balance(chart.stock(offer.id)) == ledger.Balance(credits_posted=1)


# ------------------------------------------------------------------ where and when
async def test_a_bill_below_the_minimum_is_refused_and_at_it_is_not(database: str) -> None:
    _, code, till = await a_coupon(await an_offer(conditions=Conditions(min_bill_fen=5_000)))
    with pytest.raises(Refused, match="minimum_bill_not_met"):
        await verify(till, code, bill_fen=4_999)
    with pytest.raises(Invalid):
        await verify(till, code)
    await verify(till, code, bill_fen=5_000)


async def test_another_store_of_the_publisher_is_the_wrong_one_and_is_told_the_right_one(
    database: str,
) -> None:
    publisher = await a_publisher()
    here, there = await a_store(publisher, name="光谷店"), await a_store(publisher, name="汉口店")
    _, code = await redeemed(await an_offer(publisher=publisher, stores=[str(here)]))

    with pytest.raises(Refused, match="wrong_store") as refusal:
        await verify(await a_till(there), code)

    assert refusal.value.facts["stores"] == ["光谷店"]
    await verify(await a_till(here), code)


async def test_outside_its_hours_a_coupon_is_refused_and_stays_good(database: str) -> None:
    now = clock.now().astimezone(clock.SHANGHAI)
    tomorrow = (now + timedelta(days=1)).isoweekday()
    _, code, till = await a_coupon(await an_offer(conditions=Conditions(weekdays=(tomorrow,))))
    with pytest.raises(Refused, match="outside_hours"):
        await verify(till, code)
    with clock.travelled(timedelta(days=1)):
        await verify(till, code)


async def test_a_used_coupon_is_refused_with_when_and_where(database: str) -> None:
    redemption, code, till = await a_coupon(await an_offer())
    first = await verify(till, code)

    with pytest.raises(Refused, match="coupon_already_used") as refusal:
        await verify(till, code)

    assert refusal.value.facts["store"] == "光谷店"
    assert refusal.value.facts["used_at"].isoformat().replace("+00:00", "Z") == first["verified_at"]
    records = await db.fetch("SELECT 1 FROM consumption_record WHERE redemption = $1", redemption)
    assert len(records) == 1


async def test_a_cancelled_and_an_expired_coupon_are_refused_by_name(database: str) -> None:
    offer, resident = await an_offer(coupon_valid_days=1), await a_resident()
    redemption, code, till = await a_coupon(offer, resident)
    await cancel(resident, redemption)
    with pytest.raises(Refused, match="coupon_cancelled"):
        await verify(till, code)

    _, code = await redeemed(offer, resident)
    with clock.travelled(timedelta(days=2)):
        with pytest.raises(Refused, match="coupon_expired"):
            await verify(till, code)  # nobody has expired it yet
        await expire(EmbeddedRegistry())
        with pytest.raises(Refused, match="coupon_expired"):
            await verify(till, code)


async def test_a_coupon_is_good_until_its_last_day_is_over_in_shanghai(database: str) -> None:
    redemption, code, till = await a_coupon(await an_offer(coupon_valid_days=1))
    expires_at = await db.fetch_value("SELECT expires_at FROM coupon WHERE redemption = $1", redemption)
    after = expires_at - clock.now() + timedelta(milliseconds=1)
    with clock.travelled(after), pytest.raises(Refused, match="coupon_expired"):
        await verify(till, code)
    with clock.travelled(expires_at - clock.now() - timedelta(seconds=2)):
        await verify(till, code)


# ------------------------------------------------------------------ codes and tokens
async def test_another_publishers_code_is_not_found(database: str) -> None:
    _, code, _ = await a_coupon(await an_offer())
    stranger = await a_till()
    with pytest.raises(NotFound, match="coupon_not_found"):
        await verify(stranger, code)


@pytest.mark.parametrize("typed", [
    lambda code: f" {code[:4]} {code[4:8]} {code[8:]}\n",
    lambda code: f"{code[:4]}-{code[4:8]}－{code[8:]}",
    lambda code: "".join(chr(ord(digit) + 0xFEE0) for digit in code),
    "\u3000".join,
])  # fmt: skip
async def test_a_code_is_read_whatever_its_spaces_hyphens_and_widths(database: str, typed: object) -> None:
    _, code, till = await a_coupon(await an_offer())
    assert callable(typed)
    await verify(till, typed(code))


@pytest.mark.parametrize(
    "typed", ["", " ", "1", "1234567890123", "abcdefghijkl", "１２", "-" * 12, "\u0661" * 12, "0\x00" * 6]
)
async def test_what_is_no_code_looks_like_a_wrong_one(database: str, typed: str) -> None:
    with pytest.raises(NotFound, match="coupon_not_found"):
        await verify(await a_till(), typed)


async def test_a_digit_mistyped_is_no_code(database: str) -> None:
    _, code, till = await a_coupon(await an_offer())
    for place in range(12):
        wrong = code[:place] + str((int(code[place]) + 1) % 10) + code[place + 1 :]
        assert coupons.normal_code(wrong) is None
        with pytest.raises(NotFound):
            await verify(till, wrong)


async def test_the_token_of_this_half_minute_is_taken_and_a_stale_one_is_not(database: str) -> None:
    resident, offer = await a_resident(), await an_offer()
    redemption, _, till = await a_coupon(offer, resident)
    shown = await redemptions.token_of(resident=resident, redemption=redemption)
    assert 1 <= shown.refresh_after <= 30
    for late in (timedelta(seconds=61), timedelta(seconds=-61)):
        with clock.travelled(late), pytest.raises(NotFound, match="coupon_not_found"):
            await verify(till, token=shown.token)
    with clock.travelled(timedelta(seconds=29)):
        await verify(till, token=shown.token)
    with pytest.raises(Refused, match="coupon_already_used"):
        await redemptions.token_of(resident=resident, redemption=redemption)


async def test_a_forged_token_is_not_found(database: str) -> None:
    resident, offer = await a_resident(), await an_offer()
    redemption, _, till = await a_coupon(offer, resident)
    token = (await redemptions.token_of(resident=resident, redemption=redemption)).token
    kind, subject, step, mac = token.split(".")
    other, _ = await redeemed(offer, resident)
    for forged in (
        f"{kind}.{subject}.{step}.{'A' * len(mac)}", f"{kind}.{subject}.{int(step) + 1}.{mac}",
        f"{kind}.{other.hex}.{step}.{mac}", f"{kind}.{subject}.{step}.", f"XX.{subject}.{step}.{mac}", "CT", "",
        f"{kind}.{'z' * 32}.{step}.{mac}", f"{kind}.{subject}.{'9' * 400}.{mac}", f"{kind}.{subject}.{step}.密",
    ):  # fmt: skip
        with pytest.raises(NotFound, match="coupon_not_found"):
            await verify(till, token=forged)
    assert await status_of(redemption) == "issued"


async def test_what_was_captured_at_redemption_has_nothing_to_verify(database: str) -> None:
    publisher = await a_publisher()
    store = await a_store(publisher)
    answer = await redeem(await a_resident(), await an_offer(publisher=publisher, kind="donation"))
    with pytest.raises(NotFound, match="coupon_not_found"):
        await verify(await a_till(store), answer["coupon"]["code"])


# ------------------------------------------------------------------ the same request again
async def test_the_same_key_verifies_once_and_answers_the_same(database: str) -> None:
    _, code, till = await a_coupon(await an_offer())
    first = await verify(till, code, key=a_key(till))
    assert await verify(till, code, key=a_key(till)) == first
    with pytest.raises(Refused, match="idempotency_key_reused"):
        await verify(till, code, key=a_key(till, body=b"another"))


# ------------------------------------------------------------------ undoing a mistake
async def test_a_reversal_reopens_the_coupon_with_everything_it_held(database: str) -> None:
    campaign = await a_campaign(1_000)
    offer = await an_offer(kind="cash_coupon", campaign=campaign, stock=1, limit=1)
    resident = await a_resident(available_g=100)
    redemption, code, till = await a_coupon(offer, resident)
    verification = (await verify(till, code))["id"]

    with clock.travelled(NEARLY_THE_WINDOW):
        await reverse(till, verification)

    assert await status_of(redemption) == "issued"
    assert (await available_g(resident), await held_g(resident)) == (0, 100)
    assert (await taken(offer), await budget_left_fen(campaign), await payable_fen(offer.publisher.id)) == (
        1,
        0,
        0,
    )
    assert (await balance(chart.uses(offer.id, resident))).counted == 1


async def test_a_reversed_coupon_can_be_used_or_given_back_time_and_again(database: str) -> None:
    offer, resident = await an_offer(stock=1), await a_resident()
    redemption, code, till = await a_coupon(offer, resident)
    for _ in range(3):
        await reverse(till, (await verify(till, code))["id"])
    await verify(till, code)
    records = await db.fetch(
        "SELECT state FROM consumption_record WHERE redemption = $1 ORDER BY id", redemption
    )
    assert [record["state"] for record in records] == ["reversed"] * 3 + ["pending"]

    redemption, code, till = await a_coupon(await an_offer(), resident)
    before = await available_g(resident)
    await reverse(till, (await verify(till, code))["id"])
    await cancel(resident, redemption)
    assert await available_g(resident) == before + 100


@pytest.mark.parametrize("mistaken_bill_fen", [0, 1, 640])
async def test_after_a_bill_was_mistyped_and_undone_the_budget_pays_the_right_one_in_full(
    database: str, mistaken_bill_fen: int
) -> None:
    campaign = await a_campaign(1_000)
    offer = await an_offer(kind="cash_coupon", benefit={"amount_fen": 1_000}, campaign=campaign)
    _, code, till = await a_coupon(offer)
    await reverse(till, (await verify(till, code, bill_fen=mistaken_bill_fen))["id"])

    assert (await verify(till, code, bill_fen=8_000))["discount_fen"] == 1_000

    assert await payable_fen(offer.publisher.id) == 1_000
    assert await budget_left_fen(campaign) == 0


async def test_a_reversal_that_the_budget_cannot_honour_again_is_refused_whole(database: str) -> None:
    campaign = await a_campaign(1_000)
    offer = await an_offer(kind="cash_coupon", benefit={"amount_fen": 1_000}, campaign=campaign)
    redemption, code, till = await a_coupon(offer)
    verification = (await verify(till, code, bill_fen=100))["id"]
    await redeem(
        await a_resident(), await an_offer(kind="cash_coupon", benefit={"amount_fen": 900}, campaign=campaign)
    )

    with pytest.raises(Refused, match="budget_exhausted"):
        await reverse(till, verification)

    assert await status_of(redemption) == "verified"


async def test_after_its_window_a_verification_stands(database: str) -> None:
    redemption, code, till = await a_coupon(await an_offer())
    verification = (await verify(till, code))["id"]
    with clock.travelled(redemptions.REVERSAL_WINDOW), pytest.raises(Refused, match="reversal_window_closed"):
        await reverse(till, verification)
    assert await status_of(redemption) == "verified"


async def test_once_settled_a_verification_stands(database: str) -> None:
    _, code, till = await a_coupon(await an_offer())
    verification = (await verify(till, code))["id"]
    await settle(EmbeddedRegistry(), everything=True)
    with pytest.raises(Refused, match="reversal_window_closed"):
        await reverse(till, verification)


async def test_a_reversal_happens_once_and_its_key_answers_again(database: str) -> None:
    offer, resident = await an_offer(), await a_resident()
    _, code, till = await a_coupon(offer, resident)
    verification = (await verify(till, code))["id"]
    first = await reverse(till, verification, a_key(till))
    assert await reverse(till, verification, a_key(till)) == first
    with pytest.raises(Refused, match="already_reversed"):
        await reverse(till, verification)
    assert await held_g(resident) == 100


async def test_another_stores_verification_is_not_found(database: str) -> None:
    publisher = await a_publisher()
    here, there = await a_store(publisher), await a_store(publisher)
    _, code = await redeemed(await an_offer(publisher=publisher))
    verification = (await verify(await a_till(here), code))["id"]
    with pytest.raises(NotFound):
        await reverse(await a_till(there), verification)
    with pytest.raises(NotFound):
        await reverse(await a_till(), verification)


async def test_a_verification_undone_after_the_coupons_last_day_expires_and_gives_the_grams_back(
    database: str,
) -> None:
    resident = await a_resident(available_g=100)
    redemption, code, till = await a_coupon(await an_offer(coupon_valid_days=1), resident)
    expires_at = await db.fetch_value("SELECT expires_at FROM coupon WHERE redemption = $1", redemption)
    with clock.travelled(expires_at - clock.now() - timedelta(minutes=5)):
        verification = (await verify(till, code))["id"]
        with clock.travelled(timedelta(minutes=10)):
            await reverse(till, verification)
            with pytest.raises(Refused, match="coupon_expired"):
                await verify(till, code)
            await expire(EmbeddedRegistry())
    assert await status_of(redemption) == "expired"
    assert await available_g(resident) == 100


async def test_the_last_verification_of_a_till_can_be_undone_while_its_window_is_open(database: str) -> None:
    offer = await an_offer()
    till, other = await a_till(of=offer), await a_till(of=offer)
    assert await till_day.last_verification(till=till) is None
    for _ in range(2):
        used = await verify(till, (await redeemed(offer))[1])
    last = await till_day.last_verification(till=till)
    assert last is not None
    assert (str(last.id), last.title, last.reversible) == (used["id"], offer.title, True)
    assert await till_day.last_verification(till=other) is None
    assert await till_day.last_verification(till=other, verification=last.id) == last
    assert await till_day.last_verification(till=await a_till(), verification=last.id) is None
    with clock.travelled(redemptions.REVERSAL_WINDOW):
        last = await till_day.last_verification(till=till)
        assert last is not None
        assert not last.reversible


@pytest.mark.parametrize("by", ["reversal", "settlement"])
async def test_a_verification_is_undone_once_and_never_after_settlement(database: str, by: str) -> None:
    offer = await an_offer()
    till = await a_till(of=offer)
    used = await verify(till, (await redeemed(offer))[1])
    if by == "reversal":
        await reverse(till, used["id"])
    else:
        await settle(EmbeddedRegistry(), everything=True)
    last = await till_day.last_verification(till=till)
    assert last is not None
    assert (last.reversible, last.reversed_at is not None) == (False, by == "reversal")


async def test_what_was_verified_before_the_clock_was_put_back_can_be_undone(database: str) -> None:
    offer, resident = await an_offer(price_g=100), await a_resident()
    till = await a_till(of=offer)
    redemption, code = await redeemed(offer, resident)
    with clock.travelled(timedelta(days=1)):
        ahead = await verify(till, code)

    undone = await reverse(till, ahead["id"])

    assert undone["reversed_at"] == ahead["verified_at"]
    assert (await status_of(redemption), await held_g(resident)) == ("issued", 100)
    again = await verify(till, code)
    await reverse(till, again["id"])
    assert await held_g(resident) == 100
