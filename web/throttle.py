"""How often a caller may call: per minute and principal, counted where sessions are kept.

These limits keep the service fair and never guard value, so that a store that does not answer lets calls through.
(The limits on codes and passwords are the identity package's, and do not: without their store nobody signs in.)
A minute begins with the first call that is counted in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import structlog

from marketplace.errors import ChutanError, Refused, Unavailable
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import Principal

_log = structlog.get_logger("web")

# The API promises never to bind a resident under 120 or a till under 600 calls a minute.
CALLS_PER_MINUTE: Final = {
    "resident": 300, "staff": 600, "till": 1200, "operator": 1200, "channel": 1200, "bank": 600,
    "client": 600,
}  # fmt: skip
WRONG_CODES_PER_MINUTE: Final = 10
TOKENS_PER_MINUTE: Final = 120
_WRONG: Final = frozenset({"coupon_not_found"})
_MINUTE: Final = 60


class Throttle:
    """The counters in `store`: of one process, or of all that share a Redis."""

    def __init__(self, store: EphemeralStore) -> None:
        self._store = store

    async def count_call(self, principal: Principal) -> None:
        """Count a call of `principal`. Raises Refused (rate_limited)."""
        await self._count(f"call:{principal}", CALLS_PER_MINUTE[principal.role])

    async def count_token_request(self, address: str) -> None:
        """Count a call of the OAuth token endpoint from `address`. Raises Refused (rate_limited)."""
        await self._count(f"oauth:{address}", TOKENS_PER_MINUTE)

    @asynccontextmanager
    async def guessing(self, till: UUID) -> AsyncIterator[None]:
        """Wrap the check of a coupon's code at `till`: after ten wrong codes in a minute it is not tried at all.

        Raises Refused (rate_limited).
        """
        name = f"wrong-code:{till}"
        if await self._counted(name) >= WRONG_CODES_PER_MINUTE:
            raise _refusal()
        try:
            yield
        except ChutanError as error:
            if error.code in _WRONG:
                await self._count(name, WRONG_CODES_PER_MINUTE)
            raise

    async def _count(self, name: str, most: int) -> None:
        try:
            calls = await self._store.count(f"limit:{name}", ttl_seconds=_MINUTE)
        except Unavailable:
            _log.warning("throttle_unavailable")
            return
        if calls > most:
            raise _refusal()

    async def _counted(self, name: str) -> int:
        try:
            return int(await self._store.get(f"limit:{name}") or 0)
        except Unavailable:
            _log.warning("throttle_unavailable")
            return 0


def _refusal() -> Refused:
    return Refused("rate_limited", retry_after=_MINUTE)  # at the latest


__all__ = ["CALLS_PER_MINUTE", "TOKENS_PER_MINUTE", "WRONG_CODES_PER_MINUTE", "Throttle"]
