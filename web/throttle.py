"""How often a caller may call: per minute and principal, over this process's memory or Redis.

These limits keep the service fair and never guard value, so that a Redis that does not answer lets calls through.
(The limits on codes and passwords are the identity package's, and do not: without their store nobody signs in.)
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

from marketplace.errors import ChutanError, Refused
from marketplace.identity.tokens import Principal

_log = structlog.get_logger("web")

# The API promises never to bind a resident under 120 or a till under 600 calls a minute.
CALLS_PER_MINUTE: Final = {
    "resident": 300, "staff": 600, "till": 1200, "operator": 1200, "channel": 1200, "bank": 600,
}  # fmt: skip
WRONG_CODES_PER_MINUTE: Final = 10
TOKENS_PER_MINUTE: Final = 120
_WRONG: Final = frozenset({"coupon_not_found"})


class Throttle:
    """The counters of one process, or those that all share in Redis."""

    def __init__(self, redis_url: str | None = None) -> None:
        if redis_url is None:
            storage: MemoryStorage | RedisStorage = MemoryStorage()
        else:
            uri = "async+" + redis_url.replace("unix://", "redis+unix://", 1)
            storage = RedisStorage(
                uri,
                implementation="redispy",
                key_prefix="chutan:limits",
                socket_timeout=1.0,
                socket_connect_timeout=1.0,
            )
        self._storage = storage
        self._calls = SlidingWindowCounterRateLimiter(storage)
        self._guesses = MovingWindowRateLimiter(storage)
        self._wrong_codes = RateLimitItemPerMinute(WRONG_CODES_PER_MINUTE)

    async def close(self) -> None:
        """Let go of connections."""
        if isinstance(self._storage, RedisStorage):
            bridge: Any = self._storage.bridge
            await bridge.storage.aclose()

    async def count_call(self, principal: Principal) -> None:
        """Count a call of `principal`. Raises Refused (rate_limited)."""
        item = RateLimitItemPerMinute(CALLS_PER_MINUTE[principal.role])
        await self._hit(self._calls, item, "call", str(principal))

    async def count_token_request(self, address: str) -> None:
        """Count a call of the OAuth token endpoint from `address`. Raises Refused (rate_limited)."""
        await self._hit(self._calls, RateLimitItemPerMinute(TOKENS_PER_MINUTE), "oauth", address)

    @asynccontextmanager
    async def guessing(self, till: UUID) -> AsyncIterator[None]:
        """Wrap the check of a coupon's code at `till`: after ten wrong codes in a minute it is not tried at all.

        Raises Refused (rate_limited).
        """
        name = str(till)
        try:
            allowed = await self._guesses.test(self._wrong_codes, "code", name)
        except (RedisError, OSError) as error:
            _log.warning("throttle_unavailable", error=type(error).__name__)
            allowed = True
        if not allowed:
            raise await self._refusal(self._guesses, self._wrong_codes, "code", name)
        try:
            yield
        except ChutanError as error:
            if error.code in _WRONG:
                await self._hit(self._guesses, self._wrong_codes, "code", name)
            raise

    async def _hit(self, limiter: RateLimiter, item: RateLimitItem, *names: str) -> None:
        try:
            if await limiter.hit(item, *names):
                return
            refusal = await self._refusal(limiter, item, *names)
        except (RedisError, OSError) as error:
            _log.warning("throttle_unavailable", error=type(error).__name__)
            return
        raise refusal

    async def _refusal(self, limiter: RateLimiter, item: RateLimitItem, *names: str) -> Refused:
        stats = await limiter.get_window_stats(item, *names)
        wait = min(60, max(1, math.ceil(stats.reset_time - time.time())))
        return Refused("rate_limited", retry_after=wait)


__all__ = ["CALLS_PER_MINUTE", "TOKENS_PER_MINUTE", "WRONG_CODES_PER_MINUTE", "Throttle"]
