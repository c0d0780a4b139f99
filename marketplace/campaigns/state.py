"""How a campaign stands: what is stored, and what time makes of it. Who changes one locks it first."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from marketplace import db
from marketplace.errors import NotFound, Refused

Shown = Literal["upcoming", "open", "paused", "over", "ended"]


class CampaignState(msgspec.Struct, frozen=True):
    """What an offer's fate hangs on. The start instant is inside the period, the end instant is not."""

    id: UUID
    name: str
    status: str
    starts_at: datetime | None
    ends_at: datetime | None

    def shown(self, now: datetime) -> Shown:
        """Its state at `now`; `over` is past its period, and not ended yet: what is left is still in its budget."""
        if self.status == "ended":
            return "ended"
        if self.ends_at is not None and self.ends_at <= now:
            return "over"
        if self.status == "paused":
            return "paused"
        return "upcoming" if self.starts_at is not None and self.starts_at > now else "open"


async def lock(campaign: UUID) -> CampaignState:
    """One who changes a campaign or its money at a time, before its offers and before accounts. Raises NotFound."""
    row = await db.fetch_row(
        "SELECT id, name, status, starts_at, ends_at FROM campaign WHERE id = $1 FOR NO KEY UPDATE", campaign
    )
    if row is None:
        raise NotFound
    return CampaignState(**row)


async def lock_open(campaign: UUID) -> CampaignState:
    """The same, of one that has not ended. Raises NotFound, Refused `campaign_has_ended`."""
    state = await lock(campaign)
    if state.status == "ended":
        raise Refused("campaign_has_ended")
    return state


async def lock_offers(campaign: UUID) -> None:
    """Its offers, in the order of the house, before something changes that they all hang on."""
    await db.fetch(
        "SELECT 1 FROM offer o WHERE campaign_of_offer(o) = ($1::uuid)::text ORDER BY id FOR NO KEY UPDATE",
        campaign,
    )
