"""Applications of publishers: sent and mended by them, decided by an operator."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from marketplace.identity.passwords import hash_password, password_fault
from marketplace.identity.stores import EphemeralStore
from merchants import applications, onboarding
from merchants.applications import Application
from merchants.intake import require_phone
from merchants.publishing import require
from merchants.staff import StaffMember
from merchants.staff import staff_member as member_of
from web.access import Operator
from web.api.auth import AnyRequest, Phone, address_of
from web.paging import Cursor, Limit, Page, before, page_of

Line = Annotated[str, msgspec.Meta(max_length=200)]


class FirstStore(msgspec.Struct, forbid_unknown_fields=True):
    name: Line
    address: Line


class ApplicationDetails(msgspec.Struct, forbid_unknown_fields=True):
    """What a publisher tells of itself."""

    licence: Annotated[
        str, msgspec.Meta(max_length=64, description="The unified social credit code (GB 32100)")
    ]
    name: Line
    kind: Annotated[str, msgspec.Meta(description="merchant, venue or bank")]
    city: Annotated[
        str, msgspec.Meta(description="A division of Hubei by its GB/T 2260 code: 420100 for Wuhan")
    ]
    contact_name: Line
    store: FirstStore


class NewApplication(ApplicationDetails, forbid_unknown_fields=True):
    """With the contact's phone, its one-time code (`POST /api/v1/auth/otp`), and the account of the first owner."""

    phone: Phone
    code: Annotated[str, msgspec.Meta(max_length=32)]
    login: Line
    password: Annotated[str, msgspec.Meta(max_length=256)]


class Approval(msgspec.Struct, forbid_unknown_fields=True):
    revision: Annotated[int, msgspec.Meta(ge=1, description="The one that was read")]


class Refusal(Approval, forbid_unknown_fields=True):
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=applications.MAX_REASON_LENGTH)]


class NewApplicationController(Controller):
    """Where a publisher begins."""

    path = "/api/v1/publisher-applications"
    tags = ["publisher"]

    @post()
    async def apply(
        self, data: JSONBody[NewApplication], request: AnyRequest, store: NamedDependency[EphemeralStore]
    ) -> Application:
        """Apply; the owner then signs in with login and password, and reads what comes of it."""
        told = _told(data)
        owner = onboarding.Owner(login=data.login.strip().lower(), password_hash="")
        # Before the one-time code is used up everything else that can be known is right.
        onboarding.checked_with_account(told, owner, password_fault(data.password))
        await require_phone(data.phone, data.code, address=address_of(request), store=store)
        owner = msgspec.structs.replace(owner, password_hash=await hash_password(data.password))
        member = await member_of(await onboarding.apply(told, phone=data.phone, owner=owner))
        assert member is not None, "it was made a moment ago"
        return await applications.application_of(member.publisher)


class ApplicationController(Controller):
    """The application of the publisher that the caller acts for."""

    path = "/api/v1/publisher/application"
    tags = ["publisher"]

    @get()
    async def own(self, member: NamedDependency[StaffMember]) -> Application:
        """What it says, and what came of it."""
        require(member.role, "manage_staff")
        return await applications.application_of(member.publisher)

    @put()
    async def mend(
        self, data: JSONBody[ApplicationDetails], member: NamedDependency[StaffMember]
    ) -> Application:
        """Send it again, after it was sent back."""
        require(member.role, "manage_staff")
        await onboarding.mend(_told(data), publisher=member.publisher, actor=f"staff:{member.id}")
        return await applications.application_of(member.publisher)


class OperatorApplicationController(Controller):
    """Applications that wait for an operator. Whoever decides names the revision that they have read."""

    path = "/api/v1/operator/applications"
    tags = ["operator"]

    @get()
    async def waiting(
        self, operator: NamedDependency[Operator], limit: Limit = 20, cursor: Cursor = None
    ) -> Page[Application]:
        """Oldest first."""
        return page_of(
            await applications.waiting_applications(limit=limit, after=before(cursor), city=operator.city),
            limit,
        )

    @get("/{application_id:uuid}")
    async def one(self, application_id: FromPath[UUID], operator: NamedDependency[Operator]) -> Application:
        """One of them, decided or not."""
        return await applications.application_of(application_id, city=operator.city)

    @post("/{application_id:uuid}/approve", status_code=200)
    async def approve(
        self, application_id: FromPath[UUID], data: JSONBody[Approval], operator: NamedDependency[Operator]
    ) -> Application:
        """Let the publisher publish."""
        await applications.approve(
            publisher=application_id,
            revision=data.revision,
            actor=operator.actor,
            city=operator.city,
        )
        return await applications.application_of(application_id, city=operator.city)

    @post("/{application_id:uuid}/return", status_code=200)
    async def send_back(
        self, application_id: FromPath[UUID], data: JSONBody[Refusal], operator: NamedDependency[Operator]
    ) -> Application:
        """Send it back to be mended."""
        await applications.send_back(
            publisher=application_id,
            revision=data.revision,
            reason=data.reason,
            actor=operator.actor,
            city=operator.city,
        )
        return await applications.application_of(application_id, city=operator.city)

    @post("/{application_id:uuid}/reject", status_code=200)
    async def reject(
        self, application_id: FromPath[UUID], data: JSONBody[Refusal], operator: NamedDependency[Operator]
    ) -> Application:
        """Reject it for good; the licence is free for another application."""
        await applications.reject(
            publisher=application_id,
            revision=data.revision,
            reason=data.reason,
            actor=operator.actor,
            city=operator.city,
        )
        return await applications.application_of(application_id, city=operator.city)


def _told(data: ApplicationDetails) -> onboarding.Told:
    return onboarding.Told(
        licence=data.licence, name=data.name, kind=data.kind, city=data.city, contact_name=data.contact_name,
        store_name=data.store.name, store_address=data.store.address,
    )  # fmt: skip
