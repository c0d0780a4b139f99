"""API clients: programs that act for a publisher by OAuth 2.0 client credentials, as far as their scopes go.

The secret is shown once and kept as a digest. Scopes are read with each call, so that a client that is revoked is
nobody at once, whatever token it has.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, get_args
from uuid import UUID

import msgspec

from marketplace import clock, db
from marketplace.errors import FieldError, Invalid, NotFound, Refused
from marketplace.identity.oauth import new_secret, register_client, secret_digest
from marketplace.ids import new_id

Scope = Literal["offers:read", "offers:write", "insight:read", "webhooks"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
MOST: Final = 20
MAX_NAME: Final = 50
SEEN_EVERY: Final = timedelta(minutes=1)


class ApiClient(msgspec.Struct, frozen=True, kw_only=True):
    """A client as its publisher sees it."""

    id: UUID
    name: str
    scopes: list[Scope]
    created_at: datetime
    last_used_at: datetime | None

    @property
    def client_id(self) -> str:
        return client_id_of(self.id)


class ClientSecret(msgspec.Struct, frozen=True):
    """A client's credentials: the secret is shown this once."""

    id: UUID
    client_id: str
    secret: str


class Acting(msgspec.Struct, frozen=True):
    """The client that calls just now, and for whom."""

    id: UUID
    publisher: UUID
    publisher_status: str
    scopes: frozenset[str]


async def clients_of(publisher: UUID) -> list[ApiClient]:
    """Those that are not revoked, oldest first."""
    rows = await db.fetch(
        """SELECT id, name, scopes, created_at, last_used_at FROM api_client
           WHERE publisher = $1 AND revoked_at IS NULL ORDER BY id""",
        publisher,
    )
    return [ApiClient(**row) for row in rows]


async def add_client(*, publisher: UUID, name: str, scopes: Collection[str], created_by: str) -> ClientSecret:
    """A new client. Raises Invalid, Refused `too_many_clients`."""
    name = name.strip()
    errors = []
    if not name or len(name) > MAX_NAME or not name.isprintable():
        errors.append(FieldError("name", "invalid" if name else "required"))
    if not scopes or not set(scopes) <= set(SCOPES):
        errors.append(FieldError("scopes", "unknown" if scopes else "required"))
    if errors:
        raise Invalid(*errors)
    client = new_id()
    made = ClientSecret(client, client_id_of(client), new_secret())
    async with db.transaction():
        await db.fetch("SELECT 1 FROM publisher WHERE id = $1 FOR NO KEY UPDATE", publisher)
        if len(await clients_of(publisher)) >= MOST:
            raise Refused("too_many_clients", most=MOST)
        await db.execute(
            """INSERT INTO api_client (id, publisher, name, scopes, created_by, created_at)
               VALUES ($1, $2, $3, $4, $5, $6)""",
            client, publisher, name, _in_order(scopes), created_by, clock.now(),
        )  # fmt: skip
        await register_client(
            client_id=made.client_id, role="client", subject=str(client), secret=made.secret
        )
    return made


async def rotate_client(*, publisher: UUID, client: UUID) -> ClientSecret:
    """A new secret in the place of the old one; tokens that are out go on until they are over. Raises NotFound."""
    made = ClientSecret(client, client_id_of(client), new_secret())
    async with db.transaction():
        await _locked(publisher, client)
        await db.execute(
            "UPDATE oauth_client SET secret_hash = $2 WHERE client_id = $1",
            made.client_id, secret_digest(made.secret),
        )  # fmt: skip
    return made


async def revoke_client(*, publisher: UUID, client: UUID) -> None:
    """From now on the client is nobody. Raises NotFound, also where that was done before."""
    async with db.transaction():
        await _locked(publisher, client)
        await db.execute(
            "UPDATE api_client SET revoked_at = greatest($2, created_at) WHERE id = $1", client, clock.now()
        )
        await db.execute("DELETE FROM oauth_client WHERE role = 'client' AND subject = $1", str(client))


async def acting(client: UUID) -> Acting | None:
    """The client that calls, noted as seen; None for one that is revoked."""
    row = await db.fetch_row(
        """SELECT c.publisher, p.status, c.scopes, c.last_used_at FROM api_client c
           JOIN publisher p ON p.id = c.publisher WHERE c.id = $1 AND c.revoked_at IS NULL""",
        client,
    )
    if row is None:
        return None
    seen_at, now = row["last_used_at"], clock.now()
    if seen_at is None or seen_at < now - SEEN_EVERY:
        await db.execute(
            "UPDATE api_client SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)",
            client, now,
        )  # fmt: skip
    return Acting(client, row["publisher"], row["status"], frozenset(row["scopes"]))


def client_id_of(client: UUID) -> str:
    """The OAuth client of an API client."""
    return f"client-{client}"


def _in_order(scopes: Collection[str]) -> Sequence[str]:
    return [scope for scope in SCOPES if scope in scopes]


async def _locked(publisher: UUID, client: UUID) -> None:
    row = await db.fetch_row(
        "SELECT 1 FROM api_client WHERE id = $1 AND publisher = $2 AND revoked_at IS NULL FOR UPDATE",
        client,
        publisher,
    )
    if row is None:
        raise NotFound


__all__ = ["SCOPES", "Acting", "ApiClient", "ClientSecret", "Scope", "acting", "add_client", "client_id_of",
           "clients_of", "revoke_client", "rotate_client"]  # fmt: skip
