"""Messages on their way: leased with their endpoint, sent, and sent again by the schedule until they arrive.

One process at a time is at an endpoint. Whoever dies over it leaves a lease that ends, and what it had sent and not
noted is sent again under the same id. What comes back after its lease is fenced off by the number of its attempt.
"""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from typing import Final

import httpx
import structlog

from marketplace import clock, db
from marketplace.errors import Unavailable
from marketplace.ids import new_id
from merchants.webhooks.endpoints import secrets_of
from merchants.webhooks.events import payload
from merchants.webhooks.sending import Outcome, message_id, send, signed_headers

# As the specification suggests: after each failure, so long until the next attempt. Then the message has failed.
SCHEDULE: Final = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
JITTER: Final = 0.2
GIVE_UP_AFTER: Final = timedelta(days=5)  # of an endpoint at which nothing arrived for so long
LEASE: Final = timedelta(minutes=3)  # longer than a batch takes
KEPT_FOR: Final = timedelta(days=30)
ENDPOINTS_AT_ONCE: Final = 10
_BATCH: Final = 20
_TOGETHER: Final = 4

_log = structlog.get_logger("webhooks")
_chance = random.SystemRandom()

_CLAIM: Final = """
    UPDATE webhook_endpoint SET leased_until = $2, lease = lease + 1
    WHERE id IN (
        SELECT e.id FROM webhook_endpoint e
        WHERE e.enabled AND (e.leased_until IS NULL OR e.leased_until <= $1)
          AND (e.resting_until IS NULL OR e.resting_until <= $1)
          AND EXISTS (SELECT FROM webhook_delivery d
                      WHERE d.endpoint = e.id AND d.state = 'waiting' AND d.next_at <= $1)
        ORDER BY e.leased_until NULLS FIRST, e.id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING id, publisher, url, secret, old_secret, old_secret_until, lease"""


async def claim(most: int = ENDPOINTS_AT_ONCE) -> list[db.Row]:
    """Lease endpoints that something is due for, each to one process."""
    now = clock.now()
    return await db.fetch(_CLAIM, now, now + LEASE, most)


async def deliver_due(client: httpx.AsyncClient) -> int:
    """Send what is due, a batch for each endpoint; answers how many attempts were made."""
    counts = await asyncio.gather(*(deliver(client, endpoint) for endpoint in await claim()))
    return sum(counts)


async def deliver(client: httpx.AsyncClient, endpoint: db.Row) -> int:
    """Send a batch of what is due to an endpoint that was claimed, and give it back."""
    due = await db.fetch(
        """SELECT d.id, d.attempts, d.retries, e.kind, e.facts, e.at FROM webhook_delivery d
           JOIN webhook_event e ON e.id = d.event
           WHERE d.endpoint = $1 AND d.state = 'waiting' AND d.next_at <= $2 ORDER BY d.next_at, d.id LIMIT $3""",
        endpoint["id"], clock.now(), _BATCH,
    )  # fmt: skip
    loopback = await db.is_demonstration()
    made = 0
    try:
        for start in range(0, len(due), _TOGETHER):
            some = due[start : start + _TOGETHER]
            outcomes = await asyncio.gather(*(_attempt(client, endpoint, one, loopback) for one in some))
            made += len(some)
            if not all(outcomes):
                break  # the others are due still: the endpoint may want patience, or be gone
    except Unavailable:
        _log.warning("webhook_key_unavailable", endpoint=str(endpoint["id"]))
    await db.execute(
        "UPDATE webhook_endpoint SET leased_until = NULL WHERE id = $1 AND lease = $2",
        endpoint["id"], endpoint["lease"],
    )  # fmt: skip
    return made


async def _attempt(client: httpx.AsyncClient, endpoint: db.Row, due: db.Row, loopback: bool) -> bool:
    """Send one message and note what came of it; answers whether it arrived."""
    at = clock.now()
    body = payload(due["kind"], due["at"], due["facts"])
    headers = signed_headers(secrets_of(endpoint, at=at), message=message_id(due["id"]), at=at, body=body)
    outcome = await send(client, endpoint["url"], headers=headers, body=body, loopback=loopback, at=at)
    await record(endpoint, due, outcome, at=at)
    return outcome.fault is None


