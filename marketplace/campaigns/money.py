"""How much a campaign's budget was given, and where it is: read in one statement, so that it adds up."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from marketplace import chart, db


class Budget(NamedTuple):
    """In fen: what is in it and what was spent, together what was put in and not given back."""

    funded_fen: int
    spent_fen: int
    reserved_fen: int
    left_fen: int


class Payer(NamedTuple):
    """A funder of a campaign."""

    id: UUID
    campaign: UUID
    name: str
    kind: str
    share_bp: int


async def payers_of(campaigns: Collection[UUID]) -> dict[UUID, list[Payer]]:
    """The funders of each campaign, in the order that they were named in."""
    rows = await db.fetch(
        """SELECT id, campaign, name, kind, share_bp FROM campaign_funder WHERE campaign = ANY($1)
           ORDER BY campaign, position""",
        list(campaigns),
    )
    found: dict[UUID, list[Payer]] = {campaign: [] for campaign in campaigns}
    for row in rows:
        found[row["campaign"]].append(Payer(*row))
    return found


async def budgets_of(
    campaigns: Collection[UUID], payers: Sequence[Payer] | None = None
) -> dict[UUID, Budget]:
    """The budget of each of `campaigns`; all their `payers`, where the caller has them."""
    if payers is None:
        payers = [payer for each in (await payers_of(campaigns)).values() for payer in each]
    # What went back is looked for from the funders' side, where there are few transfers: a budget has one a coupon.
    rows = await db.fetch(
        """SELECT a.owner, a.debits_pending AS reserved, a.credits_posted - a.debits_posted - a.debits_pending AS rest,
                  (SELECT coalesce(sum(t.amount), 0)::bigint FROM ledger_transfer t
                   WHERE t.credit = a.id AND t.credit_limit IS NULL AND t.kind = 'fund')
                  - (SELECT coalesce(sum(t.amount), 0)::bigint FROM ledger_transfer t
                     WHERE t.credit = ANY($2) AND t.credit_limit IS NULL AND t.kind = 'return' AND t.debit = a.id)
                  AS funded
           FROM ledger_account a WHERE a.id = ANY($1)""",
        [chart.budget(campaign).id for campaign in campaigns],
        [chart.funder(payer.id).id for payer in payers],
    )  # fmt: skip
    found = {
        row["owner"]: Budget(row["funded"], row["funded"] - row["reserved"] - row["rest"], row["reserved"], row["rest"])
        for row in rows
    }  # fmt: skip
    return {campaign: found.get(campaign, Budget(0, 0, 0, 0)) for campaign in campaigns}
