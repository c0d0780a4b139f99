"""A publisher's API clients, for its owners."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from merchants import api_clients
from merchants.api_clients import MAX_NAME, ApiClient, ClientSecret, Scope
from merchants.publishing import require
from web.access import Staff


class NewClient(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
    scopes: Annotated[list[Scope], msgspec.Meta(min_length=1)]


class ClientView(msgspec.Struct):
    id: UUID
    client_id: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    last_used_at: datetime | None


class ClientController(Controller):
    """Programs that act for the publisher, by OAuth 2.0 client credentials."""

    path = "/api/v1/publisher/clients"
    tags = ["publisher"]

    @get()
    async def all(self, staff: NamedDependency[Staff]) -> list[ClientView]:
        """Those that are not revoked, oldest first."""
        require(staff.role, "manage_clients")
        return [_view(one) for one in await api_clients.clients_of(staff.publisher)]

    @post()
    async def create(self, data: JSONBody[NewClient], staff: NamedDependency[Staff]) -> ClientSecret:
        """A new client; its secret is shown this once."""
        require(staff.role, "manage_clients")
        return await api_clients.add_client(
            publisher=staff.publisher, name=data.name, scopes=data.scopes, created_by=staff.actor
        )

    @post("/{api_client_id:uuid}/rotate", status_code=200)
    async def rotate(self, api_client_id: FromPath[UUID], staff: NamedDependency[Staff]) -> ClientSecret:
        """A new secret; the old one is good for nothing at once."""
        require(staff.role, "manage_clients")
        return await api_clients.rotate_client(publisher=staff.publisher, client=api_client_id)

    @delete("/{api_client_id:uuid}")
    async def revoke(self, api_client_id: FromPath[UUID], staff: NamedDependency[Staff]) -> None:
        """The client is nobody from now on."""
        require(staff.role, "manage_clients")
        await api_clients.revoke_client(publisher=staff.publisher, client=api_client_id)


def _view(one: ApiClient) -> ClientView:
    return ClientView(one.id, one.client_id, one.name, one.scopes, one.created_at, one.last_used_at)
