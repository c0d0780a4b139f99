"""The catalogue for those who are not signed in: finished answers, kept for a second where sessions are kept too.

Nothing of a visitor may be in what is kept. A store that does not answer costs speed, never an answer.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from litestar.enums import ScopeType
from litestar.types import Message, Scope

from marketplace.errors import Unavailable
from marketplace.identity.stores import EphemeralStore
from marketplace.ids import new_id

T = TypeVar("T")

KEPT_SECONDS: Final = 1.0
_GENERATION: Final = "catalogue:generation"
_GENERATION_SECONDS: Final = (
    60  # longer than any answer of an earlier generation can be kept or in the making
)
_PATIENCE_SECONDS: Final = 0.2
_CHANGE_OFFERS: Final = (
    "/api/v1/publisher/offers", "/api/v1/operator/offers", "/publisher/offers", "/operator/approvals",
)  # fmt: skip


class KeptAnswers:
    """The answers that this process finds or makes: each is made by one request, while the others wait for it."""

    def __init__(self, store: EphemeralStore) -> None:
        self._store = store
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def answer(self, says: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """What `make` makes, or made within the last second. `says` holds everything that it depends on.

        What was made before offers changed is found no more, even by a request that was under way meanwhile.
        """
        try:
            generation = await _patiently(self._store.get(_GENERATION)) or b""
        except Unavailable:
            return await make()
        key = f"catalogue:{generation.hex()}:{hashlib.sha256(says.encode()).hexdigest()}"
        kept = await self._kept(key)
        if kept is not None:
            return kept
        turn = self._making.setdefault(key, asyncio.Lock())
        async with turn:
            kept = await self._kept(key)
            if kept is None:
                kept = await make()
                await self._keep(key, kept, ttl_seconds=KEPT_SECONDS)
            return kept

    async def forget(self) -> None:
        """Find nothing more that was made until now."""
        await self._keep(_GENERATION, new_id().bytes, ttl_seconds=_GENERATION_SECONDS)

    async def _kept(self, key: str) -> bytes | None:
        try:
            return await _patiently(self._store.get(key))
        except Unavailable:
            return None

    async def _keep(self, key: str, value: bytes, *, ttl_seconds: float) -> None:
        try:
            await _patiently(self._store.set(key, value, ttl_seconds=ttl_seconds))
        except Unavailable:
            return


async def _patiently(asked: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await asked
    except TimeoutError as error:
        raise Unavailable(what="store") from error


async def forget_what_changed(message: Message, scope: Scope) -> None:
    """Before somebody is told that an offer has changed, the catalogue shows it."""
    if message["type"] != "http.response.start" or scope["type"] != ScopeType.HTTP:
        return
    changes = scope["method"] not in ("GET", "HEAD") and scope["path"].startswith(_CHANGE_OFFERS)
    if changes and scope["state"].get("principal") is not None:
        kept: KeptAnswers = scope["litestar_app"].state.kept
        await kept.forget()
