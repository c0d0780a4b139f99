"""Builders: people of publishers' staff, and what a publisher tells when it applies."""

from __future__ import annotations

from itertools import count
from uuid import UUID

import msgspec
from stdnum.cn import uscc

from marketplace import db
from marketplace.identity.holders import Holder
from marketplace.identity.passwords import hash_password
from marketplace.identity.tokens import Principal
from marketplace.ids import new_id
from merchants import onboarding
from merchants.onboarding import Owner, Told
from merchants.staff import StaffMember, StaffRole, add_staff, staff_member
from tests import builders

PASSWORD = "correct horse"
PHONE = "13700137000"
_numbers = count(1)


def a_licence() -> str:
    """A well-formed business licence number; another one each time."""
    stem = f"91420100MA4K{next(_numbers):05d}"
    return stem + uscc.calc_check_digit(stem)


def a_told(**more: str) -> Told:
    told = Told(
        licence=a_licence(), name="老街热干面", kind="merchant", city="420500", contact_name="王小面",
        store_name="老街店", store_address="解放路 12 号",
    )  # fmt: skip
    return msgspec.structs.replace(told, **more)


async def an_application(*, owner: Owner | UUID | None = None, **told: str) -> StaffMember:
    """A publisher that has applied, as its owner."""
    owner = owner or Owner(login=f"owner-{next(_numbers)}", password_hash=await hash_password(PASSWORD))
    member = await staff_member(await onboarding.apply(a_told(**told), phone=PHONE, owner=owner))
    assert member is not None
    return member


async def a_member(
    publisher: UUID | None = None, *, role: StaffRole = "owner", login: str = ""
) -> StaffMember:
    """A new person who acts for `publisher`, or for a new one."""
    return await add_staff(
        publisher=publisher or await builders.a_publisher(), login=login or f"staff-{next(_numbers)}", name="小李",
        password=PASSWORD, role=role,
    )  # fmt: skip


async def the_operator() -> Principal:
    """An operator of the province, the same each time."""
    known = await db.fetch_value("SELECT id FROM operator WHERE city IS NULL LIMIT 1")
    return Principal("operator", str(known or (await an_operator()).id))


async def an_operator(login: str = "op") -> Holder:
    operator = new_id()
    await db.execute(
        "INSERT INTO operator (id, login, name, password_hash, created_at) VALUES ($1, $2, $2, $3, now())",
        operator, login, await hash_password(PASSWORD),
    )  # fmt: skip
    return Holder("operator", UUID(int=operator.int))
