"""What terms may say, and what follows from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.clock import SHANGHAI
from marketplace.errors import FieldError, Invalid, Refused
from marketplace.offers.benefits import KINDS
from marketplace.offers.state import shown_status
from marketplace.offers.terms import (
    Change,
    Conditions,
    Terms,
    capture,
    change_from,
    changed,
    check_whole,
    discount_fen,
    face_value_fen,
    new_terms,
    open_at,
    require_usable,
    terms_from,
)

BENEFITS: dict[str, dict[str, Any]] = {
    "cash_coupon": {"amount_fen": 1_000},
    "discount": {"off_bp": 1_500, "cap_fen": 3_000},
    "gift": {"item": "一杯豆浆", "value_fen": 600},
    "ticket": {"admits": 2, "value_fen": 8_000},
    "transit": {"amount_fen": 200},
    "code": {"value_fen": 500},
    "rate_perk": {"product": "绿色消费贷", "off_bp": 20, "term_months": 12},
    "donation": {"cause": "东湖植树", "value_fen": 100},
}


def some_terms(**fields: Any) -> Terms:
    given = {"kind": "cash_coupon", "title": "十元代金券", "price_g": 500, "stores": [str(uuid4())]} | fields
    return new_terms(change_from({"benefit": BENEFITS[given["kind"]]} | given))


def wrong(**fields: Any) -> list[FieldError]:
    with pytest.raises(Invalid) as refused:
        some_terms(**fields)
    return list(refused.value.errors)


@pytest.mark.parametrize("kind", KINDS)
def test_terms_of_every_kind_are_whole_and_come_back_from_storage_as_they_were(kind):
    terms = some_terms(kind=kind)
    assert check_whole(terms) == []
    assert terms_from(msgspec.json.decode(msgspec.json.encode(terms))) == terms


def test_a_draft_may_lack_everything_but_its_kind():
    terms = new_terms(change_from({"kind": "gift"}))
    assert check_whole(terms) == [FieldError(name, "required") for name in ("title", "price_g", "benefit")]
    with pytest.raises(Invalid):
        new_terms(Change())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"price_g": 0}, ("price_g", "out_of_range")),
        ({"price_g": 1_000_000_001}, ("price_g", "out_of_range")),
        ({"price_g": True}, ("price_g", "invalid")),
        ({"price_g": "500"}, ("price_g", "invalid")),
        ({"price_g": 500.5}, ("price_g", "invalid")),
        ({"title": "  "}, ("title", "invalid")),
        ({"title": "a\x00b"}, ("title", "invalid")),
        ({"title": "券\n"}, ("title", "invalid")),
        ({"title": "券" * 61}, ("title", "invalid")),
        ({"summary": "\x00"}, ("summary", "invalid")),
        ({"terms": "字" * 5_001}, ("terms", "invalid")),
        ({"image_url": "javascript:alert(1)"}, ("image_url", "invalid")),
        ({"image_url": "https://a.example/x\n"}, ("image_url", "invalid")),
        ({"image_url": "//a.example/x"}, ("image_url", "invalid")),
        ({"stock_total": 0}, ("stock_total", "out_of_range")),
        ({"per_resident_limit": 10_000_001}, ("per_resident_limit", "out_of_range")),
        ({"coupon_valid_days": 367}, ("coupon_valid_days", "out_of_range")),
        ({"benefit": {"amount_fen": 0}}, ("benefit.amount_fen", "out_of_range")),
        ({"benefit": {"amount_fen": True}}, ("benefit.amount_fen", "invalid")),
        ({"benefit": {}}, ("benefit.amount_fen", "required")),
        ({"benefit": {"amount_fen": 1, "off_bp": 1}}, ("benefit.off_bp", "unknown_field")),
        ({"benefit": {"amount_fen": 1, "kind": "gift"}}, ("benefit.kind", "unknown_field")),
        ({"kind": "rate_perk", "benefit": {"product": "贷"}}, ("benefit", "exactly_one_perk")),
        ({"kind": "rate_perk", "benefit": {"product": "贷", "off_bp": 1, "voucher_fen": 1}},
         ("benefit", "exactly_one_perk")),
        ({"conditions": {"weekdays": [1, 1]}}, ("conditions", "weekdays_repeated")),
        ({"conditions": {"weekdays": [8]}}, ("conditions.weekdays.0", "out_of_range")),
        ({"conditions": {"hours": [["11:00", "11:00"]]}}, ("conditions", "hours_empty")),
        ({"conditions": {"hours": [["24:00", "02:00"]]}}, ("conditions", "hours_empty")),
        ({"starts_at": "2026-12-01T00:00:00"}, ("starts_at", "invalid")),
        ({"starts_at": "2026-02-30"}, ("starts_at", "invalid")),
        ({"ends_at": "9999-12-31"}, ("ends_at", "out_of_range")),
        ({"ends_at": "9999-12-31T23:59:59-12:00"}, ("ends_at", "out_of_range")),
        ({"starts_at": "2026-12-02", "ends_at": "2026-12-01"}, ("ends_at", "not_after_start")),
        ({"surprise": 1}, ("surprise", "unknown_field")),
        ({"face_value_fen": 1}, ("face_value_fen", "unknown_field")),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused_with_its_field(fields, expected):
    assert wrong(**fields) == [FieldError(*expected)]


def test_terms_set_in_python_are_held_to_the_same_bounds():
    with pytest.raises(Invalid) as refused:
        changed(some_terms(), Change(price_g=0))
    assert refused.value.errors == (FieldError("price_g", "out_of_range"),)


def test_a_change_sets_the_given_fields_only_and_null_goes_back_to_the_default():
    before = some_terms(stock_total=10, summary="早餐", coupon_valid_days=3)
    after = changed(before, change_from({"stock_total": None, "summary": None, "coupon_valid_days": None}))
    assert (after.stock_total, after.summary, after.coupon_valid_days) == (None, "", 30)
    assert (after.title, after.benefit, after.stores) == (before.title, before.benefit, before.stores)
    assert changed(before, Change()) == before


def test_another_kind_drops_a_benefit_that_is_not_of_it():
    assert changed(some_terms(), Change(kind="gift")).benefit is None


def test_a_date_begins_and_ends_at_midnight_in_shanghai():
    terms = some_terms(starts_at="2026-12-01", ends_at="2026-12-01")
    assert terms.starts_at == datetime(2026, 11, 30, 16, tzinfo=UTC)
    assert terms.ends_at == datetime(2026, 12, 1, 16, tzinfo=UTC)


def test_cash_is_refused_where_no_payment_can_be_taken():
    terms = some_terms(cash_fen=100)
    assert check_whole(terms) == [FieldError("cash_fen", "cash_not_available")]
    assert check_whole(terms, cash_allowed=True) == []


def test_a_coupon_for_the_till_needs_a_store_and_a_code_does_not():
    assert check_whole(some_terms(stores=[])) == [FieldError("stores", "required")]
    assert check_whole(some_terms(kind="code", stores=[])) == []


def test_a_campaign_funds_no_discount_without_a_cap():
    terms = some_terms(kind="discount", benefit={"off_bp": 1_000}, funding={"campaign": str(uuid4())})
    assert check_whole(terms) == [FieldError("benefit.cap_fen", "required")]


@pytest.mark.parametrize(
    ("kind", "value_fen", "when"),
    [
        ("cash_coupon", 1_000, "on_verification"), ("discount", 3_000, "on_verification"),
        ("gift", 600, "on_verification"), ("ticket", 8_000, "on_verification"),
        ("transit", 200, "on_verification"), ("code", 500, "on_redemption"),
        ("rate_perk", 0, "on_consumption"), ("donation", 100, "on_redemption"),
    ],
)  # fmt: skip
def test_face_value_and_capture_follow_from_the_kind(kind, value_fen, when):
    terms = some_terms(kind=kind)
    assert (face_value_fen(terms), capture(terms)) == (value_fen, when)


def test_a_discount_without_a_cap_has_no_face_value():
    assert face_value_fen(some_terms(kind="discount", benefit={"off_bp": 1})) is None


@given(kind=st.sampled_from(KINDS), bill_fen=st.integers(0, 10_000_000))
def test_a_discount_never_exceeds_the_bill_nor_the_face_value(kind, bill_fen):
    terms = some_terms(kind=kind)
    assert 0 <= discount_fen(terms, bill_fen) <= min(bill_fen, face_value_fen(terms) or 0)


def test_a_share_is_of_a_bill_that_must_be_given_and_is_rounded_down():
    terms = some_terms(kind="discount", benefit={"off_bp": 1_500, "cap_fen": 3_000})
    assert [discount_fen(terms, bill) for bill in (0, 6, 7, 10_000, 20_000, 20_001)] == [
        0,
        0,
        1,
        1_500,
        3_000,
        3_000,
    ]
    with pytest.raises(Invalid) as refused:
        discount_fen(terms, None)
    assert refused.value.errors == (FieldError("bill_fen", "required"),)


def test_a_coupon_of_a_fixed_amount_needs_no_bill():
    assert discount_fen(some_terms(), None) == 1_000
    assert discount_fen(some_terms(), 999) == 999
    with pytest.raises(Invalid):
        discount_fen(some_terms(), -1)


# ------------------------------------------------------------------ windows
def shanghai(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=SHANGHAI).astimezone(
        UTC
    )  # the 23rd is a Monday


def test_hours_are_half_open():
    lunch = Conditions(hours=(("11:00", "14:00"),))
    instants = [shanghai(23, 10, 59, 59), shanghai(23, 11), shanghai(23, 13, 59, 59), shanghai(23, 14)]
    assert [open_at(lunch, instant) for instant in instants] == [False, True, True, False]


def test_a_window_past_midnight_belongs_to_the_day_it_began_on():
    night = Conditions(weekdays=(7,), hours=(("22:00", "02:00"),))
    instants = [shanghai(22, 1), shanghai(22, 22), shanghai(23, 1, 59), shanghai(23, 2), shanghai(23, 22)]
    assert [open_at(night, instant) for instant in instants] == [False, True, True, False, False]


@pytest.mark.parametrize("end", ["24:00", "00:00"])
def test_midnight_as_an_end_is_the_end_of_the_day(end):
    evening = Conditions(weekdays=(1,), hours=(("18:00", end),))
    assert open_at(evening, shanghai(23, 23, 59, 59))
    assert not open_at(evening, shanghai(24, 0))


@given(st.integers(0, 10 * 24 * 60))
def test_without_conditions_it_is_always_open_and_weekdays_split_the_week(minutes):
    instant = datetime(2026, 12, 28, tzinfo=UTC) + timedelta(minutes=minutes)
    assert open_at(Conditions(), instant)
    assert [open_at(Conditions(weekdays=(day,)), instant) for day in range(1, 8)].count(True) == 1


def test_a_coupon_is_used_within_its_hours_and_over_its_minimum():
    terms = some_terms(conditions={"min_bill_fen": 2_000, "hours": [["11:00", "14:00"]]})
    require_usable(terms, at=shanghai(23, 12), bill_fen=2_000)
    with pytest.raises(Refused, match="outside_hours"):
        require_usable(terms, at=shanghai(23, 14), bill_fen=2_000)
    with pytest.raises(Refused, match="minimum_bill_not_met"):
        require_usable(terms, at=shanghai(23, 12), bill_fen=1_999)
    with pytest.raises(Invalid):
        require_usable(terms, at=shanghai(23, 12), bill_fen=None)


def test_the_start_instant_is_inside_the_window_and_the_end_instant_outside():
    start, end, tick = shanghai(1, 0), shanghai(2, 0), timedelta(microseconds=1)
    shown = [
        shown_status("live", starts_at=start, ends_at=end, now=now)
        for now in (start - tick, start, end - tick, end)
    ]
    assert shown == ["approved", "live", "live", "ended"]
    assert shown_status("approved", starts_at=start, ends_at=end, now=start, stock_left=0) == "sold_out"
    assert shown_status("paused", starts_at=start, ends_at=end, now=end) == "ended"
    assert shown_status("draft", starts_at=start, ends_at=end, now=end) == "draft"
