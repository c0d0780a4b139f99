"""The ephemeral store: small values that expire by themselves, in this process's memory or in Redis.

Nothing of value is kept here. `take` and `count` are atomic, across processes too when the store is Redis.
"""

from __future__ import annotations

import time
from typing import Final, Protocol, runtime_checkable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from marketplace.errors import Unavailable

_SWEEP_ABOVE: Final = 512
_COUNT_SCRIPT: Final = """
local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return n
"""


@runtime_checkable  # the web framework checks what it injects
class EphemeralStore(Protocol):
    """Values of bytes under text keys. Every method raises Unavailable when the store does not answer."""

    async def set(self, key: str, value: bytes, *, ttl_seconds: float) -> None:
        """Keep `value` for `ttl_seconds`."""

    async def add(self, key: str, value: bytes, *, ttl_seconds: float) -> bool:
        """Keep `value` unless the key is there already; answers whether it was kept."""

    async def get(self, key: str) -> bytes | None:
        """The value, or None."""

    async def take(self, key: str) -> bytes | None:
        """The value, and remove it: of several callers at most one gets it."""

    async def delete(self, key: str) -> None:
        """Forget the key."""

    async def count(self, key: str, *, ttl_seconds: float) -> int:
        """Add one and answer the new count; the first one starts the time after which it begins anew."""

    async def ping(self) -> None:
        """Return when the store answers."""

    async def close(self) -> None:
        """Let go of connections."""


class MemoryStore:
    """The store of a single process. No method awaits, so that each is atomic within the event loop."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, bytes]] = {}
        self._sweep_at = _SWEEP_ABOVE

    async def set(self, key: str, value: bytes, *, ttl_seconds: float) -> None:
        """Keep `value` for `ttl_seconds`."""
        if len(self._kept) >= self._sweep_at:
            self._sweep()
        self._kept[key] = (time.monotonic() + ttl_seconds, value)

    async def add(self, key: str, value: bytes, *, ttl_seconds: float) -> bool:
        """Keep `value` unless the key is there already."""
        if self._live(key) is not None:
            return False
        await self.set(key, value, ttl_seconds=ttl_seconds)
        return True

    async def get(self, key: str) -> bytes | None:
        """The value, or None."""
        entry = self._live(key)
        return entry[1] if entry else None

    async def take(self, key: str) -> bytes | None:
        """The value, and remove it."""
        entry = self._live(key)
        self._kept.pop(key, None)
        return entry[1] if entry else None

    async def delete(self, key: str) -> None:
        """Forget the key."""
        self._kept.pop(key, None)

    async def count(self, key: str, *, ttl_seconds: float) -> int:
        """Add one and answer the new count."""
        entry = self._live(key)
        if entry is None:
            await self.set(key, b"1", ttl_seconds=ttl_seconds)
            return 1
        number = int(entry[1]) + 1
        self._kept[key] = (entry[0], str(number).encode())
        return number

    async def ping(self) -> None:
        """Memory always answers."""

    async def close(self) -> None:
        """Forget everything."""
        self._kept.clear()

    def _live(self, key: str) -> tuple[float, bytes] | None:
        entry = self._kept.get(key)
        return entry if entry is not None and entry[0] > time.monotonic() else None

    def _sweep(self) -> None:
        present = time.monotonic()
        self._kept = {key: entry for key, entry in self._kept.items() if entry[0] > present}
        self._sweep_at = max(
            _SWEEP_ABOVE, 2 * len(self._kept)
        )  # so that a write costs the same however many there are


class RedisStore:
    """The store that several processes share."""

    def __init__(self, redis: Redis, *, prefix: str = "chutan:") -> None:
        self._redis = redis
        self._prefix = prefix
        self._count = redis.register_script(_COUNT_SCRIPT)

    @classmethod
    def at(cls, url: str) -> RedisStore:
        """The store in the Redis at `url`; connects when it is first used and again after a failure."""
        return cls(
            Redis.from_url(url, socket_timeout=2.0, socket_connect_timeout=1.0, health_check_interval=15)
        )

    async def set(self, key: str, value: bytes, *, ttl_seconds: float) -> None:
        """Keep `value` for `ttl_seconds`."""
        with _answering():
            await self._redis.set(self._prefix + key, value, px=_ms(ttl_seconds))

    async def add(self, key: str, value: bytes, *, ttl_seconds: float) -> bool:
        """Keep `value` unless the key is there already."""
        with _answering():
            return bool(await self._redis.set(self._prefix + key, value, px=_ms(ttl_seconds), nx=True))

    async def get(self, key: str) -> bytes | None:
        """The value, or None."""
        with _answering():
            return _bytes(await self._redis.get(self._prefix + key))

    async def take(self, key: str) -> bytes | None:
        """The value, and remove it."""
        with _answering():
            return _bytes(await self._redis.getdel(self._prefix + key))

    async def delete(self, key: str) -> None:
        """Forget the key."""
        with _answering():
            await self._redis.delete(self._prefix + key)

    async def count(self, key: str, *, ttl_seconds: float) -> int:
        """Add one and answer the new count."""
        with _answering():
            return int(await self._count(keys=[self._prefix + key], args=[_ms(ttl_seconds)]))

    async def ping(self) -> None:
        """Return when Redis answers."""
        with _answering():
            await self._redis.get(self._prefix + "ping")

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


class _answering:  # noqa: N801  (reads as a statement)
    """Redis's failures become Unavailable."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RedisError | OSError):
            raise Unavailable(what="redis") from error


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1000))


def _bytes(value: object) -> bytes | None:
    assert value is None or isinstance(value, bytes), "the connection does not decode"
    return value


def open_store(redis_url: str | None) -> EphemeralStore:
    """Redis at `redis_url`, or this process's memory."""
    return MemoryStore() if redis_url is None else RedisStore.at(redis_url)


__all__ = ["EphemeralStore", "MemoryStore", "RedisStore", "open_store"]
