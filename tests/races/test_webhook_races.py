"""Two workers and one endpoint: a message is sent by one of them, because of the lease and of nothing else."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from merchants import webhooks
from merchants.webhooks import deliveries
from tests.builders import a_publisher
from tests.merchants.webhooks.receiver import Receiver, an_endpoint, messages, receiving, sent

WORKERS = 4
MESSAGES = 6


async def raced(receiver: Receiver) -> list[webhooks.Delivery]:
    publisher = await a_publisher()
    endpoint = await an_endpoint(publisher, receiver.url)
    for _ in range(MESSAGES):
        await webhooks.send_test(publisher=publisher, endpoint=endpoint.id)
    receiver.pause = 0.2  # the others look meanwhile

    async def worker(number: int) -> None:
        await asyncio.sleep(number * 0.03)
        for _ in range(8):
            await sent()
            await asyncio.sleep(0.02)

    await asyncio.gather(*(worker(number) for number in range(WORKERS)))
    return await messages(publisher, endpoint.id)


async def test_workers_at_the_same_endpoint_send_each_message_once(database):
    async with receiving() as receiver:
        shown = await raced(receiver)
    assert len(receiver.got) == MESSAGES == len({message.id for message in receiver.got})
    assert {(one.state, one.attempts) for one in shown} == {("delivered", 1)}


async def test_without_the_lease_messages_are_sent_twice_and_still_noted_once(
    database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(deliveries, "LEASE", timedelta())
    async with receiving() as receiver:
        shown = await raced(receiver)
    assert len(receiver.got) > MESSAGES == len({message.id for message in receiver.got})
    assert {(one.state, one.attempts) for one in shown} == {("delivered", 1)}
