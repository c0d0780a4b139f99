"""The guard of budgets: a campaign's operator and the publishers in it are told at 70, 90 and 100 percent, once each.

It looks at the budgets again and again and costs a redemption nothing: that no budget is overdrawn is the ledger's to
say. A budget is used up at 100 percent, and before that when no offer of it could be paid any more. What was told is
told again once the use has been five points below in between, so that a coupon to and fro is not an alarm each.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from marketplace import clock, db
from marketplace.campaigns import trail
from marketplace.campaigns.money import Budget, budgets_of
from marketplace.campaigns.state import lock
from marketplace.ids import new_id

LEVELS: Final = (70, 90, 100)
BELOW: Final = 5
# What the cheapest of its offers can cost, of those that can be redeemed or may be again.
SMALLEST_FEN: Final = """
    SELECT min(face_value_fen(v.terms)) FROM offer o JOIN offer_version v ON v.offer = o.id AND v.number = o.version
    WHERE v.terms #>> '{funding,campaign}' = c.id::text AND o.status IN ('approved', 'live', 'paused')
      AND (o.ends_at IS NULL OR o.ends_at > now()) AND face_value_fen(v.terms) > 0"""


def used_up(budget: Budget, smallest_fen: int | None) -> bool:
    """Whether nothing more can be paid out of it, though something was put in."""
    return budget.funded_fen > 0 and budget.left_fen < max(1, smallest_fen or 1)


def level(budget: Budget, smallest_fen: int | None, *, told: int) -> int:
    """The alarm that a budget stands at, where that of `told` percent was the last."""
    if used_up(budget, smallest_fen):
        return 100
    used_fen = budget.funded_fen - budget.left_fen
    reached = [one for one in LEVELS if budget.funded_fen and used_fen * 100 >= one * budget.funded_fen]
    kept = [
        one for one in LEVELS
        if one <= told and budget.funded_fen and used_fen * 100 >= (one - BELOW) * budget.funded_fen
    ]  # fmt: skip
    return max([*reached, *kept], default=0)


async def watch_budgets() -> int:
    """Tell what is to be told of campaigns that have not ended; answers how many stand elsewhere than before."""
    rows = await db.fetch(
        f"""SELECT c.id, c.alarm_percent, ({SMALLEST_FEN}) AS smallest FROM campaign c
            WHERE c.status <> 'ended' AND c.funded_at IS NOT NULL ORDER BY c.id"""  # noqa: S608
    )
    budgets = await budgets_of([row["id"] for row in rows]) if rows else {}
    moved = 0
    for row in rows:
        now = level(budgets[row["id"]], row["smallest"], told=row["alarm_percent"])
        if now != row["alarm_percent"]:
            moved += await _told(row["id"], budgets[row["id"]], before=row["alarm_percent"], now=now)
    return moved


async def _told(campaign: UUID, budget: Budget, *, before: int, now: int) -> bool:
    """Of several who look at the same time, one tells."""
    async with db.transaction():
        state = await lock(campaign)
        changed = await db.execute(
            """UPDATE campaign SET alarm_percent = $3
               WHERE id = $1 AND alarm_percent = $2 AND status <> 'ended'""",
            campaign, before, now,
        )  # fmt: skip
        if not changed:
            return False
        for percent in LEVELS:
            if before < percent <= now:
                facts = {"percent": percent, "left_fen": budget.left_fen, "funded_fen": budget.funded_fen}
                await trail.keep(campaign, "alarm", actor="system", facts=facts)
                await _tell_publishers(campaign, {"campaign": str(campaign), "name": state.name, **facts})
    return True


async def _tell_publishers(campaign: UUID, facts: dict[str, object]) -> None:
    rows = await db.fetch(
        """SELECT DISTINCT publisher FROM offer o
           WHERE campaign_of_offer(o) = ($1::uuid)::text AND status IN ('approved', 'live', 'paused')""",
        campaign,
    )
    await db.insert_many(
        "publisher_event", ("id", "publisher", "kind", "subject", "facts", "created_at"),
        [(new_id(), row["publisher"], "campaign.alarm", campaign, facts, clock.now()) for row in rows],
    )  # fmt: skip
