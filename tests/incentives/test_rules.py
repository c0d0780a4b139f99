from __future__ import annotations

import pytest

from incentives.rules import CelEligibility, check_rule, holds, present
from marketplace.errors import Invalid

FACTS = {
    "resident": {"city": "420100", "verified": True},
    "wallet": {"available_g": 5_000, "earned_g": 20_000},
    "now": {"weekday": 6, "hour": 10},
}


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ('resident.city == "420100" && wallet.earned_g >= 5000', True),
        ("resident.city in ['429004', '420500']", False),
        ("now.weekday in [6, 7]", True),
        ("!(now.hour < 9) && now.hour < 18", True),
        ('resident.city.startsWith("42")', True),
        ("wallet.available_g > 10000 ? true : wallet.earned_g % 2 == 1", False),
        ("size(resident.city) == 6", True),
        ("resident.verified && now.hour < 18", True),
        ("!resident.verified", False),
        ("true", True),
    ],
)
def test_a_rule_answers_yes_or_no(rule: str, answer: bool):
    assert holds(rule, FACTS) is answer


@pytest.mark.parametrize(
    "rule",
    [
        "", " ", "1", "'yes'", "wallet.earned_g", "now", "resident.phone == '1'", "true || resident.phone == '1'",
        "wallet.earned_g >", "x == 1", "1 / 0 == 1", "(" * 300, "a" * 501, "true" + " && true" * 70, "\ud800",
        "tr\x00ue",
        "[1, 2].all(x, x > 0)", "[1].exists(now, true)", "[1] . all (resident, true)", "[now].map(now, now) == []",
        "[1].exists //\n(now, true)", "has(resident.city)", "'a'.matches('a')", "timestamp('x') == 1", "dyn(true)",
        "resident['city'] == '420100' && resident", '"unclosed', '"""a"b""" == "a"', r"'\u0041' == 'A'",
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused(rule: str):
    with pytest.raises(Invalid) as refusal:
        check_rule(rule)
    assert refusal.value.errors == (("eligibility", "cel_invalid"),)


def test_a_rule_that_fails_says_no():
    rule = "wallet.earned_g * 1000000 > 0"
    assert holds(rule, FACTS)
    assert not holds(rule, {**FACTS, "wallet": {"earned_g": 2**62}})
    assert not holds(rule, {})


async def test_the_market_is_told_why_not():
    eligibility = CelEligibility()
    assert await eligibility.reasons(FACTS, None) == []
    assert await eligibility.reasons(FACTS, "wallet.earned_g >= 20000") == []
    assert await eligibility.reasons(FACTS, "wallet.earned_g > 20000") == ["not_eligible"]


async def test_the_time_is_of_the_clock_unless_given():
    facts = {name: FACTS[name] for name in ("resident", "wallet")}
    today = present()["weekday"]
    assert await CelEligibility().reasons(facts, f"now.weekday == {today} && now.hour < 24") == []
