"""What was sent to an endpoint: messages with their attempts; again, one by one or those of a time; and a test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from marketplace import clock, db
from marketplace.errors import FieldError, Invalid, NotFound, Refused
from marketplace.ids import new_id
from merchants.webhooks.deliveries import KEPT_FOR
from merchants.webhooks.events import TEST, payload
from merchants.webhooks.sending import message_id

State = Literal["waiting", "delivered", "failed"]
MOST_AT_ONCE: Final = 10_000


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A message to an endpoint; `message_id` is its `webhook-id`. The last attempt says how it went."""

    id: UUID
    kind: str
    at: datetime
    state: State
    attempts: int
    next_at: datetime | None
    delivered_at: datetime | None
    last_status: int | None
    last_fault: str | None

    @property
    def message_id(self) -> str:
        return message_id(self.id)


class Attempt(msgspec.Struct, frozen=True):
    """One attempt: when, for how long, and what came of it. `answer` is how the answer began."""

    number: int
    at: datetime
    duration_ms: int
    status: int | None
    fault: str | None
    answer: str


_SELECT: Final = """
    SELECT d.id, e.kind, e.at, d.state, d.attempts, d.next_at, d.delivered_at,
           a.status AS last_status, a.fault AS last_fault
    FROM webhook_endpoint p JOIN webhook_delivery d ON d.endpoint = p.id JOIN webhook_event e ON e.id = d.event
    LEFT JOIN webhook_attempt a ON a.delivery = d.id AND a.number = d.attempts
    WHERE p.id = $1 AND p.publisher = $2 AND p.deleted_at IS NULL"""


async def deliveries_of(
    *,
    publisher: UUID,
    endpoint: UUID,
    state: State | None = None,
    before: UUID | None = None,
    count: int = 50,
) -> list[Delivery]:
    """The messages to an endpoint, newest first."""
    rows = await db.fetch(
        _SELECT + " AND ($3::text IS NULL OR d.state = $3) AND ($4::uuid IS NULL OR d.id < $4)"
        " ORDER BY d.id DESC LIMIT $5",
        endpoint, publisher, state, before, count,
    )  # fmt: skip
    return [Delivery(**row) for row in rows]


async def attempts_of(
    *, publisher: UUID, endpoint: UUID, delivery: UUID
) -> tuple[Delivery, list[Attempt], str]:
    """A message with its attempts, the last first, and its body. Raises NotFound."""
    row = await db.fetch_row(_SELECT + " AND d.id = $3", endpoint, publisher, delivery)
    if row is None:
        raise NotFound
    attempts = await db.fetch(
        """SELECT number, at, duration_ms, status, fault, answer FROM webhook_attempt
           WHERE delivery = $1 ORDER BY number DESC LIMIT 100""",
        delivery,
    )
    facts: Any = await db.fetch_value(
        "SELECT e.facts FROM webhook_event e JOIN webhook_delivery d ON d.event = e.id WHERE d.id = $1",
        delivery,
    )
    shown = Delivery(**row)
    return shown, [Attempt(**one) for one in attempts], payload(shown.kind, shown.at, facts)


async def replay_one(*, publisher: UUID, endpoint: UUID, delivery: UUID) -> None:
    """Send a message again, under its id. Raises NotFound, Refused `webhook_disabled`."""
    async with db.transaction():
        await _own(publisher, endpoint)
        if not await _again(endpoint, [delivery]):
            raise NotFound


async def replay(*, publisher: UUID, endpoint: UUID, since: datetime, until: datetime) -> int:
    """Send again all that happened from `since` until `until`, also what happened while the endpoint was off; answers
    how many messages that are, at most 10,000 of them. Raises NotFound, Invalid, Refused `webhook_disabled`."""
    now = clock.now()
    if not since < until:
        raise Invalid(FieldError("until", "not_after_start"))
    if since < now - KEPT_FOR - timedelta(days=1):
        raise Invalid(FieldError("since", "out_of_range"))
    async with db.transaction():
        own = await _own(publisher, endpoint)
        events = await db.fetch(
            """SELECT id FROM webhook_event WHERE publisher = $1 AND at >= $2 AND at < $3 AND kind = ANY($4)
               ORDER BY at, id LIMIT $5""",
            publisher, max(since, own["created_at"]), until, own["events"], MOST_AT_ONCE,
        )  # fmt: skip
        ids = [row["id"] for row in events]
        await db.execute(
            """INSERT INTO webhook_delivery (id, endpoint, event, state, next_at, created_at)
               SELECT t.id, $3, t.event, 'waiting', $4, $4 FROM unnest($1::uuid[], $2::uuid[]) AS t (id, event)
               ON CONFLICT (endpoint, event) DO NOTHING""",
            [new_id() for _ in ids], ids, endpoint, now,
        )  # fmt: skip
        known = await db.fetch(
            "SELECT id FROM webhook_delivery WHERE endpoint = $1 AND event = ANY($2)", endpoint, ids
        )
        return await _again(endpoint, [row["id"] for row in known])


async def send_test(*, publisher: UUID, endpoint: UUID) -> UUID:
    """A message to see arrive; answers its delivery. Raises NotFound, Refused `webhook_disabled`."""
    event, delivery, now = new_id(), new_id(), clock.now()
    async with db.transaction():
        await _own(publisher, endpoint)
        await db.execute(
            """INSERT INTO webhook_event (id, publisher, kind, source, facts, at, created_at)
               VALUES ($1, $2, $3, $1, $4, $5, $5)""",
            event, publisher, TEST, {"endpoint_id": str(endpoint)}, now,
        )  # fmt: skip
        await db.execute(
            """INSERT INTO webhook_delivery (id, endpoint, event, state, next_at, created_at)
               VALUES ($1, $2, $3, 'waiting', $4, $4)""",
            delivery, endpoint, event, now,
        )  # fmt: skip
    return delivery


async def _own(publisher: UUID, endpoint: UUID) -> db.Row:
    """The endpoint, locked. Raises NotFound, Refused `webhook_disabled`."""
    row = await db.fetch_row(
        """SELECT enabled, events, created_at FROM webhook_endpoint
           WHERE id = $1 AND publisher = $2 AND deleted_at IS NULL FOR NO KEY UPDATE""",
        endpoint, publisher,
    )  # fmt: skip
    if row is None:
        raise NotFound
    if not row["enabled"]:
        raise Refused("webhook_disabled")
    return row


async def _again(endpoint: UUID, deliveries: Sequence[UUID]) -> int:
    return await db.execute(
        """UPDATE webhook_delivery SET state = 'waiting', next_at = $3, retries = 0
           WHERE endpoint = $1 AND id = ANY($2)""",
        endpoint, list(deliveries), clock.now(),
    )  # fmt: skip


__all__ = [
    "Attempt",
    "Delivery",
    "State",
    "attempts_of",
    "deliveries_of",
    "replay",
    "replay_one",
    "send_test",
]
