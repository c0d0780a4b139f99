"""Which campaigns a publisher may put an offer under. The operator approves each offer anyway."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from marketplace import clock, db
from marketplace.campaigns.money import budgets_of, payers_of
from marketplace.campaigns.state import CampaignState, Shown

_JOINABLE: Final = """
    FROM campaign c JOIN publisher p ON p.id = $1
    WHERE CASE WHEN EXISTS (SELECT 1 FROM campaign_publisher n WHERE n.campaign = c.id)
               THEN EXISTS (SELECT 1 FROM campaign_publisher n WHERE n.campaign = c.id AND n.publisher = p.id)
               ELSE (c.kinds = '{}' OR p.kind = ANY (c.kinds)) AND (c.cities = '{}' OR p.city = ANY (c.cities)) END"""


class JoinableCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign as publishers see it: who pays, until when, and how much is left for coupons, in fen."""

    id: UUID
    name: str
    status: Shown
    starts_at: datetime | None
    ends_at: datetime | None
    funders: list[str]
    left_fen: int


async def joinable_campaigns(*, publisher: UUID) -> list[JoinableCampaign]:
    """Those that `publisher` may join and that are not over, newest first."""
    now = clock.now()
    rows = await db.fetch(
        f"""SELECT c.id, c.name, c.status, c.starts_at, c.ends_at {_JOINABLE}
            AND c.status <> 'ended' AND (c.ends_at IS NULL OR c.ends_at > $2) ORDER BY c.id DESC""",
        publisher, now,
    )  # fmt: skip
    states = [CampaignState(**row) for row in rows]
    payers = await payers_of([state.id for state in states])
    budgets = await budgets_of(list(payers), [payer for each in payers.values() for payer in each])
    return [
        JoinableCampaign(
            id=state.id, name=state.name, status=state.shown(now), starts_at=state.starts_at, ends_at=state.ends_at,
            funders=[payer.name for payer in payers[state.id]], left_fen=budgets[state.id].left_fen,
        )
        for state in states
    ]  # fmt: skip


async def fault_of(campaign: UUID, *, publisher: UUID) -> str | None:
    """Why `publisher` cannot put an offer under `campaign` now: a field's code, or None."""
    row = await db.fetch_row(
        "SELECT id, name, status, starts_at, ends_at FROM campaign WHERE id = $1", campaign
    )
    if row is None:
        return "unknown"
    if CampaignState(**row).shown(clock.now()) in ("over", "ended"):
        return "campaign_over"
    may = await db.fetch_row(f"SELECT 1 {_JOINABLE} AND c.id = $2", publisher, campaign)
    return None if may is not None else "campaign_not_for_you"
