"""The facts of a resident, as rules ask for them: read when they are asked for, and only those that are."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from incentives.methodologies import shipped
from incentives.rules.facts import DOMAINS, MAX_PROGRAMMES, age_band_of, tier_of
from marketplace import clock, db, ledger
from marketplace.chart import CONSUMPTION, wallet

YEAR: Final = timedelta(days=365)


async def facts_of(resident: UUID, names: Collection[str]) -> dict[str, dict[str, object]]:
    """The facts of `resident` by root, those of `names` among them; `now` is of the clock."""
    now = clock.now()
    roots = {name.split(".")[0] for name in names}
    facts: dict[str, dict[str, object]] = {"now": present(now)}
    if "resident" in roots:
        facts["resident"] = await _person(resident, year=clock.local_day(now).year)
    if "year" in roots or "resident.tier" in names:
        facts["year"] = saved = await _saved(resident, since=since(now))
        if "resident.tier" in names:
            facts["resident"]["tier"] = tier_of(saved["saved_g"])
    if "wallet" in roots:
        facts["wallet"] = await _wallet(resident, earned="wallet.earned_g" in names)
    return facts


def present(now: datetime) -> dict[str, object]:
    """The facts of `now`, as Shanghai's clocks show it."""
    local = now.astimezone(clock.SHANGHAI)
    return {"weekday": local.isoweekday(), "hour": local.hour}


def since(now: datetime) -> datetime:
    """When the year that ends `now` begins: at the beginning of the day 365 days ago, in Shanghai."""
    return clock.end_of_day(clock.local_day(now) - YEAR - timedelta(days=1))


async def _person(resident: UUID, *, year: int) -> dict[str, object]:
    row = await db.fetch_row(
        """SELECT r.city, r.verified_at IS NOT NULL AS verified, r.birth_year,
                  NOT EXISTS (SELECT 1 FROM redemption d
                              WHERE d.resident = r.id AND d.status NOT IN ('cancelled', 'expired')) AS first_redemption,
                  ARRAY(SELECT m.programme FROM programme_member m WHERE m.resident = r.id AND m.ended_at IS NULL
                        ORDER BY m.programme LIMIT $2) AS programmes
           FROM resident r WHERE r.id = $1""",
        resident, MAX_PROGRAMMES,
    )  # fmt: skip
    if row is None:
        return {}
    known = dict(row)
    return {"age_band": age_band_of(known.pop("birth_year"), year=year), **known}


async def _saved(resident: UUID, *, since: datetime) -> dict[str, Any]:
    """What was credited for activities since then, in all and by the domain of the methodology."""
    rows = await db.fetch(
        """SELECT methodology, sum(amount_g)::bigint AS grams FROM activity_record
           WHERE resident = $1 AND started_at >= $2 AND amount_g > 0 GROUP BY methodology""",
        resident, since,
    )  # fmt: skip
    saved = {"saved_g": 0} | {f"{domain}_g": 0 for domain in DOMAINS}
    for row in rows:
        saved["saved_g"] += row["grams"]
        versions = shipped().get(row["methodology"])
        if versions:
            saved[f"{versions[-1].domain}_g"] += row["grams"]
    return saved


async def _wallet(resident: UUID, *, earned: bool) -> dict[str, object]:
    """What is available; and what was ever credited: all that came in but for what a reversal brought back."""
    account = wallet(resident).id
    balance = (await ledger.balances([account]))[account]
    known: dict[str, object] = {"available_g": balance.available}
    if earned:
        returned: int = await db.fetch_value(
            """SELECT coalesce(sum(amount), 0)::bigint FROM ledger_transfer
               WHERE credit = $1 AND debit = $2 AND phase = 'posted' AND credit_limit IS NULL""",
            account, CONSUMPTION.id,
        )  # fmt: skip
        known["earned_g"] = balance.credits_posted - returned
    return known
