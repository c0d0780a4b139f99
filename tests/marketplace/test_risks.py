"""Hints beside a submitted offer, each on both sides of its bound."""

from __future__ import annotations

from typing import Any

import pytest

from marketplace.offers.risks import Facts, Peer, risks

PEERS = [Peer(price_g, 1_000) for price_g in (80, 90, 100, 110, 120)]
SOUND: dict[str, Any] = {
    "price_g": 100, "face_value_fen": 1_000, "peers": PEERS, "publisher_age_days": 100, "ever_verified": True,
}  # fmt: skip


def hints(**more: Any) -> list[tuple[str, str]]:
    return [(risk.code, risk.severity) for risk in risks(Facts(**(SOUND | more)))]


def test_an_offer_like_the_others_of_a_publisher_that_is_known_has_no_hint():
    assert hints() == []


@pytest.mark.parametrize(
    ("price_g", "found"),
    [
        (299, []), (300, [("dear", "look")]), (999, [("dear", "look")]), (1_000, [("dear", "grave")]),
        (34, []), (33, [("cheap", "look")]), (10, [("cheap", "grave")]),
    ],
)  # fmt: skip
def test_a_price_far_from_that_of_live_offers_of_the_kind_is_named(price_g, found):
    assert hints(price_g=price_g) == found


@pytest.mark.parametrize(
    ("value_fen", "found"),
    [(4_999, []), (5_000, [("high_value", "look")]), (20_000, [("high_value", "grave")])],
)
def test_an_unusual_face_value_is_named(value_fen, found):
    assert hints(face_value_fen=value_fen, price_g=value_fen // 10) == found


def test_nothing_is_compared_with_too_few_or_without_a_face_value():
    assert hints(price_g=100_000, peers=PEERS[:4]) == []
    assert hints(price_g=100_000, face_value_fen=None) == []
    assert hints(price_g=100_000, face_value_fen=0) == []


@pytest.mark.parametrize(
    ("own", "redeemed", "found"),
    [(0, 100, []), (1, 11, [("self_dealing", "look")]), (1, 10, [("self_dealing", "grave")])],
)
def test_a_publishers_people_among_its_redeemers_are_named(own, redeemed, found):
    assert hints(own=own, redeemed=redeemed) == found


@pytest.mark.parametrize(
    ("busiest", "lately", "found"), [(19, 19, []), (20, 40, [("burst", "look")]), (20, 41, [])]
)
def test_redemptions_in_a_burst_are_named(busiest, lately, found):
    assert hints(busiest_hour=busiest, lately=lately) == found


@pytest.mark.parametrize(
    ("passed", "tried", "found"),
    [(0, 19, []), (0, 20, [("fits_hardly_anyone", "look")]), (1, 50, [("fits_hardly_anyone", "look")]), (1, 49, [])],
)  # fmt: skip
def test_a_rule_that_fits_hardly_anyone_is_named(passed, tried, found):
    assert hints(passed=passed, tried=tried) == found


@pytest.mark.parametrize(
    ("days", "verified", "found"),
    [(13, True, [("new_publisher", "note")]), (14, True, []), (14, False, [("new_publisher", "note")])],
)
def test_a_newcomer_is_named(days, verified, found):
    assert hints(publisher_age_days=days, ever_verified=verified) == found


def test_the_gravest_hint_comes_first():
    assert [severity for _, severity in hints(price_g=300, own=5, redeemed=5, publisher_age_days=1)] == [
        "grave", "look", "note",
    ]  # fmt: skip
