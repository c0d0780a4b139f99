"""The load generator: many keep-alive connections in one process, each sending its next request when it has its answer.

It speaks just enough HTTP to be cheap, so that what is measured is the server. Run as a process of its own: it reads a
plan as JSON from stdin and prints what it saw as JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

try:
    import uvloop
except ImportError:  # Windows
    uvloop = None


class Client(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, requests: Iterator[bytes], seen: Seen, until: float) -> None:
        self.requests, self.seen, self.until = requests, seen, until
        self.done = asyncio.get_running_loop().create_future()
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent = time.perf_counter()
        request = None if self.sent >= self.until else next(self.requests, None)
        if request is None:
            self.transport.close()
            return
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        place = self.buffer.find(b"content-length: ", 0, head)
        if place < 0:
            place = self.buffer.lower().find(b"content-length: ", 0, head)
        length = int(self.buffer[place + 16 : self.buffer.index(b"\r", place)]) if place >= 0 else 0
        if len(self.buffer) < head + 4 + length:
            return
        self.seen.answered(self.buffer, head, time.perf_counter() - self.sent)
        self.buffer = b""
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Seen:
    """Answers by status, the time each took, and the first body of each status."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.bodies: dict[str, str] = {}
        self.seconds: list[float] = []

    def answered(self, answer: bytes, head: int, seconds: float) -> None:
        status = answer[9:12].decode()
        self.statuses[status] += 1
        self.seconds.append(seconds)
        if status not in self.bodies:
            self.bodies[status] = answer[head + 4 : head + 400].decode(errors="replace")


def redemptions(plan: dict[str, Any]) -> Iterator[bytes]:
    """A resident by chance takes an offer by chance, each time under a new key."""
    chance, run = random.Random(plan["run"]), plan["run"].encode()
    tokens = [token.encode() for token in plan["tokens"]]
    bodies = [b'{"offer_id":"%s"}' % offer.encode() for offer in plan["offers"]]
    start = b"POST /api/v1/redemptions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    for n in count():
        body = bodies[int(chance.random() * len(bodies))]
        yield b"%sAuthorization: Bearer %s\r\nIdempotency-Key: %s-%d\r\nContent-Length: %d\r\n\r\n%s" % (
            start, tokens[int(chance.random() * len(tokens))], run, n, len(body), body
        )  # fmt: skip


def calls(plan: dict[str, Any]) -> Iterator[bytes]:
    """Each of the bodies once, as one caller."""
    for n, body in enumerate(text.encode() for text in plan["bodies"]):
        yield b"POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\n" % (
            plan["path"].encode(), plan["token"].encode()
        ) + b"Idempotency-Key: %s-%d\r\nContent-Length: %d\r\n\r\n%s" % (
            plan["run"].encode(), n, len(body), body
        )  # fmt: skip


def pages(plan: dict[str, Any]) -> Iterator[bytes]:
    """The same page again and again, by turns for each of the tokens if there are any."""
    tokens = plan.get("tokens") or [None]
    made = [
        b"GET %s HTTP/1.1\r\nHost: bench\r\nAccept: %s\r\n%s\r\n"
        % (plan["path"].encode(), plan["accept"].encode(),
           b"" if token is None else b"Authorization: Bearer %s\r\n" % token.encode())
        for token in tokens
    ]  # fmt: skip
    for n in count():
        yield made[n % len(made)]


async def load(plan: dict[str, Any]) -> dict[str, Any]:
    """Run the plan; answers the rate per second, latencies in milliseconds, and the statuses."""
    kinds = {"redemptions": redemptions, "calls": calls, "pages": pages}
    seen, requests = Seen(), kinds[plan["kind"]](plan)
    loop = asyncio.get_running_loop()
    begun, cpu = time.perf_counter(), time.process_time()
    clients = []
    for _ in range(plan["clients"]):
        _, client = await loop.create_connection(
            lambda: Client(requests, seen, begun + plan["seconds"]), plan["host"], plan["port"]
        )
        clients.append(client)
    await asyncio.gather(*(client.done for client in clients))
    elapsed = time.perf_counter() - begun
    in_order = sorted(seen.seconds)
    return {
        "per_second": round(len(in_order) / elapsed, 1),
        "p50_ms": _percentile(in_order, 0.50),
        "p99_ms": _percentile(in_order, 0.99),
        "max_ms": _percentile(in_order, 1),
        "answers": len(in_order),
        "seconds": round(elapsed, 3),
        "statuses": dict(seen.statuses),
        "bodies": seen.bodies,
        "client_cpu_us": round((time.process_time() - cpu) / max(1, len(in_order)) * 1e6, 1),
    }


def _percentile(in_order: list[float], share: float) -> float:
    return round(in_order[min(len(in_order) - 1, int(len(in_order) * share))] * 1000, 2) if in_order else 0.0


if __name__ == "__main__":
    if uvloop is not None:
        uvloop.install()
    print(json.dumps(asyncio.run(load(json.load(sys.stdin)))))
