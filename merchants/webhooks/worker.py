"""The worker of a server: it finds what happened and sends what is due, again and again."""

from __future__ import annotations

import asyncio
from typing import Final

import httpx
import structlog

from marketplace import db
from merchants.webhooks.deliveries import ENDPOINTS_AT_ONCE, claim, deliver, forget_old
from merchants.webhooks.finding import find
from merchants.webhooks.selling_out import watch_stock
from merchants.webhooks.sending import new_client

EVERY_SECONDS: Final = 1
_STOCK_EVERY: Final = 10  # rounds
_FORGET_EVERY: Final = 600

_log = structlog.get_logger("worker")


async def work() -> None:
    """What is due, until it is cancelled. An endpoint that is slow holds up no other."""
    sending: set[asyncio.Task[int]] = set()
    async with new_client() as client:
        try:
            number = 0
            while True:
                try:
                    await _round(client, sending, number)
                except Exception:  # whatever it is, the next round is due
                    _log.exception("webhooks_failed")
                number += 1
                await asyncio.sleep(EVERY_SECONDS)
        finally:
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)


async def _round(client: httpx.AsyncClient, sending: set[asyncio.Task[int]], number: int) -> None:
    if number % _STOCK_EVERY == 0:
        await watch_stock()
    if number % _FORGET_EVERY == 0:
        await forget_old()
    await find()
    for endpoint in await claim(ENDPOINTS_AT_ONCE - len(sending)):
        task = asyncio.create_task(_delivered(client, endpoint))
        sending.add(task)
        task.add_done_callback(sending.discard)


async def _delivered(client: httpx.AsyncClient, endpoint: db.Row) -> int:
    try:
        return await deliver(client, endpoint)
    except Exception:  # its lease ends, and it is sent again
        _log.exception("webhook_delivery_failed", endpoint=str(endpoint["id"]))
        return 0
