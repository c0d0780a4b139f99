"""Passwords of operators and staff: argon2id, and the same work for a login that nobody has."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final, Literal
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from marketplace import db
from marketplace.errors import FieldError, Refused
from marketplace.identity.holders import Holder
from marketplace.identity.second_step import begin_or_ask
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import Principal, Session

LONGEST_PASSWORD: Final = 256
SHORTEST_PASSWORD: Final = 11
TRIES_PER_LOGIN: Final = 10
TRIES_PER_ADDRESS: Final = 60
_TRIES_SECONDS: Final = 900
_HASHER: Final = PasswordHasher()
# The hash of nothing that anyone knows: checked when there is no such login, so that both answers take as long.
_NOBODY: Final = _HASHER.hash("no login has this password")


async def hash_password(password: str) -> str:
    """An argon2id hash, made beside the event loop."""
    return await asyncio.to_thread(_HASHER.hash, password)


def password_fault(password: str, *, field: str = "password") -> FieldError | None:
    """What is wrong with a password that somebody wants to have."""
    good = SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD
    return None if good else FieldError(field, "password_length" if password else "required")


async def require_password(
    role: Literal["operator", "staff"], login: str, password: str, *, known: db.Row | None, address: str,
    store: EphemeralStore,
) -> db.Row:  # fmt: skip
    """Answer `known` when the password is theirs: the `id` and `password_hash` of whoever has `login`, None for nobody.

    Tries are counted per login and per network address. Raises Refused (unauthenticated, rate_limited), Unavailable.
    """
    alias = hashlib.sha256(f"{role}/{login}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    for key, most in ((f"login:{alias}", TRIES_PER_LOGIN), (f"login-address:{address}", TRIES_PER_ADDRESS)):
        if await store.count(key, ttl_seconds=_TRIES_SECONDS) > most:
            raise Refused("rate_limited", retry_after=60)
    password_hash = known["password_hash"] if known is not None else _NOBODY
    right = await asyncio.to_thread(_matches, password_hash, password)
    if not right or known is None:
        raise Refused("unauthenticated")
    await store.delete(f"login:{alias}")
    return known


def _matches(password_hash: str, password: str) -> bool:
    if len(password) > LONGEST_PASSWORD:
        return False
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


async def operator_sign_in(login: str, password: str, *, address: str, store: EphemeralStore) -> Session:
    """Begin an operator's session. Raises Refused (unauthenticated, rate_limited, second_factor_required),
    Unavailable."""
    found = await db.fetch_row(
        "SELECT id, password_hash FROM operator WHERE login = $1 AND ended_at IS NULL", login
    )
    known = await require_password("operator", login, password, known=found, address=address, store=store)
    operator = UUID(int=known["id"].int)
    return await begin_or_ask(Holder("operator", operator), Principal("operator", str(operator)), store=store)


async def operator_login(operator: UUID) -> str:
    """The login of an operator. Raises Refused `unauthenticated` when there is no such operator."""
    login: str | None = await db.fetch_value("SELECT login FROM operator WHERE id = $1", operator)
    if login is None:
        raise Refused("unauthenticated")
    return login


__all__ = [
    "LONGEST_PASSWORD",
    "hash_password",
    "operator_login",
    "operator_sign_in",
    "password_fault",
    "require_password",
]
