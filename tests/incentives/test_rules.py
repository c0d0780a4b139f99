"""What rules are, what they answer, and what is said of one that is none."""

from __future__ import annotations

from typing import Any

import cel
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from incentives.rules import FACTS, MAX_CHARACTERS, Asked, NotARule, Rule, checked_rule, rule_of
from incentives.rules.facts import AGE_BANDS, age_band_of, tier_of
from incentives.rules.parsing import MAX_NODES, parsed
from incentives.rules.writing import written
from marketplace.errors import Invalid
from tests.incentives import rules as made
from web.locale import LANGUAGES, text

SOMEBODY: dict[str, dict[str, Any]] = {
    "resident": {"city": "420100", "verified": True, "age_band": "25-34", "programmes": ["metro"], "tier": 2,
                 "first_redemption": False},
    "year": {"saved_g": 12_000, "mobility_g": 9_000, "energy_g": 3_000, "recycling_g": 0, "consumption_g": 0},
    "wallet": {"available_g": 5_000, "earned_g": 20_000},
    "now": {"weekday": 6, "hour": 10},
}  # fmt: skip


def holds(rule: str, facts: dict[str, dict[str, Any]] = SOMEBODY) -> bool:
    return rule_of(rule).holds(Asked(facts))


def refusal_of(rule: str) -> tuple[str, int, str]:
    """The code, the column and the word with which a rule is refused."""
    with pytest.raises(Invalid) as refusal:
        checked_rule(rule)
    (error,) = refusal.value.errors
    assert error.field == "eligibility"
    return error.code, error.facts["column"], error.facts["word"]


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ('resident.city == "420100" && wallet.earned_g >= 5000', True),
        ("resident.city in ['429004', '420500']", False),
        ("now.weekday in [6, 7]", True),
        ("!(now.hour < 9) && now.hour < 18", True),
        ('resident.city.startsWith("42")', True),
        ("wallet.available_g > 10000 ? true : wallet.earned_g % 2 == 1", False),
        ("size(resident.city) == 6 && resident . programmes.size() == 1", True),
        ("resident.verified && now.hour < 18", True),
        ("!resident.verified", False),
        ("'metro' in resident.programmes && !('wugang' in resident.programmes)", True),
        ("resident.tier >= 2 && resident.age_band in ['25-34']", True),
        ("year.mobility_g + year.energy_g == year.saved_g", True),
        ("resident.first_redemption", False),
        ("-wallet.available_g < -0x1000 && 1 - -1 == 2 && --1 == 1", True),
        ("now.hour < 5 || now.weekday == 6 && resident.verified", True),
        ("true", True),
    ],
)
def test_a_rule_answers_yes_or_no(rule: str, answer: bool):
    assert holds(rule) is answer


