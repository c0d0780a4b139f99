"""A publisher's own stores: opened with a till, so that something can be verified there at once, and renamed."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from marketplace import db
from marketplace.errors import FieldError, Invalid, Refused
from marketplace.publishers import create_store, create_till
from marketplace.publishers import rename_store as rename

MOST_STORES: Final = 500
FIRST_TILL: Final = "1 号收银台"


async def open_store(*, publisher: UUID, name: str, address: str) -> UUID:
    """A new store with its first till. Raises Invalid (`name` is taken by another store), Refused `too_many_stores`."""
    async with db.transaction():
        await _require_free_name(publisher, name)
        return await store_with_till(publisher=publisher, name=name, address=address)


async def rename_store(*, publisher: UUID, store: UUID, name: str, address: str) -> None:
    """Give a store another name and address; coupons out stay good there. Raises Invalid, NotFound."""
    async with db.transaction():
        await _require_free_name(publisher, name, besides=store)
        await rename(publisher=publisher, store=store, name=name, address=address)


async def store_with_till(*, publisher: UUID, name: str, address: str) -> UUID:
    """Inside a transaction: a store and its first till. Raises Invalid, NotFound."""
    store = await create_store(publisher=publisher, name=name, address=address)
    await create_till(store=store, name=FIRST_TILL)
    return store


async def _require_free_name(publisher: UUID, name: str, *, besides: UUID | None = None) -> None:
    """A form sent twice opens one store: the publisher is locked, and what it has is looked at."""
    await db.fetch("SELECT 1 FROM publisher WHERE id = $1 FOR NO KEY UPDATE", publisher)
    rows = await db.fetch("SELECT id, name FROM store WHERE publisher = $1", publisher)
    others = [row["name"] for row in rows if row["id"] != besides]
    if name.strip() in others:
        raise Invalid(FieldError("name", "taken"))
    if len(others) >= MOST_STORES:
        raise Refused("too_many_stores")


__all__ = ["open_store", "rename_store", "store_with_till"]
