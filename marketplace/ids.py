"""Identifiers: UUIDs of version 7 (RFC 9562), which sort by the time they were made.

They are of asyncpg's class, a `uuid.UUID` written in C: several times quicker to make, to compare and to store.
"""

from __future__ import annotations

import hashlib
from uuid import UUID

import uuid_utils
from asyncpg.pgproto import pgproto

_ACCOUNTS = UUID("6f0f3f0e-6a0c-5a5e-9c53-0f9d7f2b1c11").bytes
_DAY_MS = 24 * 3600 * 1000


def new_id() -> UUID:
    """A new identifier, later than every earlier one of this process."""
    return pgproto.UUID(uuid_utils.uuid7().bytes)


def is_fresh(given: UUID) -> bool:
    """Whether `given` may be an identifier that was made within a day, and is neither older nor of the future."""
    return given.version == 7 and 0 <= _made_ms(new_id()) - _made_ms(given) < _DAY_MS


def _made_ms(given: UUID) -> int:
    return given.int >> 80


def derived_id(*parts: object) -> UUID:
    """The one identifier that `parts` stand for, the same everywhere and always (UUID version 5, RFC 9562 5.5)."""
    named = _ACCOUNTS + "/".join(map(str, parts)).encode()
    digest = bytearray(hashlib.sha1(named, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return pgproto.UUID(bytes(digest))
