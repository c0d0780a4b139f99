"""What is different between two versions of an offer's terms."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from marketplace.offers.differences import differences
from marketplace.offers.terms import Terms, change_from, changed, new_terms

STORE = "01890000-0000-7000-8000-000000000001"
# Every field of the terms: what is sent, and the path and values that the difference names.
CHANGES: dict[str, tuple[dict[str, Any], list[tuple[str, Any, Any]]]] = {
    "kind": ({"kind": "donation"}, [("kind", "cash_coupon", "donation"), ("benefit.amount_fen", 1_000, None)]),
    "title": ({"title": "二"}, [("title", "一", "二")]),
    "summary": ({"summary": "话"}, [("summary", "", "话")]),
    "terms": ({"terms": "话"}, [("terms", "", "话")]),
    "image_url": ({"image_url": "/a.webp"}, [("image_url", None, "/a.webp")]),
    "price_g": ({"price_g": 200}, [("price_g", 100, 200)]),
    "cash_fen": ({"cash_fen": 1}, [("cash_fen", 0, 1)]),
    "benefit": ({"benefit": {"amount_fen": 2_000}}, [("benefit.amount_fen", 1_000, 2_000)]),
    "conditions": (
        {"conditions": {"min_bill_fen": 5, "weekdays": [7, 6], "hours": [["11:00", "14:00"]]}},
        [("conditions.weekdays", None, (6, 7)), ("conditions.hours", None, (("11:00", "14:00"),)),
         ("conditions.min_bill_fen", None, 5)],
    ),
    "funding": ({"funding": {"campaign": STORE}}, [("funding.campaign", None, UUID(STORE))]),
    "stock_total": ({"stock_total": 5}, [("stock_total", None, 5)]),
    "stock_per_day": ({"stock_per_day": 5}, [("stock_per_day", None, 5)]),
    "budget_fen": ({"budget_fen": 5}, [("budget_fen", None, 5)]),
    "budget_per_day_fen": ({"budget_per_day_fen": 5}, [("budget_per_day_fen", None, 5)]),
    "per_resident_limit": ({"per_resident_limit": 5}, [("per_resident_limit", None, 5)]),
    "limits": (
        {"limits": {"per_resident_per_day": 1, "per_resident_per_week": 2}},
        [("limits.per_resident_per_day", None, 1), ("limits.per_resident_per_week", None, 2)],
    ),
    "redeem_windows": ({"redeem_windows": {"weekdays": [1]}}, [("redeem_windows.weekdays", None, (1,))]),
    "starts_at": ({"starts_at": "2026-12-01T00:00:00Z"}, [("starts_at", None, datetime(2026, 12, 1, tzinfo=UTC))]),
    "ends_at": ({"ends_at": "2026-12-01T00:00:00Z"}, [("ends_at", None, datetime(2026, 12, 1, tzinfo=UTC))]),
    "coupon_valid_days": ({"coupon_valid_days": 7}, [("coupon_valid_days", 30, 7)]),
    "stores": ({"stores": [STORE]}, [("stores", None, (UUID(STORE),))]),
    "eligibility": ({"eligibility": "resident.verified"}, [("eligibility", None, "resident.verified")]),
}  # fmt: skip


def some_terms() -> Terms:
    return new_terms(
        change_from({"kind": "cash_coupon", "title": "一", "price_g": 100, "benefit": {"amount_fen": 1_000}})
    )


def test_the_same_terms_have_no_difference():
    assert differences(some_terms(), some_terms()) == []


@pytest.mark.parametrize("name", Terms.__struct_fields__)
def test_a_change_of_any_field_is_named_with_what_it_was_and_is(name):
    sent, told = CHANGES[name]
    before = some_terms()
    after = changed(before, change_from(sent))

    assert differences(before, after) == told
    assert differences(after, before) == [(field, now, was) for field, was, now in told]


def test_another_order_of_the_same_days_is_no_difference():
    before, after = (
        changed(some_terms(), change_from({"conditions": {"weekdays": days}})) for days in ([6, 7], [7, 6])
    )

    assert before != after
    assert differences(before, after) == []
