"""Programmes: who is enrolled, what is kept of the phones, and the way out."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from incentives.programmes import (
    Enrolled,
    NewProgramme,
    create_programme,
    dismiss,
    enrol,
    leave,
    memberships_of,
    programmes,
)
from marketplace import db
from marketplace.errors import Invalid, NotFound, Refused
from marketplace.residents import create_resident

pytestmark = pytest.mark.usefixtures("database")

PHONES = ["13800000001", "13800000002", "13800000003"]


@pytest.fixture
async def wugang(database) -> str:
    return (await create_programme(NewProgramme("wugang", "武钢", "employer"))).key


async def test_who_has_a_phone_is_enrolled_and_the_others_are_kept_nowhere(wugang):
    members = [await create_resident(phone=phone) for phone in PHONES[:2]]
    assert await enrol(wugang, PHONES) == Enrolled(enrolled=2, already=0, unknown=1)
    assert await enrol(wugang, [f" {PHONES[0]} "]) == Enrolled(enrolled=0, already=1, unknown=0)
    assert [(one.key, one.members) for one in await programmes()] == [(wugang, 2)]
    for member in members:
        assert [one.name for one in await memberships_of(member)] == ["武钢"]


async def test_a_membership_ends_once_by_the_resident_or_the_operator_and_can_begin_again(wugang):
    one, two = [await create_resident(phone=phone) for phone in PHONES[:2]]
    await enrol(wugang, PHONES[:2])
    await leave(resident=one, programme=wugang)
    with pytest.raises(NotFound):
        await leave(resident=one, programme=wugang)
    assert await dismiss(wugang, PHONES[:2]) == 1
    assert await memberships_of(one) == await memberships_of(two) == []
    assert await enrol(wugang, PHONES[:2]) == Enrolled(2, 0, 0)
    ends = await db.fetch(
        "SELECT ended_by FROM programme_member WHERE ended_at IS NOT NULL ORDER BY ended_by"
    )
    assert [row["ended_by"] for row in ends] == ["operator", "resident"]


async def test_the_same_list_twice_at_once_enrols_everybody_once(wugang):
    for phone in PHONES:
        await create_resident(phone=phone)
    outcomes = await asyncio.gather(*(enrol(wugang, PHONES) for _ in range(4)))
    assert sum(outcome.enrolled for outcome in outcomes) == 3
    assert (await programmes())[0].members == 3


async def test_a_key_is_taken_once_and_a_programme_must_be_there(wugang):
    with pytest.raises(Refused, match="programme_exists"):
        await create_programme(NewProgramme(wugang, "别家", "industry"))
    for verb in (enrol, dismiss):
        with pytest.raises(NotFound):
            await verb("nobody", PHONES)


async def test_what_is_no_phone_is_refused_by_its_place(wugang):
    with pytest.raises(Invalid) as refusal:
        await enrol(wugang, [PHONES[0], "12345", ""])
    assert refusal.value.errors == (("phones.1", "not_a_phone"), ("phones.2", "not_a_phone"))


@pytest.mark.parametrize(
    "change",
    ["ended_at = NULL, ended_by = NULL", "joined_at = now()", "programme = 'other'"],
)
async def test_the_database_keeps_what_a_membership_was(wugang, change):
    await create_resident(phone=PHONES[0])
    await enrol(wugang, PHONES[:1])
    await dismiss(wugang, PHONES[:1])
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await db.execute(f"UPDATE programme_member SET {change}")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await db.execute("DELETE FROM programme_member")
