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

AT_MOST: Final = 256  # groups in a batch: more of them gain nothing, and hold their locks for longer
WAITING_AT_MOST: Final = 4_096
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
            keep = (
                in_flight if tries < _TRIES else set()
            )  # the twin's answer is there when this is tried again
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


class _Queue:
    """The groups that wait, in the order of their arrival, and the one batch that is under way."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Group, asyncio.Future[Any]]] = deque()
        self._some = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def submit(self, group: Group) -> Any:
        if len(self._waiting) >= WAITING_AT_MOST:
            raise Unavailable(what="ledger")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((group, answer))
        self._some.set()
        return await answer

    async def drained(self) -> None:
        while self._waiting or not self._idle.is_set():
            self._some.set()
            await self._idle.wait()
            await asyncio.sleep(0)

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

    def _next(self) -> list[tuple[Group, asyncio.Future[Any]]]:
        """The next batch: no two requests with the same key, since the second is to be told what the first was."""
        batch: list[tuple[Group, asyncio.Future[Any]]] = []
        later: list[tuple[Group, asyncio.Future[Any]]] = []
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

    @staticmethod
    async def _run(batch: Sequence[tuple[Group, asyncio.Future[Any]]]) -> None:
        try:
            outcomes = await submit_all([group for group, _ in batch])
        except Exception as error:
            outcomes = [error] * len(batch)
        for (_, answer), outcome in zip(batch, outcomes, strict=True):
            if answer.cancelled():
                continue
            if isinstance(outcome, Answered):
                answer.set_result(outcome.answer)
            else:
                answer.set_exception(outcome)


_queues: list[_Queue] = []
