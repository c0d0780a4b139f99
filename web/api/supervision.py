"""What operators do about publishers and each other, and the trail of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from marketplace import deeds, matters, suspensions
from marketplace.deeds import Deed, Sought
from marketplace.identity import operators
from marketplace.identity.operators import OperatorView
from marketplace.matters import Matters, Standing
from marketplace.suspensions import CouponsOut
from web.access import Operator, province_only
from web.paging import Cursor, Limit, Page, before, page_of

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=operators.MAX_LENGTH)]
City = Annotated[
    str | None, msgspec.Meta(description="A division of Hubei (GB/T 2260); null for the whole province")
]


class Reasoned(msgspec.Struct, forbid_unknown_fields=True):
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=deeds.MAX_REASON_LENGTH)]


class Suspension(Reasoned, forbid_unknown_fields=True):
    """`kept`: coupons out stay good until they expire; `given_back`: they are cancelled, what they hold released."""

    coupons_out: CouponsOut


class Supervised(msgspec.Struct, frozen=True):
    """How a publisher stands, and what of it is open: it is closed when nothing is."""

    publisher: Standing
    open: Matters


class SupervisionController(Controller):
    """Publishers as an operator sees them: all of the province, or those of the operator's city."""

    path = "/api/v1/operator/publishers"
    tags = ["operator"]

    @get()
    async def all(
        self, operator: NamedDependency[Operator], limit: Limit = 20, cursor: Cursor = None,
        q: Annotated[str, QueryParameter(max_length=100, description="Part of the name, or the licence")] = "",
    ) -> Page[Standing]:  # fmt: skip
        """Newest first."""
        found = await matters.standings(city=operator.city, q=q, limit=limit + 1, before=before(cursor))
        return page_of(found, limit)

    @get("/{publisher_id:uuid}")
    async def one(self, publisher_id: FromPath[UUID], operator: NamedDependency[Operator]) -> Supervised:
        """One of them, with what is open."""
        return await _supervised(publisher_id, operator)

    @post("/{publisher_id:uuid}/suspend", status_code=200)
    async def suspend(
        self, publisher_id: FromPath[UUID], data: JSONBody[Suspension], operator: NamedDependency[Operator]
    ) -> Supervised:
        """Nothing of it can be redeemed any more; coupons out are kept or given back. Holders are told."""
        await suspensions.suspend(coupons_out=data.coupons_out, **_said(publisher_id, data, operator))
        return await _supervised(publisher_id, operator)

    @post("/{publisher_id:uuid}/reinstate", status_code=200)
    async def reinstate(
        self, publisher_id: FromPath[UUID], data: JSONBody[Reasoned], operator: NamedDependency[Operator]
    ) -> Supervised:
        """Its offers are again as they were."""
        await suspensions.reinstate(**_said(publisher_id, data, operator))
        return await _supervised(publisher_id, operator)

    @post("/{publisher_id:uuid}/close", status_code=200)
    async def close(
        self, publisher_id: FromPath[UUID], data: JSONBody[Reasoned], operator: NamedDependency[Operator]
    ) -> Supervised:
        """For good, once nothing is open."""
        await suspensions.close(**_said(publisher_id, data, operator))
        return await _supervised(publisher_id, operator)


def _said(publisher: UUID, data: Reasoned, operator: Operator) -> dict[str, Any]:
    return {
        "publisher": publisher, "reason": data.reason, "actor": operator.actor, "city": operator.city,
    }  # fmt: skip


async def _supervised(publisher: UUID, operator: Operator) -> Supervised:
    standing = await matters.standing_of(publisher, city=operator.city)
    return Supervised(standing, await matters.open_matters(publisher))


class NewOperator(msgspec.Struct, forbid_unknown_fields=True):
    login: Line
    name: Line
    password: Annotated[str, msgspec.Meta(max_length=256)]
    city: City = None


class NewScope(msgspec.Struct, forbid_unknown_fields=True):
    city: City


class OperatorMade(msgspec.Struct):
    id: UUID


class OperatorStaffController(Controller):
    """Operators, managed by those who have the province."""

    path = "/api/v1/operator/operators"
    tags = ["operator"]
    guards = [province_only]

    @get()
    async def all(self, operator: NamedDependency[Operator]) -> list[OperatorView]:
        """Who is an operator."""
        return await operators.operators()

    @post()
    async def add(self, data: JSONBody[NewOperator], operator: NamedDependency[Operator]) -> OperatorMade:
        """Another one."""
        made = await operators.add_operator(
            login=data.login, name=data.name, password=data.password, city=data.city,
            actor=operator.actor,
        )  # fmt: skip
        return OperatorMade(made)

    @put("/{operator_id:uuid}/city", status_code=204)
    async def change(
        self, operator_id: FromPath[UUID], data: JSONBody[NewScope], operator: NamedDependency[Operator]
    ) -> None:
        """Give one a city, or the province."""
        await operators.change_city(operator=operator_id, city=data.city, actor=operator.actor)

    @delete("/{operator_id:uuid}")
    async def remove(self, operator_id: FromPath[UUID], operator: NamedDependency[Operator]) -> None:
        """An operator no more; their sessions and tokens are over."""
        await operators.remove_operator(operator=operator_id, actor=operator.actor)


class DeedController(Controller):
    """Who did what: an operator of a city reads what concerned its publishers."""

    path = "/api/v1/operator/deeds"
    tags = ["operator"]

    @get()
    async def trail(
        self, operator: NamedDependency[Operator], limit: Limit = 20, cursor: Cursor = None,
        actor: Annotated[str | None, QueryParameter(max_length=80)] = None,
        deed: Annotated[str | None, QueryParameter(max_length=40)] = None,
        about: Annotated[UUID | None, QueryParameter(description="The id of what it was done to")] = None,
        since: Annotated[datetime | None, QueryParameter(description="Inside")] = None,
        until: Annotated[datetime | None, QueryParameter(description="Outside")] = None,
    ) -> Page[Deed]:  # fmt: skip
        """Newest first; `until` is outside."""
        sought = Sought(city=operator.city, actor=actor, deed=deed, object=about, since=since, until=until)
        return page_of(await deeds.deeds(sought, limit=limit + 1, before=before(cursor)), limit)


__all__ = ["DeedController", "OperatorStaffController", "SupervisionController"]
