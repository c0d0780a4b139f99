"""A publisher's own stores."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from marketplace.publishers import MAX_NAME_LENGTH, Store, stores
from merchants.publishing import require
from merchants.stores import open_store, rename_store
from web.access import Staff

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_LENGTH)]


class StoreDetails(msgspec.Struct, forbid_unknown_fields=True):
    name: Line
    address: Line


class StoreMade(msgspec.Struct):
    id: UUID


class StoreController(Controller):
    """Where the publisher's coupons are used; each store has a till from the beginning."""

    path = "/api/v1/publisher/stores"
    tags = ["publisher"]

    @get()
    async def own(self, staff: NamedDependency[Staff]) -> list[Store]:
        """All of them, oldest first."""
        return await stores(publisher=staff.publisher)

    @post()
    async def create(self, data: JSONBody[StoreDetails], staff: NamedDependency[Staff]) -> StoreMade:
        """A further store."""
        require(staff.role, "manage_stores")
        return StoreMade(await open_store(publisher=staff.publisher, name=data.name, address=data.address))

    @put("/{store_id:uuid}", status_code=204)
    async def rename(
        self, store_id: FromPath[UUID], data: JSONBody[StoreDetails], staff: NamedDependency[Staff]
    ) -> None:
        """Another name and address; coupons out stay good there."""
        require(staff.role, "manage_stores")
        await rename_store(publisher=staff.publisher, store=store_id, name=data.name, address=data.address)
