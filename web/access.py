"""Who may call: the callers that controllers ask for by parameter name, from the bearer token or the session cookie."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler

from marketplace import devices
from marketplace.errors import NotFound, Refused
from marketplace.identity.operators import city_of
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import Principal, Role, principal_of
from merchants import api_clients
from merchants.staff import Person, StaffMember, StaffRole, person_of, staff_member
from web.sessions import session_token
from web.throttle import Throttle

AnyRequest = Request[Any, Any, Any]
_READ: Final = frozenset({"offers:read", "offers:write"})
_WRITE: Final = frozenset({"offers:write"})
_INSIGHT: Final = frozenset({"insight:read"})
_WEBHOOKS: Final = frozenset({"webhooks"})
# Where API clients may call: the path and what is below it, with the scopes of which one is wanted to read, to write.
_SCOPES: Final = (
    ("/api/v1/publisher/offers", _READ, _WRITE),
    ("/api/v1/publisher/limits", _READ, _WRITE),
    ("/api/v1/publisher/stores", _READ, frozenset[str]()),
    ("/api/v1/publisher/rule-facts", _READ, _WRITE),
    ("/api/v1/publisher/rule-check", _READ, _READ),
    ("/api/v1/publisher/uploads", _READ, _WRITE),
    ("/api/v1/publisher/insight", _INSIGHT, frozenset[str]()),
    ("/api/v1/publisher/webhooks", _WEBHOOKS, _WEBHOOKS),
)


class Resident(msgspec.Struct, frozen=True):
    """A resident who calls."""

    id: UUID


class Staff(msgspec.Struct, frozen=True):
    """A publisher's member of staff who calls: `id` is the membership's, by which they act. Or one of its API clients,
    in what its scopes let it do."""

    id: UUID
    publisher: UUID
    role: StaffRole
    person: UUID
    is_client: bool = False

    @property
    def actor(self) -> str:
        """Who did it, in the trails."""
        return f"{'client' if self.is_client else 'staff'}:{self.id}"


class Till(msgspec.Struct, frozen=True):
    """A till that calls, at its store."""

    id: UUID
    store: UUID
    publisher: UUID


class Operator(msgspec.Struct, frozen=True):
    """An operator who calls: of one city, or of the province where `city` is None."""

    id: UUID
    city: str | None

    @property
    def actor(self) -> str:
        """Who did it, in the trails."""
        return f"operator:{self.id}"


class Channel(msgspec.Struct, frozen=True):
    """A channel that calls."""

    key: str


class Bank(msgspec.Struct, frozen=True):
    """A bank that calls, by its publisher's id."""

    publisher: UUID


def bearer_token(request: AnyRequest) -> str | None:
    """The token of the `Authorization` header, else of the session cookie; None when there is neither."""
    header = request.headers.get("authorization")
    return session_token(request) if header is None else token_in(header)


