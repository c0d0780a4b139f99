"""Somebody's own server that is told, on this machine: what it got, and what it is to answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import UUID

from marketplace import db
from merchants import webhooks
from merchants.webhooks.deliveries import deliver_due
from merchants.webhooks.sending import new_client


class Message(NamedTuple):
    headers: dict[str, str]
    body: str

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def said(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.body)
        return said


class Receiver:
    """A server of HTTP/1.1 that answers `status` with `headers` and `answer`, after `pause` seconds."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.status, self.answer, self.headers = 204, b"", ""
        self.pause = 0.0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        self.got.append(Message(headers, body.decode()))
        await asyncio.sleep(self.pause)
        length = "" if self.status == 204 else f"Content-Length: {len(self.answer)}\r\n"
        writer.write(f"HTTP/1.1 {self.status} So\r\n{length}{self.headers}Connection: close\r\n\r\n".encode())
        writer.write(self.answer)
        writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver, in a database where messages may go to this machine."""
    await db.execute("UPDATE installation SET demonstration = true, seed = '\\x00'")
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/told?by=chutan"
    async with server:
        yield receiver


async def an_endpoint(publisher: UUID, url: str, *events: str) -> webhooks.Secret:
    """An endpoint of all kinds, if none is named."""
    return await webhooks.create_endpoint(
        publisher=publisher, new=webhooks.NewEndpoint(url, list(events or webhooks.KINDS))
    )


async def sent() -> int:
    """Send what is due, as a worker does."""
    async with new_client() as client:
        return await deliver_due(client)


async def messages(publisher: UUID, endpoint: UUID) -> list[webhooks.Delivery]:
    return await webhooks.deliveries_of(publisher=publisher, endpoint=endpoint, count=1_000)