async def record(endpoint: db.Row, due: db.Row, outcome: Outcome, *, at: datetime) -> None:
    """Note an attempt, what becomes of its message, and what that says of the endpoint; nothing, if it is too late."""
    arrived, now, number = outcome.fault is None, clock.now(), due["attempts"] + 1
    later = None if arrived else next_attempt(due["retries"], outcome, now=now)
    state = "delivered" if arrived else "failed" if later is None else "waiting"
    async with db.transaction():
        # The endpoint first: whoever changes or deletes it locks it too.
        row = await db.fetch_row(
            "SELECT enabled, failing_since FROM webhook_endpoint WHERE id = $1 FOR NO KEY UPDATE",
            endpoint["id"],
        )
        noted = await db.execute(
            """UPDATE webhook_delivery SET attempts = $2, state = $3, next_at = $4, retries = retries + $5,
                   delivered_at = coalesce($6, delivered_at)
               WHERE id = $1 AND attempts = $2 - 1 AND state = 'waiting'""",
            due["id"], number, state, later, 0 if arrived else 1, now if arrived else None,
        )  # fmt: skip
        if not noted or row is None:
            return
        await db.execute(
            """INSERT INTO webhook_attempt (delivery, number, at, duration_ms, status, fault, answer)
               VALUES ($1, $2, $3, $4, $5, $6, $7)""",
            due["id"], number, at, outcome.duration_ms, outcome.status, outcome.fault, outcome.answer,
        )  # fmt: skip
        await _judge(endpoint, row, outcome, now=now)


def next_attempt(retries: int, outcome: Outcome, *, now: datetime) -> datetime | None:
    """When a message that failed for the `retries` + 1st time is sent again; None when it is not."""
    if retries >= len(SCHEDULE):
        return None
    wait = SCHEDULE[retries] * _chance.uniform(1 - JITTER, 1 + JITTER)
    return now + max(wait, outcome.rest or timedelta())


async def _judge(endpoint: db.Row, row: db.Row, outcome: Outcome, *, now: datetime) -> None:
    """What an attempt says of its endpoint: that it is well, or failing, for too long, or gone for good (410)."""
    if outcome.fault is None:
        if row["failing_since"] is not None:
            await db.execute(
                "UPDATE webhook_endpoint SET failing_since = NULL, resting_until = NULL WHERE id = $1",
                endpoint["id"],
            )
        return
    failing_since = row["failing_since"] or now
    because = None
    if outcome.status == 410:
        because = "gone"
    elif now - failing_since >= GIVE_UP_AFTER:
        because = "failing"
    await db.execute(
        """UPDATE webhook_endpoint SET failing_since = $2,
               resting_until = greatest(resting_until, $3) WHERE id = $1""",
        endpoint["id"], failing_since, now + outcome.rest if outcome.rest else None,
    )  # fmt: skip
    if because is not None and row["enabled"]:
        await _disable(endpoint, because, now=now)


async def _disable(endpoint: db.Row, because: str, *, now: datetime) -> None:
    await db.execute(
        "UPDATE webhook_endpoint SET enabled = false, disabled_because = $2 WHERE id = $1",
        endpoint["id"],
        because,
    )
    await db.execute(
        """INSERT INTO publisher_event (id, publisher, kind, subject, facts, created_at)
           VALUES ($1, $2, 'webhook.disabled', $3, $4, $5)""",
        new_id(), endpoint["publisher"], endpoint["id"],
        {"endpoint_id": str(endpoint["id"]), "because": because}, now,
    )  # fmt: skip


async def forget_old() -> int:
    """Drop what happened more than a month ago, with its messages and attempts; answers how many events."""
    return await db.execute(
        """DELETE FROM webhook_event WHERE id IN (
               SELECT e.id FROM webhook_event e WHERE e.created_at < $1
                 AND NOT EXISTS (SELECT FROM webhook_delivery d JOIN webhook_endpoint p ON p.id = d.endpoint
                                 WHERE d.event = e.id AND d.state = 'waiting' AND p.enabled)
               ORDER BY e.created_at LIMIT 5000)""",
        clock.now() - KEPT_FOR,
    )


__all__ = ["SCHEDULE", "claim", "deliver", "deliver_due", "forget_old", "next_attempt", "record"]
