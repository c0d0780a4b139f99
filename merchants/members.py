"""A publisher's team: who is in it, in which role, and who leaves. An owner is always left."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from marketplace import clock, db
from marketplace.errors import NotFound, Refused
from marketplace.identity.tokens import Principal, revoke_tokens_of
from merchants.staff import StaffRole


class Member(msgspec.Struct, frozen=True):
    """One of a publisher's team; `id` is the membership's."""

    id: UUID
    name: str
    login: str
    role: StaffRole
    since: datetime


async def members_of(publisher: UUID) -> list[Member]:
    """The team of `publisher`, oldest first."""
    rows = await db.fetch(
        """SELECT m.id, s.name, s.login, m.role, m.created_at AS since FROM membership m JOIN staff s ON s.id = m.staff
           WHERE m.publisher = $1 AND m.ended_at IS NULL ORDER BY m.id""",
        publisher,
    )
    return [Member(**row) for row in rows]


async def names_of(*, publisher: UUID) -> dict[str, str]:
    """The names of all who are or were in the team of `publisher`, by what their deeds are kept under (`staff:ID`)."""
    rows = await db.fetch(
        "SELECT m.id, s.name FROM membership m JOIN staff s ON s.id = m.staff WHERE m.publisher = $1",
        publisher,
    )
    return {f"staff:{row['id']}": row["name"] for row in rows}


async def change_role(*, publisher: UUID, membership: UUID, role: StaffRole) -> None:
    """Give a member another role. Raises NotFound, Refused `last_owner`."""
    async with db.transaction():
        await _locked(publisher, membership, keeps_owner=role == "owner")
        await db.execute("UPDATE membership SET role = $2 WHERE id = $1", membership, role)
        if role != "owner":
            await _withdraw_invitations(membership)


async def remove_member(*, publisher: UUID, membership: UUID) -> None:
    """End a membership, with its sessions, tokens and open invitations. Raises NotFound, Refused `last_owner`."""
    async with db.transaction():
        await _locked(publisher, membership, keeps_owner=False)
        await db.execute("UPDATE membership SET ended_at = $2 WHERE id = $1", membership, clock.now())
        await _withdraw_invitations(membership)
        await revoke_tokens_of(Principal("staff", str(membership)))


async def _locked(publisher: UUID, membership: UUID, *, keeps_owner: bool) -> None:
    """Lock the publisher's team; the member has to be in it, and not its last owner unless that stays so."""
    await db.fetch("SELECT 1 FROM publisher WHERE id = $1 FOR NO KEY UPDATE", publisher)
    rows = await db.fetch(
        "SELECT id, role FROM membership WHERE publisher = $1 AND ended_at IS NULL ORDER BY id", publisher
    )
    roles = {row["id"]: row["role"] for row in rows}
    if membership not in roles:
        raise NotFound
    owners = [one for one, role in roles.items() if role == "owner"]
    if owners == [membership] and not keeps_owner:
        raise Refused("last_owner")


async def _withdraw_invitations(membership: UUID) -> None:
    """Whoever may no longer invite has no invitation out, by which to come back."""
    await db.execute(
        "UPDATE invitation SET closed_at = $2 WHERE invited_by = $1 AND closed_at IS NULL",
        membership,
        clock.now(),
    )


__all__ = ["Member", "change_role", "members_of", "names_of", "remove_member"]
