"""For whom a person of the staff acts, how they come to act for another, and the second step of their sign-in."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from marketplace.errors import FieldError, Invalid
from marketplace.identity.sealing import Seal
from marketplace.identity.second_step import finish
from marketplace.identity.stores import EphemeralStore
from merchants.invitations import Account, join_as_new
from merchants.invitations import join as join_team
from merchants.staff import Person, StaffRole, act_for, memberships_of
from web.api.auth import PlainSession

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class SecondFactor(msgspec.Struct, forbid_unknown_fields=True):
    proof: Annotated[str, msgspec.Meta(max_length=128, description="As `second_factor_required` gave it")]
    code: Annotated[
        str, msgspec.Meta(max_length=64, description="Of the authenticator app, or a recovery code")
    ]


class NewAccount(msgspec.Struct, forbid_unknown_fields=True):
    login: Text
    name: Text
    password: Text


class Joining(msgspec.Struct, forbid_unknown_fields=True):
    token: Annotated[str, msgspec.Meta(max_length=128)]
    account: NewAccount


class Organisation(msgspec.Struct):
    """A membership; `current` is the one that the session acts by."""

    id: UUID
    publisher_id: UUID
    publisher_name: str
    publisher_status: str
    role: StaffRole
    current: bool


class JoinToken(msgspec.Struct, forbid_unknown_fields=True):
    token: Annotated[str, msgspec.Meta(max_length=128)]


class OrganisationController(Controller):
    """The publishers that the caller is a member of."""

    path = "/api/v1/staff/organisations"
    tags = ["publisher"]

    @get()
    async def mine(self, person: NamedDependency[Person]) -> list[Organisation]:
        """What was chosen last first."""
        current = person.acting.id if person.acting is not None else None
        return [
            Organisation(m.id, m.publisher, m.publisher_name, m.publisher_status, m.role, m.id == current)
            for m in await memberships_of(person.id)
        ]

    @post()
    async def join(
        self,
        data: JSONBody[JoinToken],
        person: NamedDependency[Person],
        store: NamedDependency[EphemeralStore],
    ) -> PlainSession:
        """Accept an invitation; the session acts for the publisher that was joined."""
        session = await join_team(data.token, person=person.id, store=store)
        return PlainSession(session.token, session.expires_at)

    @post("/{membership_id:uuid}/sessions")
    async def switch(
        self, membership_id: FromPath[UUID], person: NamedDependency[Person],
        store: NamedDependency[EphemeralStore],
    ) -> PlainSession:  # fmt: skip
        """A session that acts for another publisher; the present one goes on."""
        session = await act_for(person=person.id, membership=membership_id, store=store)
        return PlainSession(session.token, session.expires_at)


class SecondStepController(Controller):
    """What comes after the password, or in place of it."""

    path = "/api/v1/auth"
    tags = ["auth"]

    @post("/second-factor", summary="Finish a sign-in by a second factor")
    async def second_factor(
        self,
        data: JSONBody[SecondFactor],
        seal: NamedDependency[Seal],
        store: NamedDependency[EphemeralStore],
    ) -> PlainSession:
        """After `second_factor_required`, for staff and operators."""
        session = await finish(data.proof, data.code, seal=seal, store=store)
        return PlainSession(session.token, session.expires_at)

    @post("/invitations", summary="Accept an invitation with a new account")
    async def join_as_new(
        self, data: JSONBody[Joining], store: NamedDependency[EphemeralStore]
    ) -> PlainSession:
        """Whoever has an account signs in and posts to `/api/v1/staff/organisations`."""
        account = Account(data.account.login, data.account.name, data.account.password)
        try:
            session = await join_as_new(data.token, account, store=store)
        except Invalid as wrong:
            raise Invalid(*(FieldError(f"account.{field}", code) for field, code in wrong.errors)) from wrong
        return PlainSession(session.token, session.expires_at)
