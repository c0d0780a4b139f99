"""Programmes and their members: the operator's calls, and what a resident sees and may end."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from incentives import programmes
from incentives.programmes import MAX_PHONES, Enrolled, Membership, NewProgramme, Programme
from web.access import Operator, Resident, province_only


class Phones(msgspec.Struct, forbid_unknown_fields=True):
    """Phones of residents."""

    phones: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_PHONES)]


class Dismissed(msgspec.Struct):
    """How many memberships ended."""

    ended: int


class ProgrammeController(Controller):
    """Programmes: whose members and offers can be told apart."""

    path = "/api/v1/operator/programmes"
    guards = [province_only]
    tags = ["operator"]

    @get()
    async def all(self, operator: NamedDependency[Operator]) -> list[Programme]:
        """Every programme with its number of members."""
        return await programmes.programmes()

    @post()
    async def create(self, data: JSONBody[NewProgramme], operator: NamedDependency[Operator]) -> Programme:
        """A programme without members; rules name it by its key."""
        return await programmes.create_programme(data)

    @post("/{key:str}/members", status_code=200)
    async def enrol(
        self, key: FromPath[str], data: JSONBody[Phones], operator: NamedDependency[Operator]
    ) -> Enrolled:
        """Enrol who has these phones; again, it changes nothing, and phones of nobody here are kept nowhere."""
        return await programmes.enrol(key, data.phones)

    @post("/{key:str}/dismissals", status_code=200)
    async def dismiss(
        self, key: FromPath[str], data: JSONBody[Phones], operator: NamedDependency[Operator]
    ) -> Dismissed:
        """End the memberships of who has these phones."""
        return Dismissed(await programmes.dismiss(key, data.phones))


class MembershipController(Controller):
    """A resident's memberships."""

    path = "/api/v1/me/programmes"
    tags = ["resident"]

    @get()
    async def own(self, resident: NamedDependency[Resident]) -> list[Membership]:
        """The programmes that the resident is a member of."""
        return await programmes.memberships_of(resident.id)

    @delete("/{key:str}")
    async def leave(self, key: FromPath[str], resident: NamedDependency[Resident]) -> None:
        """End a membership."""
        await programmes.leave(resident=resident.id, programme=key)
