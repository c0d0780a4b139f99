"""Dashboards that move: server-sent events whenever something has happened, for as long as one may look.

Each process asks the database, every two seconds and once for all who look at the same, whether something has happened
at a publisher, and only then for its numbers. So several processes need tell each other nothing. A stream ends when its
session does, when its person may no longer see the numbers, and when the process is told to stop; it is opened again
by the page, which may then be refused. How many streams a person has is counted where sessions are kept, by leases
that the streams renew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import msgspec
import structlog
from litestar.response.sse import ServerSentEventMessage

from marketplace import clock
from marketplace.errors import Refused, Unavailable
from marketplace.identity.stores import EphemeralStore
from marketplace.ids import new_id
from merchants.insight import Insight

UNCOMPRESSED: Final = "uncompressed"  # the `opt` of handlers whose answer must leave byte by byte
STREAMS_A_PERSON: Final = 4
LOOK_SECONDS: Final = 2.0
AGAIN_SECONDS: Final = 30.0  # what others do to a shared budget happens elsewhere
CHECK_SECONDS: Final = 5.0
LEASE_SECONDS: Final = 30.0
RETRY_MS: Final = 3_000
_REST: Final = 5  # an answer that takes long is asked for that much more rarely


class _Watch:
    """One question, asked for all who look at its answer."""

    def __init__(self, ask: Callable[[], Awaitable[Insight]], stamp: Callable[[], Awaitable[object]]) -> None:
        self._ask, self._stamp = ask, stamp
        self.lookers = 0
        self.latest: Insight | None = None
        self.changed = asyncio.Event()
        self.task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        stamp: object = None
        asked_at = took = 0.0
        while True:
            try:
                found = await self._stamp()
                if found != stamp or time.monotonic() - asked_at > AGAIN_SECONDS:
                    asked_at = time.monotonic()
                    answer = await self._ask()
                    took, stamp = time.monotonic() - asked_at, found
                    self._tell(answer)
            except Exception as error:  # those who look go on looking: the next answer is soon
                structlog.get_logger("web").warning("insight_not_read", error=type(error).__name__)
            await asyncio.sleep(max(LOOK_SECONDS, took * _REST))

    def _tell(self, answer: Insight) -> None:
        if self.latest is None or msgspec.structs.replace(answer, as_of=self.latest.as_of) != self.latest:
            self.latest = answer
            self.changed.set()
            self.changed = asyncio.Event()


class Streams:
    """The streams of this process; `store` knows those of the others."""

    def __init__(self, store: EphemeralStore) -> None:
        self._store = store
        self._watches: dict[Hashable, _Watch] = {}
        self._over = asyncio.Event()

    def end(self) -> None:
        """The process is to stop: end every stream."""
        self._over.set()

    async def lease(self, person: str) -> str:
        """A place among the streams of `person`. Raises Refused (rate_limited), Unavailable."""
        for n in range(STREAMS_A_PERSON):
            place = f"stream:{person}:{n}"
            if await self._store.add(place, b"", ttl_seconds=LEASE_SECONDS):
                return place
        raise Refused("rate_limited", retry_after=int(LEASE_SECONDS))

    async def stream(
        self,
        question: Hashable,
        *,
        ask: Callable[[], Awaitable[Insight]],
        stamp: Callable[[], Awaitable[object]],
        show: Callable[[Insight], str],
        still: Callable[[], Awaitable[bool]],
        place: str,
    ) -> AsyncIterator[ServerSentEventMessage]:
        """The answers to `question` as `show` puts them, a heartbeat between, `end` when it is not `still` theirs."""
        told: Insight | None = None
        try:
            yield ServerSentEventMessage(data=None, comment="chutan", retry=RETRY_MS)
            async with self._watching(question, ask, stamp) as watch:
                while not self._over.is_set():
                    if watch.latest is not None and watch.latest is not told:
                        told = watch.latest
                        yield ServerSentEventMessage(event="insight", id=str(new_id()), data=show(told))
                    changed = watch.changed
                    if watch.latest is told:
                        await self._first(changed)
                    if not await still():
                        yield ServerSentEventMessage(event="end", data="")
                        return
                    await self._store.set(place, b"", ttl_seconds=LEASE_SECONDS)
                    yield ServerSentEventMessage(data=None, comment=clock.now().isoformat())
        except Unavailable:
            return  # without sessions nobody knows who may look: the page comes back
        finally:
            with anyio.CancelScope(shield=True):
                await self._left(place)

    async def _first(self, changed: asyncio.Event) -> None:
        """Wait until something has happened, or the process is to stop, or it is time to look around."""
        waiting = [asyncio.create_task(event.wait()) for event in (changed, self._over)]
        try:
            await asyncio.wait(waiting, timeout=CHECK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def _left(self, place: str) -> None:
        try:
            await self._store.delete(place)
        except Unavailable:
            return  # the lease ends by itself

    @asynccontextmanager
    async def _watching(self, question: Hashable, ask: Any, stamp: Any) -> AsyncIterator[_Watch]:
        watch = self._watches.get(question)
        if watch is None:
            watch = self._watches[question] = _Watch(ask, stamp)
        watch.lookers += 1
        try:
            yield watch
        finally:
            watch.lookers -= 1
            if watch.lookers == 0:
                del self._watches[question]
                watch.task.cancel()
