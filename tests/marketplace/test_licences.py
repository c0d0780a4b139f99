"""Business licence numbers, as people type them and as the database takes them."""

from __future__ import annotations

import random

import asyncpg
import pytest
from stdnum.cn import uscc

from marketplace import db
from marketplace.errors import Invalid
from marketplace.licences import licence_number
from marketplace.publishers import create_publisher

REAL = "91110000600037341L"


@pytest.mark.parametrize(
    "typed",
    [
        REAL,
        REAL.lower(),
        " 91 110000 600037341L ",
        "91110000-600037341-L",
        "９１１１００００６０００３７３４１Ｌ",
    ],
)
def test_case_spaces_and_full_width_make_no_difference(typed):
    assert licence_number(typed) == REAL


@pytest.mark.parametrize(
    "typed", ["91110000600037341M", "91110000600037314L", REAL[:-1], REAL + "1", "I" * 18, "一" * 18]
)
def test_a_number_with_another_check_digit_is_none(typed):
    with pytest.raises(Invalid) as wrong:
        licence_number(typed)
    assert wrong.value.errors == (("licence", "not_a_licence"),)


async def test_the_database_judges_check_digits_as_we_do(database):
    chance, letters = random.Random(7), "0123456789ABCDEFGHJKLMNPQRTUWXY"
    stems = ["91420100" + "".join(chance.choices(letters, k=9)) for _ in range(200)]
    numbers = [stem + chance.choice([uscc.calc_check_digit(stem), chance.choice(letters)]) for stem in stems]
    numbers += ["", "91420100MA4K", REAL.lower(), REAL + REAL, "9142010OMA4K12345X"]

    rows = await db.fetch("SELECT n, is_licence(n) AS good FROM unnest($1::text[]) AS n", numbers)

    judged = {row["n"]: row["good"] for row in rows}
    assert judged == {number: uscc.is_valid(number) and number == number.upper() for number in numbers}
    assert {*judged.values()} == {True, False}


async def test_a_licence_is_of_one_publisher_until_that_is_closed(database):
    first = await create_publisher(kind="merchant", name="一", city="420100", licence=REAL)
    with pytest.raises(Invalid) as wrong:
        await create_publisher(kind="venue", name="二", city="420100", licence=REAL)
    assert wrong.value.errors == (("licence", "taken"),)

    await db.execute("UPDATE publisher SET status = 'closed' WHERE id = $1", first)
    await create_publisher(kind="venue", name="二", city="420100", licence=REAL)


STATES = ("applied", "active", "suspended", "closed")
ALLOWED = {
    ("applied", "active"), ("applied", "closed"), ("active", "suspended"), ("active", "closed"),
    ("suspended", "active"), ("suspended", "closed"),
}  # fmt: skip


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
async def test_a_publisher_goes_from_state_to_state_as_it_may(database, before, after):
    publisher = await create_publisher(kind="merchant", name="一", city="420100", status=before)
    allowed = before == after or (before, after) in ALLOWED
    try:
        await db.execute("UPDATE publisher SET status = $2 WHERE id = $1", publisher, after)
    except asyncpg.IntegrityConstraintViolationError:
        assert not allowed
    else:
        assert allowed
