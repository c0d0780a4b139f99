"""Campaigns as the operator sees them: the budget, and what each funder has paid of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from marketplace import chart, clock, db, ledger
from marketplace.campaigns.alarms import SMALLEST_FEN, used_up
from marketplace.campaigns.money import Budget, Payer, budgets_of, payers_of
from marketplace.campaigns.opening import Audience
from marketplace.campaigns.shares import split
from marketplace.campaigns.state import CampaignState, Shown
from marketplace.errors import NotFound


class FunderStatement(msgspec.Struct, frozen=True, kw_only=True):
    """What a funder has paid, in fen: `funded` into the budget (spent, reserved and left), and what still `waits`."""

    id: UUID
    name: str
    kind: str
    share_bp: int
    funded_fen: int
    spent_fen: int
    reserved_fen: int
    left_fen: int
    waiting_fen: int


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """Offers under one budget, in fen. `budget_fen` can still be spent; `exhausted` when no coupon more can be paid."""

    id: UUID
    name: str
    status: Shown
    starts_at: datetime | None
    ends_at: datetime | None
    open_to: Audience
    funders: list[FunderStatement]
    funded_fen: int
    spent_fen: int
    reserved_fen: int
    budget_fen: int
    waiting_fen: int
    alarm_percent: int
    exhausted: bool


class CampaignOffer(msgspec.Struct, frozen=True, kw_only=True):
    """An offer under a campaign; it is `out_of_budget` when one coupon more cannot be paid."""

    id: UUID
    title: str
    publisher: str
    status: str
    face_value_fen: int
    out_of_budget: bool


_SELECT: Final = f"""
    SELECT c.id, c.name, c.status, c.starts_at, c.ends_at, c.kinds, c.cities, c.alarm_percent,
           ({SMALLEST_FEN}) AS smallest,
           ARRAY(SELECT n.publisher FROM campaign_publisher n WHERE n.campaign = c.id ORDER BY 1) AS publishers
    FROM campaign c"""  # noqa: S608


async def campaigns() -> list[Campaign]:
    """All campaigns, oldest first."""
    return await _shown(await db.fetch(f"{_SELECT} ORDER BY c.id"))


async def campaign(campaign_id: UUID) -> Campaign:
    """Raises NotFound."""
    shown = await _shown(await db.fetch(f"{_SELECT} WHERE c.id = $1", campaign_id))
    if not shown:
        raise NotFound
    return shown[0]


async def campaign_names() -> dict[UUID, tuple[str, list[str]]]:
    """The name of each campaign, and of who pays for it."""
    rows = await db.fetch(
        """SELECT c.id, c.name, ARRAY(SELECT f.name FROM campaign_funder f WHERE f.campaign = c.id
                                      ORDER BY f.position) AS funders FROM campaign c ORDER BY c.id"""
    )
    return {row["id"]: (row["name"], row["funders"]) for row in rows}


async def offers_of(campaign_id: UUID) -> list[CampaignOffer]:
    """The offers under a campaign, newest first. Raises NotFound."""
    if await db.fetch_row("SELECT 1 FROM campaign WHERE id = $1", campaign_id) is None:
        raise NotFound
    left_fen = (await ledger.balances([chart.budget(campaign_id).id]))[chart.budget(campaign_id).id].available
    rows = await db.fetch(
        """SELECT o.id, o.title, p.name AS publisher, o.status, coalesce(face_value_fen(v.terms), 0) AS face_value_fen
           FROM offer o JOIN offer_version v ON v.offer = o.id AND v.number = o.version
           JOIN publisher p ON p.id = o.publisher
           WHERE v.terms #>> '{funding,campaign}' = ($1::uuid)::text ORDER BY o.id DESC LIMIT 500""",
        campaign_id,
    )
    return [CampaignOffer(**row, out_of_budget=row["face_value_fen"] > left_fen) for row in rows]


async def _shown(rows: Sequence[db.Row]) -> list[Campaign]:
    now, payers = clock.now(), await payers_of([row["id"] for row in rows])
    everybody = [payer for each in payers.values() for payer in each]
    budgets = await budgets_of(list(payers), everybody)
    waiting = await ledger.balances([chart.contribution(payer.id).id for payer in everybody])
    shown = []
    for row in rows:
        state = CampaignState(*(row[name] for name in CampaignState.__struct_fields__))
        budget = budgets[row["id"]]
        waits = [waiting[chart.contribution(payer.id).id].available for payer in payers[row["id"]]]
        shown.append(
            Campaign(
                id=state.id, name=state.name, status=state.shown(now), starts_at=state.starts_at,
                ends_at=state.ends_at, alarm_percent=row["alarm_percent"],
                open_to=Audience(kinds=tuple(row["kinds"]), cities=tuple(row["cities"]),
                                 publishers=tuple(row["publishers"])),
                funders=_statements(budget, payers[row["id"]], waits), funded_fen=budget.funded_fen,
                spent_fen=budget.spent_fen, reserved_fen=budget.reserved_fen, budget_fen=budget.left_fen,
                waiting_fen=sum(waits), exhausted=used_up(budget, row["smallest"]),
            )
        )  # fmt: skip
    return shown


def _statements(budget: Budget, payers: Sequence[Payer], waits: Sequence[int]) -> list[FunderStatement]:
    """Each funder's part of what was spent first, then of what is reserved on top of it, then of the rest."""
    shares = [payer.share_bp for payer in payers]
    spent, taken = split(budget.spent_fen, shares), split(budget.spent_fen + budget.reserved_fen, shares)
    funded = split(budget.funded_fen, shares)
    return [
        FunderStatement(
            id=payer.id, name=payer.name, kind=payer.kind, share_bp=payer.share_bp, funded_fen=funded[n],
            spent_fen=spent[n], reserved_fen=taken[n] - spent[n], left_fen=funded[n] - taken[n], waiting_fen=waits[n],
        )
        for n, payer in enumerate(payers)
    ]  # fmt: skip
