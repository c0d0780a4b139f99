"""How often offers are seen: exposures in lists and openings of their page, by offer and hour, of nobody in particular.

Each process counts in its memory, which costs a visitor nothing, and adds what it has to the database every few
seconds, when an hour is over, and when it ends. A process that is killed loses what it counted since.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from marketplace import clock, db

FLUSH_SECONDS: Final = 5.0
_ID_BYTES: Final = 16
_ADD: Final = """
    INSERT INTO insight_seen AS s (publisher, hour, offer, exposures, details)
    SELECT o.publisher, $1, o.id, g.exposures, g.details
    FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS g (offer, exposures, details)
    JOIN offer o ON o.id = g.offer ORDER BY o.publisher, o.id
    ON CONFLICT (publisher, hour, offer)
    DO UPDATE SET exposures = s.exposures + excluded.exposures, details = s.details + excluded.details"""


def listed(offers: Iterable[UUID]) -> bytes:
    """The offers of a list in one value, as `Seen.exposed` takes it."""
    return b"".join(offer.bytes for offer in offers)


class Seen:
    """What this process has counted since it last told the database."""

    def __init__(self) -> None:
        self._exposed: Counter[bytes] = Counter()  # by list, and told apart only when they are written
        self._opened: Counter[UUID] = Counter()
        self._hour = _this_hour()

    def exposed(self, offers: bytes) -> None:
        """A list with `offers` was shown."""
        self._exposed[offers] += 1

    def opened(self, offer: UUID) -> None:
        """The offer alone was shown."""
        self._opened[offer] += 1

    async def flush(self) -> None:
        """Add what was counted to the database, under the hour that it was counted in; what fails is kept."""
        exposed, opened, hour = self._exposed, self._opened, self._hour
        self._exposed, self._opened, self._hour = Counter(), Counter(), _this_hour()
        exposures = _by_offer(exposed)
        offers = sorted({*exposures, *opened})
        if not offers:
            return
        try:
            await db.execute(
                _ADD,
                hour,
                offers,
                [exposures[offer] for offer in offers],
                [opened[offer] for offer in offers],
            )
        except Exception:
            self._exposed.update(exposed)
            self._opened.update(opened)
            self._hour = hour
            raise

    @asynccontextmanager
    async def flushing(self) -> AsyncIterator[None]:
        """While the block runs, tell the database now and then; and once more when it ends."""
        over = asyncio.Event()
        worker = asyncio.create_task(self._work(over))
        try:
            yield
        finally:
            over.set()
            await worker

    async def _work(self, over: asyncio.Event) -> None:
        while not over.is_set():
            left_of_hour = 3600 - clock.now().timestamp() % 3600
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), min(FLUSH_SECONDS, left_of_hour))
            await self._try()

    async def _try(self) -> None:
        try:
            await self.flush()
        except Exception as error:  # whatever it is, the next time is soon
            structlog.get_logger("worker").warning("seen_not_counted_yet", error=type(error).__name__)


def _by_offer(exposed: Counter[bytes]) -> Counter[UUID]:
    exposures: Counter[UUID] = Counter()
    for offers, times in exposed.items():
        for at in range(0, len(offers), _ID_BYTES):
            exposures[UUID(bytes=offers[at : at + _ID_BYTES])] += times
    return exposures


def _this_hour() -> datetime:
    return clock.now().replace(minute=0, second=0, microsecond=0)