@pytest.mark.parametrize(
    ("rule", "refusal"),
    [
        ("", ("rule_empty", 1, "")),
        ("  ", ("rule_empty", 1, "")),
        ("resident.phone == '1'", ("rule_fact_unknown", 1, "resident.phone")),
        ("true || resident.phone == '1'", ("rule_fact_unknown", 9, "resident.phone")),
        ("x == 1", ("rule_fact_unknown", 1, "x")),
        ("now", ("rule_fact_unknown", 1, "now")),
        ("resident['city'] == '420100'", ("rule_fact_unknown", 1, "resident")),
        ("wallet.earned_g >", ("rule_incomplete", 18, "")),
        ("(now.hour > 5", ("rule_incomplete", 14, "")),
        ("now.hour > 5)", ("rule_unexpected", 13, ")")),
        ("now.hour = 5", ("rule_character", 10, "=")),
        ("resident.city ＝ '420100'", ("rule_character", 15, "＝")),
        ("tr\x00ue", ("rule_character", 3, "\x00")),
        ("now.hour > 5 // late", ("rule_unexpected", 15, "/")),
        ("resident.city == \"unclosed", ("rule_string", 18, '"unclosed')),
        (r"resident.city == '\u0041'", ("rule_string", 18, r"'\u0041'")),
        ('"""a"b""" == "a"', ("rule_string", 16, '"')),
        ('"""a""" == "a"', ("rule_unexpected", 3, '"a"')),
        ("wallet.earned_g > 1.5", ("rule_number", 19, "1.5")),
        ("wallet.earned_g > 1e3", ("rule_number", 19, "1e3")),
        ("wallet.earned_g > 5u", ("rule_number", 19, "5u")),
        ("wallet.earned_g > 9223372036854775808", ("rule_number_too_large", 19, "9223372036854775808")),
        ("wallet.earned_g > " + "9" * 900, ("rule_number_too_large", 19, "9" * 40)),
        ("[1, 2].all(x, x > 0)", ("rule_function_unknown", 8, "all")),
        ("[1].exists(now, true)", ("rule_function_unknown", 5, "exists")),
        ("has(resident.city)", ("rule_function_unknown", 1, "has")),
        ("'a'.matches('(a+)+$')", ("rule_function_unknown", 5, "matches")),
        ("timestamp('x') == 1", ("rule_function_unknown", 1, "timestamp")),
        ("size() == 1", ("rule_arguments", 1, "size")),
        ("resident.city.contains('4', '2')", ("rule_arguments", 15, "contains")),
        ("1", ("rule_not_yes_or_no", 1, "")),
        ("wallet.earned_g", ("rule_not_yes_or_no", 1, "")),
        ("resident.verified && wallet.earned_g", ("rule_needs_condition", 22, "&&")),
        ("!wallet.earned_g", ("rule_needs_condition", 1, "!")),
        ("resident.city >= '420100'", ("rule_needs_number", 15, ">=")),
        ("wallet.earned_g == '5000'", ("rule_not_comparable", 17, "==")),
        ("resident.programmes == ['metro']", ("rule_not_comparable", 21, "==")),
        ("5 in wallet.earned_g", ("rule_needs_list", 3, "in")),
        ("'1' in [1, 2]", ("rule_not_comparable", 5, "in")),
        ("now.hour in []", ("rule_list", 13, "")),
        ("now.hour in [1, 'a']", ("rule_list", 13, "")),
        ("1 in [now.hour]", ("rule_list", 6, "")),
        ("wallet.earned_g.contains('5')", ("rule_needs_text", 17, "contains")),
        ("1 / 0 == 1", ("rule_division_by_zero", 3, "/")),
        ("resident.city == '武汉'", ("rule_value_unknown", 18, "武汉")),
        ("now.weekday in [1, 8]", ("rule_value_unknown", 20, "8")),
        ("'30-35' == resident.age_band", ("rule_value_unknown", 1, "30-35")),
        ("(" * 300, ("rule_too_deep", 13, "(")),
        ("!" * 300 + "true", ("rule_too_deep", 13, "!")),
        ("[" * 300, ("rule_too_deep", 13, "[")),
        ("true" + " && true" * 64, ("rule_too_costly", 6, "")),
        ("a" * 1_001, ("rule_too_long", 1_001, "1000")),
        ("resident.city == '\ud800'", ("rule_string", 18, "'?'")),
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused_with_the_place_and_the_word(rule: str, refusal: tuple[str, int, str]):
    assert refusal_of(rule) == refusal
    for language in LANGUAGES:
        told = text(language, f"field.{refusal[0]}", {"column": refusal[1], "word": refusal[2]})
        assert told
        assert "{" not in told or "{" in refusal[2]


def test_a_rule_that_fails_when_it_is_asked_says_no():
    rule = "wallet.earned_g * 1000000 > 0"
    assert holds(rule)
    assert not holds(rule, {**SOMEBODY, "wallet": {"earned_g": 2**62}})
    assert not holds(rule, {})
    assert not holds("now.hour / (now.weekday - 6) == 1")


def test_a_rule_is_made_ready_once():
    assert rule_of("now.hour > 3") is rule_of("now.hour > 3")


def test_the_cost_of_a_rule_is_bounded_before_it_runs():
    most = "now.hour in [" + ", ".join(["1"] * (MAX_NODES - 3)) + "]"
    rule_of(most)
    assert refusal_of(most.replace("[1", "[1, 1"))[0] == "rule_too_costly"


# ---------------------------------------------------------------- by chance
TOO_MUCH = {"rule_too_costly", "rule_too_deep", "rule_too_long", "rule_division_by_zero"}


def read(rule: str) -> Rule | NotARule:
    try:
        return rule_of(rule)
    except NotARule as refused:
        return refused


@given(made.rules(), made.facts())
def test_a_rule_means_what_cel_says_it_means(rule, somebody):
    try:
        answer = cel.compile(rule).execute(somebody)
    except Exception:
        answer = False
    found = read(rule)
    if isinstance(found, NotARule):
        assert found.code in TOO_MUCH  # of what chance wrote
    else:
        assert found.holds(Asked(somebody)) is answer


@given(made.rules())
def test_what_is_run_is_read_back_as_what_was_written(rule):
    if not isinstance(read(rule), NotARule):
        once = written(parsed(rule))
        assume(len(once) <= MAX_CHARACTERS)
        assert written(parsed(once)) == once


_PIECES = [
    *FACTS, "true", "in", "&&", "||", "!", "==", "<=", "?", ":", "(", ")", "[", "]", ",", ".", "-", "/", "0", "7",
    "'a'", '"', "'", "\\", "size", "map", " ", "x", "９", "\u200b", "\x00", "\ud800",
]  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(_PIECES), max_size=25).map("".join)))
def test_any_text_is_a_rule_or_is_refused_with_a_place_inside_it(anything):
    found = read(anything)
    if isinstance(found, NotARule):
        assert 0 <= found.at <= len(anything)
        assert text("en", f"field.{found.code}", {"column": 1, "word": found.word.encode().decode()})
    else:
        assert found.holds(Asked(SOMEBODY)) in (True, False)


# ---------------------------------------------------------------- what facts are worked out from
@pytest.mark.parametrize(
    ("saved_g", "tier"),
    [(0, 1), (9_999, 1), (10_000, 2), (50_000, 3), (199_999, 3), (200_000, 4), (500_000, 5), (10**9, 5)],
)
def test_a_tier_follows_from_the_reductions_of_the_last_year(saved_g, tier):
    assert tier_of(saved_g) == tier


def test_every_age_from_14_is_in_one_band():
    bands = [age_band_of(2026 - age, year=2026) for age in range(14, 120)]
    assert list(dict.fromkeys(bands)) == list(AGE_BANDS)
    assert (age_band_of(2026 - 17, year=2026), age_band_of(2026 - 18, year=2026)) == ("14-17", "18-24")
    assert (age_band_of(2026 - 59, year=2026), age_band_of(2026 - 60, year=2026)) == ("45-59", "60+")
    assert age_band_of(None, year=2026) == ""
