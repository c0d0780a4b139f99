"""What happened to a campaign, in the order that it did."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from marketplace import clock, db, ledger
from marketplace.ids import new_id

MAX_LISTED: Final = 100
RELATION: Final = ledger.Relation(
    "campaign_event", ("id", "campaign", "event", "actor", "facts", "created_at"), rank=3
)


class CampaignEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened: `alarm` has the `percent` of its budget that are used, `funded` and `ended` amounts."""

    id: UUID
    event: str
    actor: str
    facts: dict[str, Any]
    at: datetime


def event(campaign: UUID, what: str, *, actor: str, facts: Mapping[str, Any] | None = None) -> ledger.Insert:
    """The row that says so, for a group."""
    return ledger.Insert(RELATION, (new_id(), campaign, what, actor, dict(facts or {}), clock.now()))


async def keep(campaign: UUID, what: str, *, actor: str, facts: Mapping[str, Any] | None = None) -> None:
    """Write it, in the transaction of what it is about."""
    row = event(campaign, what, actor=actor, facts=facts)
    await db.insert_many(RELATION.name, RELATION.columns, [row.values])


async def events_of(campaign: UUID) -> list[CampaignEvent]:
    """The latest hundred, newest first."""
    rows = await db.fetch(
        """SELECT id, event, actor, facts, created_at AS at FROM campaign_event WHERE campaign = $1
            ORDER BY id DESC LIMIT $2""",
        campaign,
        MAX_LISTED,
    )
    return [CampaignEvent(**row) for row in rows]
