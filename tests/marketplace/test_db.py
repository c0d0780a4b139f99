"""Connections that are lost, and what they were used for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from marketplace import db


def two_steps_later(what: Callable[[], object]) -> None:
    """Between the pool's word that a connection is given back, and the deed."""
    loop = asyncio.get_running_loop()
    loop.call_soon(loop.call_soon, what)


async def test_a_connection_that_is_lost_while_it_is_given_back_spoils_nothing(database: str) -> None:
    async def answered() -> int:
        async with db._source() as source:
            value: int = await source.fetchval("SELECT 1")
            two_steps_later(source._con.terminate)
        return value

    assert [await answered() for _ in range(30)] == [1] * 30  # three times as many as the pool has
    assert await db.fetch_value("SELECT 2") == 2
