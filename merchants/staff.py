"""The people of a publisher: who they are and how they sign in."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

from marketplace import clock, db
from marketplace.identity.passwords import hash_password, password_sign_in
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import Session
from marketplace.ids import new_id

StaffRole = Literal["owner", "manager", "cashier"]


class StaffMember(msgspec.Struct, frozen=True, kw_only=True):
    """One person who acts for `publisher`."""

    id: UUID
    publisher: UUID
    name: str
    role: StaffRole


async def add_staff(*, publisher: UUID, login: str, name: str, password: str, role: StaffRole) -> StaffMember:
    """Let a person act for `publisher`."""
    member = StaffMember(id=new_id(), publisher=publisher, name=name, role=role)
    hashed = await hash_password(password)
    await db.execute(
        "INSERT INTO staff (id, publisher, login, name, password_hash, role, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        member.id, publisher, login, name, hashed, role, clock.now(),
    )  # fmt: skip
    return member


async def staff_sign_in(login: str, password: str, *, address: str, store: EphemeralStore) -> Session:
    """Begin a member of staff's session. Raises Refused (unauthenticated, rate_limited), Unavailable."""
    known = await db.fetch_row("SELECT id, password_hash FROM staff WHERE login = $1", login)
    return await password_sign_in("staff", login, password, known=known, address=address, store=store)


async def staff_member(staff: UUID) -> StaffMember | None:
    """The member of staff, unless they or their publisher are gone."""
    row = await db.fetch_row(
        "SELECT s.id, s.publisher, s.name, s.role FROM staff s JOIN publisher p ON p.id = s.publisher"
        " WHERE s.id = $1 AND p.status <> 'closed'",
        staff,
    )
    if row is None:
        return None
    return StaffMember(
        id=UUID(int=row["id"].int),
        publisher=UUID(int=row["publisher"].int),
        name=row["name"],
        role=row["role"],
    )


__all__ = ["StaffMember", "StaffRole", "add_staff", "staff_member", "staff_sign_in"]
