"""Rules as rows: what the rows say is what is judged, and comes back as the same rows."""

from __future__ import annotations

import pytest
from hypothesis import given

from incentives.rules import Asked, NotARule, rule_of
from incentives.rules.builder import Row, Sheet, sheet_of, text_of
from tests.incentives import rules as made


@given(made.sheets())
def test_rows_come_back_from_the_rule_that_they_are(sheet):
    assert sheet_of(text_of(sheet)) == sheet


@given(made.sheets(), made.facts())
def test_all_rows_must_hold_or_any_as_the_sheet_says(sheet, somebody):
    asked = Asked(somebody)
    each = [rule_of(text_of(Sheet("all", (row,)))).holds(asked) for row in sheet.rows]
    assert rule_of(text_of(sheet)).holds(asked) is (all(each) if sheet.how == "all" else any(each))


@given(made.rules(), made.facts())
def test_a_rule_that_rows_can_show_means_the_same_in_rows(rule, somebody):
    try:
        sheet = sheet_of(rule)
    except NotARule:  # chance wrote too much
        return
    if sheet is not None:
        asked = Asked(somebody)
        assert rule_of(text_of(sheet)).holds(asked) is rule_of(rule).holds(asked)


@pytest.mark.parametrize(
    ("rule", "sheet"),
    [
        ("resident.verified", Sheet("all", (Row("resident.verified", "yes"),))),
        ("(!resident.verified) || now.hour<9",
         Sheet("any", (Row("resident.verified", "no"), Row("now.hour", "less_than", (9,))))),
        ("resident.city != '420100' && 'metro' in resident.programmes",
         Sheet("all", (Row("resident.city", "none_of", ("420100",)),
                       Row("resident.programmes", "member", ("metro",))))),
    ],
)  # fmt: skip
def test_a_rule_written_by_hand_is_shown_in_rows(rule, sheet):
    assert sheet_of(rule) == sheet


@pytest.mark.parametrize(
    "rule",
    [
        "resident.verified && (now.hour < 9 || now.hour >= 18)", "wallet.earned_g % 2 == 1", "!(!resident.verified)",
        "now.hour > 9", "wallet.earned_g == 5", "wallet.earned_g >= -1", "true", "5 < wallet.earned_g",
        "now.weekday in [1, 1]", "resident.city == ''", " && ".join(["resident.verified"] * 21),
    ],
)  # fmt: skip
def test_a_rule_that_rows_cannot_show_stays_a_text(rule):
    assert sheet_of(rule) is None


def test_no_rows_are_no_rule():
    assert text_of(Sheet("all", ())) == ""
