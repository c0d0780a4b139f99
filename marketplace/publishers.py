"""Publishers and what is theirs: stores and tills."""

from __future__ import annotations

import re
from typing import Final, Literal, get_args
from uuid import UUID, uuid4

import msgspec

from marketplace import clock, db
from marketplace.errors import FieldError, Invalid, NotFound
from marketplace.ids import new_id
from marketplace.offers.benefits import LINE

Kind = Literal["merchant", "venue", "bank"]
MAX_NAME_LENGTH: Final = 100
_CITY_DIGITS: Final = 6
_TILLS: Final = """SELECT t.id, t.name, s.id AS store, s.name AS store_name, s.publisher
                   FROM till t JOIN store s ON s.id = t.store"""


class Publisher(msgspec.Struct, frozen=True):
    """Who publishes offers; `registry_account` is the name under which the registry knows it."""

    id: UUID
    kind: Kind
    name: str
    city: str
    status: str
    registry_account: UUID


class Store(msgspec.Struct, frozen=True):
    id: UUID
    publisher: UUID
    name: str
    address: str


class Till(msgspec.Struct, frozen=True):
    """A till, the store it stands in and whose that is."""

    id: UUID
    name: str
    store: UUID
    store_name: str
    publisher: UUID


async def create_publisher(
    *, kind: Kind, name: str, city: str, licence: str | None = None, status: str = "active"
) -> UUID:
    """A new publisher; `city` is a division code of Hubei (42 and four digits), `licence` a checked number.

    Raises Invalid; its licence is `taken` while another publisher that is not closed has it.
    """
    if kind not in get_args(Kind):
        raise Invalid(FieldError("kind", "unknown"))
    if not (city.isascii() and city.isdigit() and len(city) == _CITY_DIGITS and city.startswith("42")):
        raise Invalid(FieldError("city", "invalid"))
    publisher = new_id()
    made = await db.execute(
        """INSERT INTO publisher (id, kind, name, city, status, licence, registry_account, created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (licence) WHERE status <> 'closed' DO NOTHING""",
        publisher, kind, _name(name), city, status, licence, uuid4(), clock.now(),
    )  # fmt: skip
    if not made:
        raise Invalid(FieldError("licence", "taken"))
    return publisher


async def create_store(*, publisher: UUID, name: str, address: str) -> UUID:
    """A new store of `publisher`. Raises Invalid, NotFound."""
    store = new_id()
    made = await db.execute(
        """INSERT INTO store (id, publisher, name, address, created_at)
           SELECT $1, id, $3, $4, $5 FROM publisher WHERE id = $2""",
        store, publisher, _name(name), _name(address, field="address"), clock.now(),
    )  # fmt: skip
    if not made:
        raise NotFound
    return store


async def rename_store(*, publisher: UUID, store: UUID, name: str, address: str) -> None:
    """Give a store of `publisher` another name and address. Raises Invalid, NotFound."""
    changed = await db.execute(
        "UPDATE store SET name = $3, address = $4 WHERE id = $2 AND publisher = $1",
        publisher, store, _name(name), _name(address, field="address"),
    )  # fmt: skip
    if not changed:
        raise NotFound


async def create_till(*, store: UUID, name: str) -> UUID:
    """A new till in `store`. Raises Invalid, NotFound."""
    till = new_id()
    made = await db.execute(
        "INSERT INTO till (id, store, name, created_at) SELECT $1, id, $3, $4 FROM store WHERE id = $2",
        till, store, _name(name), clock.now(),
    )  # fmt: skip
    if not made:
        raise NotFound
    return till


async def publisher(publisher_id: UUID) -> Publisher:
    """Raises NotFound."""
    row = await db.fetch_row(
        "SELECT id, kind, name, city, status, registry_account FROM publisher WHERE id = $1", publisher_id
    )
    if row is None:
        raise NotFound
    return Publisher(**row)


async def stores(*, publisher: UUID) -> list[Store]:
    """The stores of `publisher`, oldest first."""
    rows = await db.fetch(
        "SELECT id, publisher, name, address FROM store WHERE publisher = $1 ORDER BY id", publisher
    )
    return [Store(**row) for row in rows]


async def tills(*, publisher: UUID) -> list[Till]:
    """The tills of `publisher` that staff may stand at, store by store, oldest first: devices are their own."""
    rows = await db.fetch(
        f"{_TILLS} LEFT JOIN till_device d ON d.till = t.id WHERE s.publisher = $1 AND d.till IS NULL"
        " ORDER BY s.id, t.id",
        publisher,
    )
    return [Till(**row) for row in rows]


async def publisher_names() -> dict[UUID, str]:
    """The publishers that may publish, by name; at most a thousand."""
    rows = await db.fetch(
        "SELECT id, name FROM publisher WHERE status = 'active' ORDER BY name, id LIMIT 1000"
    )
    return {row["id"]: row["name"] for row in rows}


def _name(given: str, *, field: str = "name") -> str:
    name = given.strip()
    if len(name) > MAX_NAME_LENGTH or not re.search(LINE, name):
        raise Invalid(FieldError(field, "invalid" if name else "required"))
    return name
