"""A sample of residents as they are read: their wallets over 13 weeks, what they redeemed, and the facts of rules.

The sample is drawn by a hash of the id, so that it depends on nothing that residents do and is the same each time. It
is read in pages, each of them short, from the replica where there is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from incentives.forecasts.replay import DAYS, Wallet
from incentives.methodologies import shipped
from incentives.rules.facts import DOMAINS, MAX_PROGRAMMES, age_band_of, tier_of
from incentives.standing import since
from marketplace import clock, db
from marketplace.chart import CONSUMPTION, wallet
from marketplace.ids import new_id

SAMPLE: Final = 2_500
PAGE: Final = 250
_DAY_MS: Final = 24 * 3600 * 1000


@dataclass(slots=True)
class Sample:
    """`residents` there are; of the sampled ones the wallets and what each redeemed, by position; and how many
    redemptions fell on each weekday (from Monday) and hour."""

    residents: int
    ids: list[UUID]
    wallets: list[Wallet] = field(default_factory=list)
    redeemed: list[int] = field(default_factory=list)
    weekdays: list[int] = field(default_factory=lambda: [0] * 7)
    hours: list[int] = field(default_factory=lambda: [0] * 24)


async def drawn() -> Sample:
    """The sample without its wallets, and how many residents there are."""
    count = await db.fetch_value("SELECT count(*) FROM resident WHERE closed_at IS NULL")
    rows = await db.fetch(
        "SELECT id FROM resident WHERE closed_at IS NULL ORDER BY uuid_hash(id) LIMIT $1", SAMPLE
    )
    return Sample(residents=count, ids=[row["id"] for row in rows])


async def read_page(sample: Sample, start: int, *, today: date) -> None:
    """Read the wallets of a page of the sample, which begins at `start`, and what was redeemed."""
    page = sample.ids[start : start + PAGE]
    accounts = {wallet(resident).id: resident for resident in page}
    first = clock.end_of_day(today - timedelta(days=DAYS))
    balances: dict[UUID, int] = dict.fromkeys(page, 0)
    moved: dict[UUID, dict[int, int]] = {resident: {} for resident in page}
    for row in await db.fetch(_BALANCES, list(accounts)):
        balances[accounts[row["id"]]] = row["available"]
    for row in await db.fetch(_MOVED, list(accounts), oldest_id(), first, today):
        moved[accounts[row["account"]]][max(row["ago"], 0)] = row["net"]
    redeemed: Counter[UUID] = Counter()
    for row in await db.fetch(_REDEEMED, page, oldest_id(), first):
        redeemed[row["resident"]] += row["count"]
        sample.weekdays[row["weekday"] - 1] += row["count"]
        sample.hours[row["hour"]] += row["count"]
    sample.wallets += [Wallet(balances[resident], moved[resident]) for resident in page]
    sample.redeemed += [redeemed[resident] for resident in page]


def oldest_id() -> UUID:
    """An id that is older than whatever was written in the 13 weeks: ids sort by the time they were made."""
    milliseconds = (new_id().int >> 80) - (DAYS + 1) * _DAY_MS
    return UUID(int=milliseconds << 80)


_BALANCES: Final = """
    SELECT id, credits_posted - debits_posted - debits_pending AS available FROM ledger_account WHERE id = ANY($1)"""
# A hold takes from what is available, and what it becomes gives back what is not used. The ids keep old transfers out
# by the index (which has what carries no limit: grams have none); the instant is what counts. The debit is asked for as
# a range: where hardly anybody has spent yet, the planner takes `=` for most of the table and would read all of it.
_MOVED: Final = """
    SELECT account, ($4::date - (at AT TIME ZONE 'Asia/Shanghai')::date) AS ago, sum(net)::bigint AS net
    FROM unnest($1::uuid[]) AS account CROSS JOIN LATERAL (
        SELECT t.created_at AS at,
               CASE t.phase
                   WHEN 'post' THEN (SELECT h.amount FROM ledger_transfer h WHERE h.id = t.pending_id) - t.amount
                   WHEN 'void' THEN t.amount ELSE -t.amount END AS net
        FROM ledger_transfer t
        WHERE t.debit >= account AND t.debit <= account AND t.id >= $2 AND t.credit_limit IS NULL
        UNION ALL
        SELECT t.created_at, CASE WHEN t.phase IN ('posted', 'post') THEN t.amount ELSE 0 END
        FROM ledger_transfer t
        WHERE t.credit >= account AND t.credit <= account AND t.id >= $2 AND t.credit_limit IS NULL
    ) AS moved
    WHERE at >= $3
    GROUP BY 1, 2"""
_REDEEMED: Final = """
    SELECT r.resident, extract(isodow FROM local)::int AS weekday, extract(hour FROM local)::int AS hour,
           count(*)::int AS count
    FROM unnest($1::uuid[]) AS one CROSS JOIN LATERAL (
        SELECT resident, created_at AT TIME ZONE 'Asia/Shanghai' AS local FROM redemption
        WHERE resident = one AND id >= $2 AND created_at >= $3 AND status <> 'cancelled'
    ) AS r
    GROUP BY 1, 2, 3"""


# ---------------------------------------------------------------- the facts of rules
async def facts_of_page(
    residents: Sequence[UUID], names: Collection[str], wallets: Sequence[Wallet]
) -> list[dict[str, dict[str, object]]]:
    """The facts of each of `residents` as `standing.facts_of` has them, `now` aside, with a few queries for all."""
    now = clock.now()
    roots = {name.split(".")[0] for name in names}
    facts: dict[UUID, dict[str, dict[str, object]]] = {resident: {} for resident in residents}
    if "resident" in roots:
        year = clock.local_day(now).year
        for row in await db.fetch(_PERSONS, list(residents), MAX_PROGRAMMES):
            known = dict(row)
            person = facts[known.pop("id")]
            person["resident"] = {"age_band": age_band_of(known.pop("birth_year"), year=year), **known}
    if "year" in roots or "resident.tier" in names:
        saved: dict[UUID, dict[str, Any]] = {
            resident: {"saved_g": 0} | {f"{domain}_g": 0 for domain in DOMAINS} for resident in residents
        }
        for row in await db.fetch(_SAVED, list(residents), since(now)):
            _add(saved[row["resident"]], row["methodology"], row["grams"])
        for resident, known in saved.items():
            facts[resident]["year"] = known
            if "resident.tier" in names:
                facts[resident]["resident"]["tier"] = tier_of(known["saved_g"])
    if "wallet" in roots:
        earned = await _earned(residents) if "wallet.earned_g" in names else {}
        for resident, held in zip(residents, wallets, strict=True):
            facts[resident]["wallet"] = {"available_g": held.available_g, "earned_g": earned.get(resident, 0)}
    return list(facts.values())


def _add(saved: dict[str, Any], methodology: str, grams: int) -> None:
    saved["saved_g"] += grams
    versions = shipped().get(methodology)
    if versions:
        saved[f"{versions[-1].domain}_g"] += grams


async def _earned(residents: Sequence[UUID]) -> dict[UUID, int]:
    accounts = {wallet(resident).id: resident for resident in residents}
    rows = await db.fetch(_EARNED, list(accounts), CONSUMPTION.id)
    return {accounts[row["id"]]: row["earned"] for row in rows}


_PERSONS: Final = """
    SELECT r.id, r.city, r.verified_at IS NOT NULL AS verified, r.birth_year,
           NOT EXISTS (SELECT 1 FROM redemption d
                       WHERE d.resident = r.id AND d.status NOT IN ('cancelled', 'expired')) AS first_redemption,
           ARRAY(SELECT m.programme FROM programme_member m WHERE m.resident = r.id AND m.ended_at IS NULL
                 ORDER BY m.programme LIMIT $2) AS programmes
    FROM resident r WHERE r.id = ANY($1)"""
_SAVED: Final = """
    SELECT resident, methodology, sum(amount_g)::bigint AS grams FROM activity_record
    WHERE resident = ANY($1) AND started_at >= $2 AND amount_g > 0 GROUP BY 1, 2"""
_EARNED: Final = """
    SELECT a.id, a.credits_posted - (
        SELECT coalesce(sum(amount), 0)::bigint FROM ledger_transfer
        WHERE credit = a.id AND debit = $2 AND phase = 'posted' AND credit_limit IS NULL) AS earned
    FROM ledger_account a WHERE a.id = ANY($1)"""
