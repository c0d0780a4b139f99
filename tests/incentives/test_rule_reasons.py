"""Why a rule says no: each condition that is not met, and nothing when all are."""

from __future__ import annotations

import pytest
from hypothesis import given

from incentives.eligibility import reason
from incentives.rules import Asked, NotARule, rule_of
from tests.incentives import rules as made
from tests.incentives.test_rules import SOMEBODY
from web.reasons import grams, sentence


def told(rule: str, language: str = "en") -> list[str]:
    return [
        sentence(language, reason(unmet, {"wugang": "Wugang"}))
        for unmet in rule_of(rule).unmet(Asked(SOMEBODY))
    ]


def test_each_condition_that_fails_has_a_reason_of_its_own_and_the_others_have_none():
    assert told("year.saved_g >= 15000 && resident.verified && resident.city in ['420500', '420300']") == [
        "needs at least 15 kg of reductions in the last year, you have 12 kg",
        "for residents of Yichang, Shiyan, yours is Wuhan",
    ]


def test_a_reason_carries_a_stable_code_and_the_facts_behind_it():
    (unmet,) = rule_of("year.saved_g >= 15000").unmet(Asked(SOMEBODY))
    assert unmet.why == "below_minimum"
    assert unmet.facts == {"fact": "year.saved_g", "operator": ">=", "needed": 15_000, "actual": 12_000}


@pytest.mark.parametrize(
    ("rule", "why", "words"),
    [
        ("20000 < wallet.earned_g", "below_minimum", "累计获得的减排量须多于 20 千克，您目前是 20 千克"),
        ("!(year.recycling_g < 1)", "below_minimum", "过去一年回收利用的减排量须达到 1 克，您目前是 0 克"),
        ("wallet.available_g <= 4999", "above_maximum", "可用减排量不能多于 4.999 千克，您目前是 5 千克"),
        ("resident.city == '420500'", "not_among", "只限宜昌的居民，您在武汉"),
        ("!(resident.city in ['420100'])", "excluded", "不面向武汉的居民"),
        ("resident.age_band in ['60+']", "not_among", "只限 60 岁及以上，您的年龄段：25-34 岁"),
        ("resident.tier > 2", "below_minimum", "低碳等级须达到 3 级 · 小树，您目前是 2 级 · 新芽"),
        ("resident.verified == false", "unwanted", "只限未实名认证的居民"),
        ("resident.first_redemption", "needed", "只限首次兑换，您已经兑换过"),
        ("'wugang' in resident.programmes", "not_a_member", "只限「Wugang」的成员"),
        ("!('metro' in resident.programmes)", "is_a_member", "不面向「metro」的成员"),
        ("now.weekday in [1, 7]", "not_among", "只在周一、周日可以兑换，今天是周六"),
        ("now.weekday <= 5", "above_maximum", "只在周一、周二、周三、周四、周五可以兑换，今天是周六"),
        ("now.hour >= 18", "below_minimum", "18:00 起才可以兑换"),
        ("now.hour <= 8", "above_maximum", "9:00 之前才可以兑换"),
        ("now.hour > 40", "below_minimum", "不满足条件 now.hour > 40"),
        ("wallet.earned_g % 7 == 3", "condition_not_met", "不满足条件 (wallet.earned_g % 7) == 3"),
        ("false", "condition_not_met", "不满足条件 false"),
    ],
)
def test_every_kind_of_condition_has_words(rule, why, words):
    (unmet,) = rule_of(rule).unmet(Asked(SOMEBODY))
    assert unmet.why == why
    assert sentence("zh-CN", reason(unmet, {"wugang": "Wugang"})) == words
    assert told(rule)


def test_of_several_ways_each_is_told_by_what_it_lacks():
    rule = "resident.first_redemption || resident.verified && year.energy_g > 5000"
    (words,) = told(rule)
    assert words == (
        "needs one of these: for a first redemption only, you have redeemed before; or needs more than 5 kg of "
        "reductions from energy in the last year, you have 3 kg"
    )
    assert told(f"!(!({rule}))") == told(rule)


def test_a_fact_that_is_not_known_is_told_as_unknown():
    unmet = rule_of("resident.age_band == '60+'").unmet(Asked({"resident": {"age_band": ""}}))
    assert sentence("zh-CN", reason(unmet[0], {})) == "只限 60 岁及以上，您的年龄段：未知（实名认证后可知）"
    nobody = rule_of("year.saved_g > 5 && resident.city == '420100'").unmet(Asked({}))
    assert [sentence("en", reason(one, {})) for one in nobody] == [
        "needs more than 5 g of reductions in the last year, you have unknown",
        "for residents of Wuhan, yours is unknown",
    ]


@pytest.mark.parametrize(
    ("amount_g", "words"),
    [(0, "0 g"), (999, "999 g"), (1_000, "1 kg"), (3_200, "3.2 kg"), (1_234_567, "1,234.567 kg")],
)
def test_grams_are_told_exactly(amount_g, words):
    assert grams("en", amount_g) == words


@given(made.rules(), made.facts())
def test_there_is_a_reason_exactly_when_a_rule_says_no_and_all_have_words(rule, somebody):
    asked = Asked(somebody)
    try:
        read = rule_of(rule)
    except NotARule:  # chance wrote too much
        return
    unmet = read.unmet(asked)
    assert bool(unmet) is not read.holds(asked)
    assert bool([one for one in read.conditions if one.unmet(asked)]) is not read.holds(asked)
    for one in unmet:
        for language in ("zh-CN", "en"):
            assert sentence(language, reason(one, {}))
