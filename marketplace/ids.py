"""Identifiers: UUIDs of version 7 (RFC 9562), which sort by the time they were made."""

from __future__ import annotations

from uuid import UUID, uuid5

import uuid_utils
from asyncpg.pgproto import pgproto

_ACCOUNTS = UUID("6f0f3f0e-6a0c-5a5e-9c53-0f9d7f2b1c11")


def new_id() -> UUID:
    """A new identifier, later than every earlier one of this process."""
    made: UUID = pgproto.UUID(uuid_utils.uuid7().bytes)  # made, hashed and sent to PostgreSQL in C
    return made


def derived_id(*parts: object) -> UUID:
    """The one identifier that `parts` stand for, the same everywhere and always (UUID version 5)."""
    return uuid5(_ACCOUNTS, "/".join(map(str, parts)))