def token_in(header: str) -> str:
    """The token of an `Authorization` header; empty, and so nobody's, when it is of another scheme."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def caller(request: AnyRequest) -> Principal | None:
    """Who calls, or None when no credentials came. Raises Refused (unauthenticated, rate_limited), Unavailable.

    Found out, and counted against the caller's limit, once per request, though the dependencies that ask may be
    resolved at the same time.
    """
    state = request.scope["state"]
    async with state.setdefault("principal_lock", asyncio.Lock()):
        if "principal" not in state:
            state["principal"] = await _found(request)
    known: Principal | None = state["principal"]
    return known


async def _found(request: AnyRequest) -> Principal | None:
    token = bearer_token(request)
    return None if token is None else await holder(token, request.app.state)


async def holder(token: str, state: State) -> Principal:
    """Whose token it is; the call is counted against their limit. Raises as `caller`."""
    store: EphemeralStore = state.store
    principal = await principal_of(token, store=store)
    if principal is None:
        raise Refused("unauthenticated")
    throttle: Throttle = state.throttle
    await throttle.count_call(principal)
    return principal


async def required(request: AnyRequest) -> Principal:
    """Who calls. Raises Refused (unauthenticated, rate_limited), Unavailable."""
    principal = await caller(request)
    if principal is None:
        raise Refused("unauthenticated")
    return principal


async def _as(role: Role, request: AnyRequest) -> Principal:
    principal = await required(request)
    if principal.role != role:
        raise Refused("forbidden")
    return principal


async def resident(request: AnyRequest) -> Resident:
    """The resident who calls."""
    return Resident((await _as("resident", request)).id)


async def visitor(request: AnyRequest) -> Resident | None:
    """The resident who calls; None for anyone else, signed in or not."""
    principal = await caller(request)
    return Resident(principal.id) if principal is not None and principal.role == "resident" else None


async def person(request: AnyRequest) -> Person:
    """The person of the staff who calls, a member of something or not."""
    found = await person_of((await _as("staff", request)).id)
    if found is None:
        raise Refused("unauthenticated")
    return found


async def member(request: AnyRequest) -> StaffMember:
    """The member of staff who calls, however their publisher stands."""
    subject = (await _as("staff", request)).id
    acting = await staff_member(subject)
    if acting is None:
        raise Refused("unauthenticated" if await person_of(subject) is None else "no_organisation")
    return acting


async def staff(request: AnyRequest) -> Staff:
    """The member of staff who calls, or the API client, of a publisher that was approved and is not closed."""
    principal = await required(request)
    if principal.role == "client":
        return await _client(request, principal)
    acting = await member(request)
    if acting.publisher_status in ("applied", "closed"):
        raise Refused("publisher_not_active")
    return Staff(acting.id, acting.publisher, acting.role, acting.person)


async def _client(request: AnyRequest, principal: Principal) -> Staff:
    """An API client acts as a manager would, in the calls that its scopes name and in no other."""
    found = await api_clients.acting(principal.id)
    if found is None:
        raise Refused("unauthenticated")
    if not found.scopes & _scopes_for(request.method, request.scope["path"]):
        raise Refused("scope_missing")
    if found.publisher_status in ("applied", "closed"):
        raise Refused("publisher_not_active")
    return Staff(found.id, found.publisher, "manager", found.id, is_client=True)


def _scopes_for(method: str, path: str) -> frozenset[str]:
    """The scopes of which a call wants one: none, where clients have no business at all."""
    for place, reads, writes in _SCOPES:
        if path == place or path.startswith(place + "/"):
            return reads if method == "GET" else writes
    return frozenset()


async def till(request: AnyRequest) -> Till:
    """The till that calls."""
    principal = await _as("till", request)
    try:
        found = await devices.calling(principal.id)
    except NotFound as error:
        raise Refused("unauthenticated") from error
    return Till(found.id, found.store, found.publisher)


async def operator(request: AnyRequest) -> Operator:
    """The operator who calls, unless they were removed."""
    known = (await _as("operator", request)).id
    return Operator(known, await city_of(known))


async def province_only(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard: what is not of one city is for operators of the province. Raises as `operator`, Refused `forbidden`."""
    if (await operator(Request(connection.scope))).city is not None:
        raise Refused("forbidden")


async def channel(request: AnyRequest) -> Channel:
    """The channel that calls."""
    return Channel((await _as("channel", request)).subject)


async def bank(request: AnyRequest) -> Bank:
    """The bank that calls."""
    return Bank((await _as("bank", request)).id)


DEPENDENCIES: Final[Mapping[str, Provide]] = {
    "principal": Provide(required),
    "resident": Provide(resident),
    "visitor": Provide(visitor),
    "person": Provide(person),
    "member": Provide(member),
    "staff": Provide(staff),
    "till": Provide(till),
    "operator": Provide(operator),
    "channel": Provide(channel),
    "bank": Provide(bank),
}

__all__ = [
    "DEPENDENCIES",
    "Bank",
    "Channel",
    "Operator",
    "Resident",
    "Staff",
    "Till",
    "bearer_token",
    "caller",
    "holder",
    "province_only",
    "required",
    "token_in",
]
