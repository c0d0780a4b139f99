"""Pairing: a code on one screen, typed or scanned by a phone, makes that phone a till of a store.

A code is eight characters that nobody takes for each other, about 40 bits; it is good once and for ten minutes, is kept
as a digest, and whoever guesses is stopped by their network address long before it matters.
"""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from marketplace import clock, db
from marketplace.devices import add_device, require_own_store
from marketplace.errors import FieldError, Invalid, NotFound, Refused
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import Principal, Session, issue_token
from marketplace.publishers import MAX_NAME_LENGTH

CODE_TTL: Final = timedelta(minutes=10)
DEVICE_TTL: Final = timedelta(days=400)  # as long as browsers keep a cookie
CODES_PER_HOUR: Final = 30
TRIES_PER_ADDRESS: Final = 20
_TRIES_SECONDS: Final = 600
_LETTERS: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_LENGTH: Final = 8


class Pairing(msgspec.Struct, frozen=True):
    """A code that waits for its phone."""

    code: str
    expires_at: datetime


class _Kept(msgspec.Struct, frozen=True):
    publisher: UUID
    store: UUID
    name: str
    added_by: str


async def begin_pairing(
    *, publisher: UUID, at: UUID, name: str, added_by: str, store: EphemeralStore
) -> Pairing:
    """A code that makes one phone a till called `name` in the store `at`. Raises NotFound (another's store), Invalid,
    Refused `rate_limited`, Unavailable."""
    if not 0 < len(name.strip()) <= MAX_NAME_LENGTH:
        raise Invalid(FieldError("name", "invalid" if name.strip() else "required"))
    await require_own_store(publisher=publisher, store=at)
    if await store.count(f"pairings:{publisher}", ttl_seconds=3600) > CODES_PER_HOUR:
        raise Refused("rate_limited", retry_after=600)
    code = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    kept = msgspec.msgpack.encode(_Kept(publisher, at, name.strip(), added_by))
    await store.set(_key(code), kept, ttl_seconds=CODE_TTL.total_seconds())
    return Pairing(f"{code[:4]}-{code[4:]}", clock.now() + CODE_TTL)


async def pair(code: str, *, address: str, store: EphemeralStore) -> Session:
    """Make the caller the till that `code` stands for: a session that lasts until the device is revoked.

    Every code that does not work is refused alike. Raises Refused (`pairing_code_wrong`, `rate_limited`,
    `too_many_devices`), Unavailable.
    """
    if await store.count(f"pairing-tries:{address}", ttl_seconds=_TRIES_SECONDS) > TRIES_PER_ADDRESS:
        raise Refused("rate_limited", retry_after=60)
    raw = await store.take(_key(_normal(code)))
    if raw is None:
        raise Refused("pairing_code_wrong")
    kept = msgspec.msgpack.decode(raw, type=_Kept)
    expires_at = clock.now() + DEVICE_TTL
    try:
        async with db.transaction():
            await require_own_store(publisher=kept.publisher, store=kept.store)
            till = await add_device(store=kept.store, name=kept.name, kind="phone", added_by=kept.added_by)
            principal = Principal("till", str(till))
            token = await issue_token(principal, expires_at=expires_at)
    except NotFound as gone:
        raise Refused("pairing_code_wrong") from gone
    return Session(token, principal, expires_at)


def _normal(typed: str) -> str:
    """The code that somebody typed, whatever its case, widths and dashes."""
    return "".join(c for c in unicodedata.normalize("NFKC", typed).upper() if c.isalnum())[:64]


def _key(code: str) -> str:
    return "pairing:" + hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


__all__ = ["CODES_PER_HOUR", "CODE_TTL", "TRIES_PER_ADDRESS", "Pairing", "begin_pairing", "pair"]
