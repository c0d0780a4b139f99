"""Money into a campaign's budget, in fen: each funder's part waits until the others have matched it by their shares."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from marketplace import chart, clock, db, ledger
from marketplace.campaigns import trail
from marketplace.campaigns.money import Payer, budgets_of, payers_of
from marketplace.campaigns.shares import matched, split
from marketplace.campaigns.state import lock_open
from marketplace.errors import FieldError, Invalid


async def fund(
    campaign: UUID, amount_fen: int, *, funder: UUID | None = None, actor: str = "system",
    key: ledger.IdempotencyKey | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Take `amount_fen` from `funder`, or from all of them by their shares, once per `key`.

    What all have paid their shares of goes into the budget in the same transaction; the rest waits. Answers what the
    budget was given in all, and what waits. Raises NotFound, Invalid (no such funder), Refused `campaign_has_ended`.
    """
    async with db.transaction():
        earlier = await ledger.answered(key) if key is not None else None
        if earlier is not None:
            return dict(earlier.answer)
        await lock_open(campaign)
        payers = (await payers_of([campaign]))[campaign]
        if funder is not None and funder not in {payer.id for payer in payers}:
            raise Invalid(FieldError("funder", "unknown"))
        await db.execute(
            "UPDATE campaign SET funded_at = $2 WHERE id = $1 AND funded_at IS NULL", campaign, clock.now()
        )
        group = await _paid_in(campaign, payers, amount_fen, funder, actor, key)
        outcome = (await ledger.apply([group]))[0]
        if not isinstance(outcome, ledger.Answered):
            raise outcome
        return dict(outcome.answer)


async def _paid_in(
    campaign: UUID, payers: list[Payer], amount_fen: int, funder: UUID | None, actor: str,
    key: ledger.IdempotencyKey | None,
) -> ledger.Group:  # fmt: skip
    """The transfers, worked out under the locks of the accounts that they move."""
    budget, accounts = chart.budget(campaign), [chart.contribution(payer.id) for payer in payers]
    balances = await ledger.open_and_lock([budget, *accounts])
    shares = [payer.share_bp for payer in payers]
    funded_fen = (await budgets_of([campaign], payers))[campaign].funded_fen
    before = split(funded_fen, shares)
    if funder is None:
        added = [after - b for after, b in zip(split(funded_fen + amount_fen, shares), before, strict=True)]
    else:
        added = [amount_fen if payer.id == funder else 0 for payer in payers]
    waiting = [balances[account.id].available + more for account, more in zip(accounts, added, strict=True)]
    total_fen = matched([b + w for b, w in zip(before, waiting, strict=True)], shares)
    taken = [after - b for after, b in zip(split(total_fen, shares), before, strict=True)]
    waits = [w - part for w, part in zip(waiting, taken, strict=True)]
    moved = [after - balances[account.id].available for after, account in zip(waits, accounts, strict=True)]
    facts = {"amount_fen": amount_fen, "funder": next((p.name for p in payers if p.id == funder), None)}
    return ledger.Group(legs=_legs_in(campaign, payers, taken, moved), at=clock.now(), key=key,
                        answer={"id": str(campaign), "amount_fen": amount_fen, "funded_fen": total_fen,
                                "waiting_fen": sum(waits)},
                        inserts=[trail.event(campaign, "funded", actor=actor, facts=facts)])  # fmt: skip


def _legs_in(
    campaign: UUID, payers: list[Payer], taken: list[int], moved: list[int]
) -> list[ledger.Transfer]:
    """What goes into the budget, and by how much more or less of each waits."""
    legs = []
    for payer, part, more in zip(payers, taken, moved, strict=True):
        funder, waiting = chart.funder(payer.id), chart.contribution(payer.id)
        if part:
            legs.append(_leg(funder, chart.budget(campaign), part, "fund", campaign))
        if more > 0:
            legs.append(_leg(funder, waiting, more, "wait", campaign))
        elif more < 0:
            legs.append(_leg(waiting, funder, -more, "match", campaign))
    return legs


def _leg(
    debit: ledger.Account, credit: ledger.Account, amount: int, kind: str, campaign: UUID
) -> ledger.Transfer:
    return ledger.Transfer(debit=debit, credit=credit, amount=amount, kind=kind, subject=campaign,
                           refusal="unavailable")  # fmt: skip


async def give_back(campaign: UUID, *, actor: str, waiting: bool) -> int:
    """All that is left in the budget, back to the funders by their shares; answers how much.

    In an open transaction that has locked the campaign. With `waiting`, what waits outside goes back too.
    """
    payers = (await payers_of([campaign]))[campaign]
    budget, accounts = chart.budget(campaign), [chart.contribution(payer.id) for payer in payers]
    balances = await ledger.open_and_lock([budget, *accounts])
    shares = [payer.share_bp for payer in payers]
    standing = (await budgets_of([campaign], payers))[campaign]
    stays = split(standing.funded_fen - standing.left_fen, shares)
    back = [before - kept for before, kept in zip(split(standing.funded_fen, shares), stays, strict=True)]
    unmatched = [balances[account.id].available if waiting else 0 for account in accounts]
    legs = [_leg(budget, chart.funder(payer.id), part, "return", campaign)
            for payer, part in zip(payers, back, strict=True) if part]  # fmt: skip
    legs += [_leg(account, chart.funder(payer.id), part, "refund", campaign)
             for payer, account, part in zip(payers, accounts, unmatched, strict=True) if part]  # fmt: skip
    home_fen = sum(back) + sum(unmatched)
    if legs:
        facts = {"amount_fen": home_fen, "reserved_fen": standing.reserved_fen}
        group = ledger.Group(legs=legs, at=clock.now(),
                             inserts=[trail.event(campaign, "returned", actor=actor, facts=facts)])  # fmt: skip
        outcome = (await ledger.apply([group]))[0]
        if not isinstance(outcome, ledger.Answered):
            raise outcome
    return home_fen
