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
_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # without what is read as something else: 0 O, 1 I L


class Mandate(msgspec.Struct, frozen=True):
    """A channel account that a resident linked."""

    id: UUID
    channel: str
    channel_name: str
    linked_at: datetime


class ChannelName(msgspec.Struct, frozen=True):
    """A channel whose accounts can be linked."""

    key: str
    name: str


async def ask(*, resident: UUID, channel: str, store: EphemeralStore) -> str:
    """A code for ten minutes, with which `channel` may link one account to `resident`. Raises NotFound."""
    if await db.fetch_row("SELECT 1 FROM channel WHERE key = $1", channel) is None:
        raise NotFound
    code = "".join(secrets.choice(_ALPHABET) for _ in range(10))
    await store.set(_key(channel, code), resident.bytes, ttl_seconds=CODE_TTL_SECONDS)
    return f"{code[:5]}-{code[5:]}"


async def is_waiting(*, resident: UUID, channel: str, code: str, store: EphemeralStore) -> bool:
    """Whether `code` can still be confirmed by `channel` for `resident`."""
    return await store.get(_key(channel, code)) == resident.bytes


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
        """SELECT l.id, l.channel, c.name AS channel_name, l.linked_at
           FROM channel_link l JOIN channel c ON c.key = l.channel
           WHERE l.resident = $1 AND l.ended_at IS NULL ORDER BY l.id""",
        resident,
    )
    return [Mandate(**row) for row in rows]


async def channels() -> list[ChannelName]:
    """The channels whose accounts can be linked, by name."""
    return [ChannelName(**row) for row in await db.fetch("SELECT key, name FROM channel ORDER BY name, key")]


def _key(channel: str, code: str) -> str:
    """Where a code is kept: people read it out and type it, in any case, with or without the hyphen."""
    bare = code.upper().replace("-", "").replace(" ", "")
    return f"mandate:{channel}:{bare}"
