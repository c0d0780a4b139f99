"""Who has signed in, or typed the password again, a moment ago: asked for before a sign-in's factors are changed."""

from __future__ import annotations

import hashlib
from typing import Final

from marketplace.identity.stores import EphemeralStore

RECENT_SECONDS: Final = 900


async def mark_recent(token: str, *, store: EphemeralStore) -> None:
    """From now on, and for a quarter of an hour, the session of `token` counts as recent. Raises Unavailable."""
    await store.set(_key(token), b"1", ttl_seconds=RECENT_SECONDS)


async def is_recent(token: str, *, store: EphemeralStore) -> bool:
    """Whether the session of `token` is. Raises Unavailable."""
    return await store.get(_key(token)) is not None


def _key(token: str) -> str:
    return "recent:" + hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


__all__ = ["RECENT_SECONDS", "is_recent", "mark_recent"]
