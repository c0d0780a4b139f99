"""Amounts divided by shares, to the fen."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.campaigns.shares import WHOLE_BP, matched, split

TOTALS = st.integers(min_value=0, max_value=10**12)


@st.composite
def some_shares(draw: st.DrawFn) -> list[int]:
    """Up to ten shares that are of the whole together."""
    count = draw(st.integers(min_value=1, max_value=10))
    cuts = draw(st.lists(st.integers(1, WHOLE_BP - 1), min_size=count - 1, max_size=count - 1, unique=True))
    edges = [0, *sorted(cuts), WHOLE_BP]
    return [after - before for before, after in pairwise(edges)]


@given(TOTALS, some_shares())
def test_shares_of_a_total_sum_exactly_and_are_each_rounded_up_or_down(total: int, shares: list[int]) -> None:
    parts = split(total, shares)
    assert sum(parts) == total
    for part, share in zip(parts, shares, strict=True):
        assert abs(part * WHOLE_BP - total * share) < WHOLE_BP


@given(TOTALS, st.integers(min_value=1, max_value=100_000), some_shares())
def test_shares_of_each_discount_sum_exactly_and_never_give_anybody_back(
    before: int, discount: int, shares: list[int]
) -> None:
    parts = [b - a for a, b in zip(split(before, shares), split(before + discount, shares), strict=True)]
    assert sum(parts) == discount
    assert min(parts) >= 0


@given(some_shares())
def test_everybody_pays_exactly_their_share_of_each_hundred_yuan(shares: list[int]) -> None:
    assert split(3 * WHOLE_BP, shares) == [3 * share for share in shares]


@given(st.lists(st.integers(0, 10**9), min_size=10, max_size=10), some_shares())
def test_what_is_matched_is_the_most_that_all_have_paid_their_part_of(
    paid: list[int], shares: list[int]
) -> None:
    paid = paid[: len(shares)]
    total = matched(paid, shares)
    assert all(part <= have for part, have in zip(split(total, shares), paid, strict=True))
    assert any(part > have for part, have in zip(split(total + 1, shares), paid, strict=True))


@pytest.mark.parametrize(
    ("total", "shares", "parts"),
    [(1, [5_000, 3_000, 2_000], [1, 0, 0]), (333, [5_000, 3_000, 2_000], [167, 100, 66]),
     (1, [3_334, 3_333, 3_333], [1, 0, 0]), (0, [10_000], [0]), (7, [10_000], [7])],
)  # fmt: skip
def test_the_odd_fen_go_in_turn(total: int, shares: list[int], parts: list[int]) -> None:
    assert split(total, shares) == parts
