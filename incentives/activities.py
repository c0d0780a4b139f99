"""A resident's activity records: what each was worth, by which methodology version, or why it was refused."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from incentives.judging import CAPPED, CREDITED
from incentives.methodologies import Methodology, shipped
from marketplace import db

MAX_LIMIT = 101  # a page of a hundred, and one to see whether there are more


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """One record. `quantity` is in the methodology's unit, exact; `factor` is as it was applied, with its unit.

    `reason` is None for what was credited or capped, else why the record was refused.
    """

    id: UUID
    channel: str
    channel_name: str
    source_id: str
    behaviour: str | None
    methodology: str
    methodology_version: int
    factor: str
    quantity: Decimal
    unit: str | None
    started_at: datetime
    ended_at: datetime
    outcome: str
    reason: str | None
    amount_g: int
    received_at: datetime


async def activities_of(resident: UUID, *, limit: int, before: UUID | None = None) -> list[Activity]:
    """At most `limit` (1 to 101) records of `resident`, the latest activity first, from after the record `before`.

    The order is (started_at, id), so that a page survives ties. Empty for a `before` that is not the resident's.
    """
    rows = await db.fetch(
        """SELECT a.id, a.channel, c.name AS channel_name, a.source_id, a.methodology, a.methodology_version, a.factor,
                  a.quantity, a.started_at, a.ended_at, a.outcome, a.amount_g, a.received_at
           FROM activity_record a JOIN channel c ON c.key = a.channel
           WHERE a.resident = $1
             AND ($3::uuid IS NULL OR (a.started_at, a.id) <
                  (SELECT started_at, id FROM activity_record WHERE id = $3 AND resident = $1))
           ORDER BY a.started_at DESC, a.id DESC LIMIT $2""",
        resident, max(1, min(limit, MAX_LIMIT)), before,
    )  # fmt: skip
    return [_activity(row) for row in rows]


def _activity(row: db.Row) -> Activity:
    facts = dict(row.items())
    version = _version(facts["methodology"], facts["methodology_version"])
    return Activity(
        **facts,
        behaviour=version.behaviour if version else None,
        unit=version.unit if version else None,
        reason=None if facts["outcome"] in {CREDITED, CAPPED} else facts["outcome"],
    )


def _version(key: str, version: int) -> Methodology | None:
    return next((m for m in shipped().get(key, ()) if m.version == version), None)
