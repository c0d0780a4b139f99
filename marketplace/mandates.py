"""Linking a channel account by mandate: the resident asks for a code and gives it to the channel, which confirms it.

So nobody can claim a rider's records by naming the rider: the channel vouches for who holds the account.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from marketplace import db
from marketplace.errors import NotFound
from marketplace.identity.stores import EphemeralStore
from marketplace.residents import link

CODE_TTL_SECONDS: Final = 600


class Mandate(msgspec.Struct, frozen=True):
    """A channel account that a resident linked."""

    id: UUID
    channel: str
    linked_at: datetime


async def ask(*, resident: UUID, channel: str, store: EphemeralStore) -> str:
    """A code for ten minutes, with which `channel` may link one account to `resident`. Raises NotFound."""
    if await db.fetch_row("SELECT 1 FROM channel WHERE key = $1", channel) is None:
        raise NotFound
    code = secrets.token_urlsafe(12)
    await store.set(_key(channel, code), resident.bytes, ttl_seconds=CODE_TTL_SECONDS)
    return code


async def confirm(*, channel: str, code: str, subject: str, store: EphemeralStore) -> UUID:
    """The channel's word that the person who gave `code` holds its account `subject`; the code is used up.

    Raises NotFound for a code that is unknown or too old, Refused `already_linked`.
    """
    resident = await store.take(_key(channel, code))
    if resident is None:
        raise NotFound
    return await link(resident=UUID(bytes=resident), channel=channel, subject=subject)


async def mandates_of(resident: UUID) -> list[Mandate]:
    """The channel accounts that are linked now."""
    rows = await db.fetch(
        "SELECT id, channel, linked_at FROM channel_link WHERE resident = $1 AND ended_at IS NULL ORDER BY id",
        resident,
    )
    return [Mandate(**row) for row in rows]


def _key(channel: str, code: str) -> str:
    return f"mandate:{channel}:{code}"
