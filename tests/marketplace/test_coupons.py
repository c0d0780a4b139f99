"""Codes and tokens, without a database."""

from __future__ import annotations

from datetime import timedelta

from marketplace import clock, coupons
from marketplace.ids import new_id


def test_a_code_has_twelve_digits_and_survives_its_own_check() -> None:
    for _ in range(200):
        code = coupons.new_code()
        assert len(code) == 12
        assert coupons.normal_code(code) == code


def test_every_single_wrong_digit_is_noticed() -> None:
    code = coupons.new_code()
    for place in range(12):
        for digit in set("0123456789") - {code[place]}:
            assert coupons.normal_code(code[:place] + digit + code[place + 1 :]) is None


def test_spaces_hyphens_and_widths_do_not_matter() -> None:
    code = coupons.new_code()
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in code)
    for typed in (
        f" {code} ",
        f"{code[:6]}-{code[6:]}",
        wide,
        "\u00a0".join(code),
        f"{wide[:4]}　{wide[4:]}",
    ):
        assert coupons.normal_code(typed) == code


def test_other_digits_and_lengths_are_no_code() -> None:
    code = coupons.new_code()
    arabic = "".join(chr(0x0660 + int(digit)) for digit in code)
    for typed in ("", code[:-1], code + "0", arabic, "x" * 12, code[:11] + "\x00", "+" + code[1:]):
        assert coupons.normal_code(typed) is None


def test_a_token_is_fresh_in_its_half_minute_and_the_neighbouring_ones() -> None:
    redemption, key = new_id(), coupons.new_token_key()
    shown = coupons.parse_token(coupons.token_at(redemption, key, clock.now()).token)
    assert shown is not None
    assert coupons.is_fresh(shown, key, at=clock.now())
    for steps in (-2, 2):
        with clock.travelled(timedelta(seconds=steps * coupons.STEP_SECONDS)):
            assert not coupons.is_fresh(shown, key, at=clock.now())


def test_a_token_of_another_key_or_redemption_is_not_genuine() -> None:
    redemption, key = new_id(), coupons.new_token_key()
    shown = coupons.parse_token(coupons.token_at(redemption, key, clock.now()).token)
    assert shown is not None
    assert not coupons.is_fresh(shown, coupons.new_token_key(), at=clock.now())
    assert not coupons.is_fresh(shown._replace(redemption=new_id()), key, at=clock.now())
    assert not coupons.is_fresh(shown._replace(step=shown.step + 1), key, at=clock.now())
