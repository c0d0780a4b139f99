"""Applications as they stand, and the operator's word on them. One that is decided is decided once."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from marketplace import clock, db
from marketplace.deeds import record_deed
from marketplace.errors import FieldError, Invalid, NotFound, Refused
from marketplace.ids import new_id

State = Literal["submitted", "returned", "approved", "rejected"]
MAX_REASON_LENGTH: Final = 500


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """What a publisher has told of itself, and what came of it; `id` is the publisher's."""

    id: UUID
    state: State
    revision: int
    reason: str | None
    licence: str
    name: str
    kind: str
    city: str
    contact_name: str
    contact_phone: str
    store_name: str
    store_address: str
    submitted_at: datetime
    decided_at: datetime | None


class Event(msgspec.Struct, frozen=True):
    """A step of an application."""

    event: str
    reason: str | None
    at: datetime


_APPLICATION: Final = """SELECT a.publisher AS id, a.state, a.revision, a.reason, p.licence, p.name, p.kind, p.city,
                                a.contact_name, a.contact_phone, s.name AS store_name, s.address AS store_address,
                                a.submitted_at, a.decided_at
                         FROM application a JOIN publisher p ON p.id = a.publisher JOIN store s ON s.id = a.store"""


async def application_of(publisher: UUID, *, city: str | None = None) -> Application:
    """The application of `publisher`. Raises NotFound, for one of another city than `city` too."""
    row = await db.fetch_row(
        f"{_APPLICATION} WHERE a.publisher = $1 AND ($2::text IS NULL OR p.city = $2)", publisher, city
    )
    if row is None:
        raise NotFound
    return Application(**row)


async def history_of(publisher: UUID) -> list[Event]:
    """What happened to the application of `publisher`, oldest first."""
    rows = await db.fetch(
        "SELECT event, reason, created_at AS at FROM application_event WHERE publisher = $1 ORDER BY id",
        publisher,
    )
    return [Event(**row) for row in rows]


async def waiting_applications(
    *, limit: int, after: UUID | None = None, city: str | None = None
) -> list[Application]:
    """Up to `limit` and one more of those that wait for an operator of `city` or of the province, oldest first."""
    rows = await db.fetch(
        f"{_APPLICATION} WHERE a.state = 'submitted' AND ($1::uuid IS NULL OR a.publisher > $1)"
        " AND ($3::text IS NULL OR p.city = $3) ORDER BY a.publisher LIMIT $2",
        after, limit + 1, city,
    )  # fmt: skip
    return [Application(**row) for row in rows]


async def approve(*, publisher: UUID, revision: int, actor: str, city: str | None = None) -> None:
    """Let the publisher publish. `revision` is the one that was read. Raises as `_decide`."""
    await _decide(publisher, revision, "approved", actor=actor, city=city, status="active")


async def send_back(
    *, publisher: UUID, revision: int, reason: str, actor: str, city: str | None = None
) -> None:
    """Send the application back to be mended. Raises as `_decide`, Invalid without a reason."""
    await _decide(publisher, revision, "returned", actor=actor, city=city, reason=_reason(reason))


async def reject(*, publisher: UUID, revision: int, reason: str, actor: str, city: str | None = None) -> None:
    """Reject the application for good: the publisher is closed, its licence free for another application.

    Raises as `_decide`, Invalid without a reason.
    """
    await _decide(
        publisher, revision, "rejected", actor=actor, city=city, reason=_reason(reason), status="closed"
    )


async def _decide(
    publisher: UUID, revision: int, state: State, *, actor: str, city: str | None, reason: str | None = None,
    status: str | None = None,
) -> None:  # fmt: skip
    """Raises NotFound (another city's too), Refused (application_decided; application_changed since that revision)."""
    async with db.transaction():
        found = await db.fetch_row(
            """SELECT a.state, a.revision, p.city FROM application a JOIN publisher p ON p.id = a.publisher
               WHERE a.publisher = $1 AND ($2::text IS NULL OR p.city = $2) FOR UPDATE OF a""",
            publisher, city,
        )  # fmt: skip
        if found is None:
            raise NotFound
        if found["state"] != "submitted":
            raise Refused("application_decided")
        if found["revision"] != revision:
            raise Refused("application_changed")
        await db.execute(
            "UPDATE application SET state = $2, reason = $3, decided_at = $4 WHERE publisher = $1",
            publisher, state, reason, clock.now(),
        )  # fmt: skip
        if status is not None:
            await db.execute("UPDATE publisher SET status = $2 WHERE id = $1", publisher, status)
        await record(publisher, state, actor=actor, reason=reason)
        await record_deed(actor=actor, deed=f"application_{state}", object_kind="publisher", object_id=publisher,
                          city=found["city"], reason=reason)  # fmt: skip


async def record(publisher: UUID, event: State, *, actor: str, reason: str | None = None) -> None:
    """Inside the transaction of what happened: its trail."""
    await db.execute(
        """INSERT INTO application_event (id, publisher, event, actor, reason, created_at)
           VALUES ($1, $2, $3, $4, $5, $6)""",
        new_id(), publisher, event, actor, reason, clock.now(),
    )  # fmt: skip


def _reason(given: str) -> str:
    reason = given.strip()
    if not reason or len(reason) > MAX_REASON_LENGTH:
        raise Invalid(FieldError("reason", "out_of_range" if reason else "required"))
    return reason


__all__ = [
    "Application",
    "Event",
    "State",
    "application_of",
    "approve",
    "history_of",
    "record",
    "reject",
    "send_back",
    "waiting_applications",
]
