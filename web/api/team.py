"""A publisher's team: its members, and the invitations to it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from merchants import invitations, members
from merchants.invitations import Invitation
from merchants.members import Member
from merchants.publishing import require
from merchants.staff import StaffRole
from web.access import Staff


class RoleChange(msgspec.Struct, forbid_unknown_fields=True):
    role: StaffRole


class Invite(msgspec.Struct, forbid_unknown_fields=True):
    role: StaffRole
    note: Annotated[str, msgspec.Meta(max_length=50, description="For whom")] = ""


class InvitationMade(msgspec.Struct):
    """`token` is shown this once; its page is `/join/{token}`."""

    id: UUID
    role: StaffRole
    note: str
    expires_at: datetime
    token: str


class MemberController(Controller):
    """The people who act for the publisher; owners alone see and change them."""

    path = "/api/v1/publisher/members"
    tags = ["publisher"]

    @get()
    async def all(self, staff: NamedDependency[Staff]) -> list[Member]:
        """Oldest first."""
        require(staff.role, "manage_staff")
        return await members.members_of(staff.publisher)

    @patch("/{member_id:uuid}", status_code=204)
    async def change_role(
        self, member_id: FromPath[UUID], data: JSONBody[RoleChange], staff: NamedDependency[Staff]
    ) -> None:
        """Give a member another role; the last owner stays one."""
        require(staff.role, "manage_staff")
        await members.change_role(publisher=staff.publisher, membership=member_id, role=data.role)

    @delete("/{member_id:uuid}")
    async def remove(self, member_id: FromPath[UUID], staff: NamedDependency[Staff]) -> None:
        """End a membership, its sessions and its tokens; the last owner stays."""
        require(staff.role, "manage_staff")
        await members.remove_member(publisher=staff.publisher, membership=member_id)


class InvitationController(Controller):
    """Invitations to the publisher's team."""

    path = "/api/v1/publisher/invitations"
    tags = ["publisher"]

    @get()
    async def open(self, staff: NamedDependency[Staff]) -> list[Invitation]:
        """Those that can still be accepted, oldest first."""
        require(staff.role, "manage_staff")
        return await invitations.open_invitations(staff.publisher)

    @post()
    async def invite(self, data: JSONBody[Invite], staff: NamedDependency[Staff]) -> InvitationMade:
        """An invitation for one person, good for seven days."""
        require(staff.role, "manage_staff")
        made, token = await invitations.invite(
            publisher=staff.publisher, by=staff.id, role=data.role, note=data.note
        )
        return InvitationMade(made.id, made.role, made.note, made.expires_at, token)

    @delete("/{invitation_id:uuid}")
    async def withdraw(self, invitation_id: FromPath[UUID], staff: NamedDependency[Staff]) -> None:
        """From now on the link is good for nothing."""
        require(staff.role, "manage_staff")
        await invitations.withdraw(publisher=staff.publisher, invitation=invitation_id)
