"""Submitting a group: by itself, or together with all that are submitted at the same time.

One transaction per group spends most of its time on round trips and on waiting for the disk, and lets a hot account
serve one at a time. A batch shares both: it locks its accounts once, judges its groups in the order of their arrival,
and commits once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import asyncpg

from marketplace import db
from marketplace.errors import Unavailable
from marketplace.ledger.groups import Group
from marketplace.ledger.journal import Answered, Outcome, Places, Spoilt, apply, held_up

AT_MOST: Final = 128  # groups in a batch: more of them gain nothing, and hold their locks for longer
WAITING_AT_MOST: Final = 4_096
TOLD_AT_ONCE: Final = 4  # callers whose answers go out before the next batch takes another step
_AGAIN: Final = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_TRIES: Final = 3


async def submit(group: Group) -> Any:
    """Make `group` happen, once per key; answers its stored answer.

    A repeat of the same request answers what the first one was answered. Raises Refused with the code of the leg or
    step that stood in the way, or `idempotency_key_reused`; then nothing has happened. Raises Unavailable when too many
    are waiting.
    """
    if _queues:
        return await _queues[-1].submit(group)
    return _answer((await submit_all([group]))[0])


async def submit_all(groups: Sequence[Group]) -> list[Outcome | Exception]:
    """Each of `groups` in its own right, in one transaction where that can be: one that fails leaves the others be.

    Answers, for each, its answer or what it failed with.
    """
    try:
        return list(await _in_one(groups))
    except Unavailable:
        raise
    except asyncpg.LockNotAvailableError as error:
        return await _around_the_held_up(groups, error)
    except Exception as error:
        if len(groups) == 1:
            return [error]
    return await _one_by_one(groups)


async def _one_by_one(groups: Sequence[Group]) -> list[Outcome | Exception]:
    outcomes: list[Outcome | Exception] = []
    for group in groups:
        try:
            outcomes += await submit_all([group])
        except Unavailable as error:  # not for the others either; what the first ones were answered stands
            return [*outcomes, *[error] * (len(groups) - len(outcomes))]
    return outcomes


async def _around_the_held_up(
    groups: Sequence[Group], error: asyncpg.LockNotAvailableError
) -> list[Outcome | Exception]:
    """Leave the groups that wait for what somebody else holds, all at once, and make the others happen."""
    async with db.transaction():
        held = await held_up(groups)
    if not held:  # it is no account that they wait for
        return [error] * len(groups)
    free = [group for n, group in enumerate(groups) if n not in held]
    outcomes = iter(await submit_all(free) if free else ())
    return [error if n in held else next(outcomes) for n in range(len(groups))]


async def _in_one(groups: Sequence[Group]) -> list[Outcome]:
    refused: Places = {}
    tries = 0
    while True:
        try:
            async with db.transaction():
                return await apply(groups, refused)
        except Spoilt as spoilt:
            in_flight = {n for n, why in spoilt.refusals.items() if why.code == "idempotency_in_flight"}
            tries += bool(in_flight)
            # A twin's answer is there when this is tried again.
            keep = in_flight if tries < _TRIES else set()
            refused |= {n: why for n, why in spoilt.refusals.items() if n not in keep}
        except _AGAIN:
            tries += 1
            if tries >= _TRIES:
                raise


def _answer(outcome: Outcome | Exception) -> Any:
    if isinstance(outcome, Answered):
        return outcome.answer
    raise outcome


# ---------------------------------------------------------------- batches
@asynccontextmanager
async def batching() -> AsyncIterator[None]:
    """While the block runs, the groups of this process are submitted in batches. What was taken is finished."""
    queue = _Queue()
    worker = asyncio.create_task(queue.work())
    _queues.append(queue)
    try:
        yield
    finally:
        _queues.remove(queue)
        await queue.drained()
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker


_Waiting = tuple[Group, "asyncio.Future[Any]"]


class _Queue:
    """The groups that wait, in the order of their arrival, and the one batch that is under way."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._some = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._telling: set[asyncio.Task[None]] = set()

    async def submit(self, group: Group) -> Any:
        if len(self._waiting) >= WAITING_AT_MOST:
            raise Unavailable(what="ledger")
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((group, answer))
        self._some.set()
        return await answer

    async def drained(self) -> None:
        while self._waiting or not self._idle.is_set():
            self._some.set()
            await self._idle.wait()
            await asyncio.sleep(0)
        await asyncio.gather(*self._telling)

    async def work(self) -> None:
        while True:
            await self._some.wait()
            batch = self._next()
            if not self._waiting:
                self._some.clear()
            if batch:
                self._idle.clear()
                await self._run(batch)
                self._idle.set()

    def _next(self) -> list[_Waiting]:
        """The next batch: no two requests with the same key, since the second is to be told what the first was."""
        batch: list[_Waiting] = []
        later: list[_Waiting] = []
        keys: set[UUID] = set()
        while self._waiting and len(batch) < AT_MOST:
            group, answer = self._waiting.popleft()
            if answer.cancelled():  # its caller has gone
                continue
            if group.key is not None:
                if group.key.id in keys:
                    later.append((group, answer))
                    continue
                keys.add(group.key.id)
            batch.append((group, answer))
        self._waiting.extendleft(reversed(later))
        return batch

    async def _run(self, batch: Sequence[_Waiting]) -> None:
        try:
            outcomes = await submit_all([group for group, _ in batch])
        except Exception as error:
            outcomes = [error] * len(batch)
        self._telling.add(telling := asyncio.create_task(_tell(batch, outcomes)))
        telling.add_done_callback(self._telling.discard)


async def _tell(batch: Sequence[_Waiting], outcomes: Sequence[Outcome | Exception]) -> None:
    """Answer the callers of a batch, some at a time: the next batch is under way, and does not wait for all of them."""
    for n, ((_, answer), outcome) in enumerate(zip(batch, outcomes, strict=True)):
        if n % TOLD_AT_ONCE == 0:
            await asyncio.sleep(0)
        if answer.cancelled():
            continue
        if isinstance(outcome, Answered):
            answer.set_result(outcome.answer)
        else:
            answer.set_exception(outcome)


_queues: list[_Queue] = []
