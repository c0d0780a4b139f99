"""Endpoints: where a publisher is told, of which kinds, and the secrets that sign it.

A secret is shown once, and kept sealed. A new one signs beside the old one for a day, as the specification has it, so
that whoever receives changes over without losing a message.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from marketplace import clock, db
from marketplace.errors import FieldError, Invalid, NotFound, Refused
from marketplace.ids import new_id
from marketplace.pools.sealing import require_the_key, sealed, unsealed
from merchants.webhooks.addresses import place_of
from merchants.webhooks.events import KINDS

MOST: Final = 10
MAX_DESCRIPTION: Final = 100
OLD_SECRET_FOR: Final = timedelta(hours=24)
_SECRET_BYTES: Final = 32


class NewEndpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    events: list[str]
    description: str = ""


class EndpointChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays. Enabled again, an endpoint gets what waited for it."""

    url: str | UnsetType = UNSET
    events: list[str] | UnsetType = UNSET
    description: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint as its publisher sees it; `disabled_because` is null where its publisher did it."""

    id: UUID
    url: str
    description: str
    events: list[str]
    enabled: bool
    disabled_because: str | None
    failing_since: datetime | None
    old_secret_until: datetime | None
    created_at: datetime
    waiting: int


class Secret(msgspec.Struct, frozen=True):
    """The secret of an endpoint, shown this once."""

    id: UUID
    secret: str


_SELECT: Final = """
    SELECT e.id, e.url, e.description, e.events, e.enabled, e.disabled_because, e.failing_since, e.created_at,
           CASE WHEN e.old_secret_until > $2 THEN e.old_secret_until END AS old_secret_until,
           (SELECT count(*) FROM webhook_delivery d WHERE d.endpoint = e.id AND d.state = 'waiting') AS waiting
    FROM webhook_endpoint e WHERE e.publisher = $1 AND e.deleted_at IS NULL"""


async def endpoints_of(publisher: UUID) -> list[Endpoint]:
    """Oldest first."""
    return [Endpoint(**row) for row in await db.fetch(_SELECT + " ORDER BY e.id", publisher, clock.now())]


async def endpoint_of(*, publisher: UUID, endpoint: UUID) -> Endpoint:
    """Raises NotFound."""
    row = await db.fetch_row(_SELECT + " AND e.id = $3", publisher, clock.now(), endpoint)
    if row is None:
        raise NotFound
    return Endpoint(**row)


async def create_endpoint(*, publisher: UUID, new: NewEndpoint) -> Secret:
    """An endpoint that is told of what happens from now on. Raises Invalid, Refused `too_many_webhooks`."""
    await _require_good(url=new.url, events=new.events, description=new.description)
    made = Secret(new_id(), _new_secret())
    async with db.transaction():
        await require_the_key()
        await db.fetch("SELECT 1 FROM publisher WHERE id = $1 FOR NO KEY UPDATE", publisher)
        there = await db.fetch_value(
            "SELECT count(*) FROM webhook_endpoint WHERE publisher = $1 AND deleted_at IS NULL", publisher
        )
        if there >= MOST:
            raise Refused("too_many_webhooks", most=MOST)
        await db.execute(
            """INSERT INTO webhook_endpoint (id, publisher, url, description, events, enabled, secret, created_at)
               VALUES ($1, $2, $3, $4, $5, true, $6, $7)""",
            made.id, publisher, new.url, new.description.strip(), _in_order(new.events),
            _sealed(made.id, made.secret), clock.now(),
        )  # fmt: skip
    return made


async def change_endpoint(*, publisher: UUID, endpoint: UUID, change: EndpointChange) -> Endpoint:
    """Set what `change` gives. Raises Invalid, NotFound."""
    url, events, description, enabled = (
        None if value is UNSET else value for value in msgspec.structs.astuple(change)
    )
    await _require_good(url=url, events=events, description=description or "")
    async with db.transaction():
        await _locked(publisher, endpoint)
        await db.execute(
            """UPDATE webhook_endpoint SET url = coalesce($2, url), events = coalesce($3, events),
                   description = coalesce($4, description), enabled = coalesce($5, enabled),
                   disabled_because = CASE WHEN $5 THEN NULL ELSE disabled_because END,
                   failing_since = CASE WHEN $5 THEN NULL ELSE failing_since END,
                   resting_until = CASE WHEN $5 THEN NULL ELSE resting_until END
               WHERE id = $1""",
            endpoint, url, None if events is None else _in_order(events),
            None if description is None else description.strip(), enabled,
        )  # fmt: skip
    return await endpoint_of(publisher=publisher, endpoint=endpoint)


async def delete_endpoint(*, publisher: UUID, endpoint: UUID) -> None:
    """Nothing more is sent there, and it is seen no more. Raises NotFound."""
    async with db.transaction():
        await _locked(publisher, endpoint)
        await db.execute(
            """UPDATE webhook_endpoint SET enabled = false, deleted_at = greatest($2, created_at), old_secret = NULL,
                   old_secret_until = NULL WHERE id = $1""",
            endpoint, clock.now(),
        )  # fmt: skip


async def rotate_secret(*, publisher: UUID, endpoint: UUID) -> Secret:
    """A new secret; the one before it signs too for 24 hours, and one before that no more. Raises NotFound."""
    made = Secret(endpoint, _new_secret())
    async with db.transaction():
        await require_the_key()
        await _locked(publisher, endpoint)
        await db.execute(
            """UPDATE webhook_endpoint SET old_secret = secret, old_secret_until = $3, secret = $2 WHERE id = $1""",
            endpoint, _sealed(endpoint, made.secret), clock.now() + OLD_SECRET_FOR,
        )  # fmt: skip
    return made


def secrets_of(row: db.Row, *, at: datetime) -> list[str]:
    """The secrets that sign at `at`, the newest first. Raises Unavailable under another key."""
    boxes = [row["secret"]]
    if row["old_secret"] is not None and row["old_secret_until"] > at:
        boxes.append(row["old_secret"])
    return [unsealed(box, about=_about(row["id"])).decode() for box in boxes]


async def _locked(publisher: UUID, endpoint: UUID) -> None:
    row = await db.fetch_row(
        "SELECT 1 FROM webhook_endpoint WHERE id = $1 AND publisher = $2 AND deleted_at IS NULL FOR NO KEY UPDATE",
        endpoint,
        publisher,
    )
    if row is None:
        raise NotFound


async def _require_good(
    *, url: str | None = None, events: Sequence[str] | None = None, description: str = ""
) -> None:
    errors: list[FieldError] = []
    if url is not None:
        try:
            place_of(url, loopback=await db.is_demonstration())
        except Invalid as wrong:
            errors += wrong.errors
    if events is not None and (not events or not set(events) <= set(KINDS)):
        errors.append(FieldError("events", "unknown" if events else "required"))
    if len(description) > MAX_DESCRIPTION or not description.isprintable():
        errors.append(FieldError("description", "invalid"))
    if errors:
        raise Invalid(*errors)


def _in_order(events: Sequence[str]) -> list[str]:
    return [kind for kind in KINDS if kind in events]


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _sealed(endpoint: UUID, secret: str) -> bytes:
    return sealed(secret.encode(), about=_about(endpoint))


def _about(endpoint: UUID) -> bytes:
    return b"webhook" + endpoint.bytes


__all__ = ["Endpoint", "EndpointChange", "NewEndpoint", "Secret", "change_endpoint", "create_endpoint",
           "delete_endpoint", "endpoint_of", "endpoints_of", "rotate_secret", "secrets_of"]  # fmt: skip
