"""Devices: tills that somebody can lose. A phone that was paired, a cash register with credentials of its own.

Each is a till of one store, so that what it verifies names it. Once revoked it never comes back, and neither token nor
secret of it is good any more.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec

from marketplace import clock, db
from marketplace.errors import NotFound, Refused
from marketplace.identity.oauth import new_secret, register_client, secret_digest
from marketplace.identity.tokens import Principal, revoke_tokens_of
from marketplace.publishers import Till, create_till

Kind = Literal["phone", "register"]
SEEN_EVERY: Final = timedelta(minutes=1)
MOST_PER_STORE: Final = 50


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A device as its publisher sees it; `client_id` is a register's."""

    till: UUID
    kind: Kind
    name: str
    store_name: str
    added_at: datetime
    last_seen_at: datetime | None

    @property
    def client_id(self) -> str | None:
        return client_id_of(self.till) if self.kind == "register" else None


class Secret(msgspec.Struct, frozen=True):
    """A register's credentials: the secret is shown this once."""

    till: UUID
    client_id: str
    secret: str


async def devices(*, publisher: UUID) -> list[Device]:
    """The devices of `publisher` that are not revoked, store by store, oldest first."""
    rows = await db.fetch(
        """SELECT d.till, d.kind, t.name, s.name AS store_name, d.added_at, d.last_seen_at
           FROM till_device d JOIN till t ON t.id = d.till JOIN store s ON s.id = t.store
           WHERE s.publisher = $1 AND d.revoked_at IS NULL ORDER BY s.id, t.id""",
        publisher,
    )
    return [Device(**row) for row in rows]


async def calling(till: UUID) -> Till:
    """The till that calls just now; a device is noted as seen. Raises NotFound, for a revoked one and one of a closed
    publisher too."""
    row = await db.fetch_row(
        """SELECT t.id, t.name, s.id AS store, s.name AS store_name, s.publisher, d.till AS device, d.last_seen_at
           FROM till t JOIN store s ON s.id = t.store JOIN publisher p ON p.id = s.publisher AND p.status <> 'closed'
           LEFT JOIN till_device d ON d.till = t.id
           WHERE t.id = $1 AND d.revoked_at IS NULL""",
        till,
    )
    if row is None:
        raise NotFound
    facts = dict(row)
    seen_at, now = facts.pop("last_seen_at"), clock.now()
    if facts.pop("device") is not None and (seen_at is None or seen_at < now - SEEN_EVERY):
        await db.execute(
            "UPDATE till_device SET last_seen_at = $2"
            " WHERE till = $1 AND (last_seen_at IS NULL OR last_seen_at < $2)",
            till, now,
        )  # fmt: skip
    return Till(**facts)


async def add_device(*, store: UUID, name: str, kind: Kind, added_by: str) -> UUID:
    """A new till of `store` that is a device; within the caller's transaction. Raises Invalid, NotFound, Refused
    `too_many_devices`."""
    held = await db.fetch_row("SELECT id FROM store WHERE id = $1 FOR UPDATE", store)
    if held is None:
        raise NotFound
    there = await db.fetch_value(
        """SELECT count(*) FROM till_device d JOIN till t ON t.id = d.till
           WHERE t.store = $1 AND d.revoked_at IS NULL""",
        store,
    )
    if there >= MOST_PER_STORE:
        raise Refused("too_many_devices", most=MOST_PER_STORE)
    till = await create_till(store=store, name=name)
    await db.execute(
        "INSERT INTO till_device (till, kind, added_by, added_at) VALUES ($1, $2, $3, $4)",
        till, kind, added_by, clock.now(),
    )  # fmt: skip
    return till


async def revoke(*, publisher: UUID, till: UUID) -> None:
    """From now on the device is nobody: its tokens and its secret are refused. Again, it changes nothing.

    Raises NotFound.
    """
    async with db.transaction():
        known = await db.fetch_row(_OWN + " FOR UPDATE OF d", till, publisher)
        if known is None:
            raise NotFound
        await db.execute(
            "UPDATE till_device SET revoked_at = greatest($2, added_at) WHERE till = $1 AND revoked_at IS NULL",
            till, clock.now(),
        )  # fmt: skip
        await revoke_tokens_of(Principal("till", str(till)))
        await db.execute("DELETE FROM oauth_client WHERE role = 'till' AND subject = $1", str(till))


# ------------------------------------------------------------------ cash registers
async def add_register(*, publisher: UUID, store: UUID, name: str, added_by: str) -> Secret:
    """A cash register of `store` with its OAuth credentials. Raises as `add_device`; NotFound for another's store."""
    async with db.transaction():
        await require_own_store(publisher=publisher, store=store)
        till = await add_device(store=store, name=name, kind="register", added_by=added_by)
        made = Secret(till, client_id_of(till), new_secret())
        await register_client(client_id=made.client_id, role="till", subject=str(till), secret=made.secret)
    return made


async def rotate_secret(*, publisher: UUID, till: UUID) -> Secret:
    """A new secret for the register, in the place of the old one. An access token that it has goes on until it is
    over, so that the register works on while it is told the new secret. Raises NotFound."""
    made = Secret(till, client_id_of(till), new_secret())
    async with db.transaction():
        known = await db.fetch_row(_OWN + " AND d.revoked_at IS NULL FOR UPDATE OF d", till, publisher)
        if known is None or known["kind"] != "register":
            raise NotFound
        await db.execute(
            "UPDATE oauth_client SET secret_hash = $2 WHERE client_id = $1",
            made.client_id, secret_digest(made.secret),
        )  # fmt: skip
    return made


def client_id_of(till: UUID) -> str:
    """The OAuth client of a cash register."""
    return f"register-{till}"


async def require_own_store(*, publisher: UUID, store: UUID) -> None:
    """Raises NotFound unless `store` is `publisher`'s."""
    if await db.fetch_row("SELECT id FROM store WHERE id = $1 AND publisher = $2", store, publisher) is None:
        raise NotFound


_OWN: Final = """SELECT d.kind FROM till_device d JOIN till t ON t.id = d.till JOIN store s ON s.id = t.store
                 WHERE d.till = $1 AND s.publisher = $2"""

__all__ = ["Device", "Kind", "Secret", "add_device", "add_register", "calling", "client_id_of", "devices",
           "require_own_store", "revoke", "rotate_secret"]  # fmt: skip
