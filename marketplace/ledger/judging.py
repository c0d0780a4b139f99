"""The pure half of the ledger: whether a group can happen, and what it moves. No database, no clock."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from datetime import datetime
from typing import Literal
from uuid import UUID

from marketplace.errors import Refused
from marketplace.ledger.accounts import Balance
from marketplace.ledger.groups import Entry, Group, Hold, Leg, Pending, Post, Release, Transfer

MAX_AMOUNT = 2**53  # far above any real amount, far below the limit of the column


def judge(group: Group, balances: MutableMapping[UUID, Balance], holds: Mapping[UUID, Pending],
          resolved: set[UUID]) -> list[Entry]:  # fmt: skip
    """The entries of `group`, its movements applied to `balances` and `resolved`.

    `balances` holds the limited accounts only. Raises Refused with the leg's code, and then changes nothing.
    """
    after = _Balances(balances)
    closed: set[UUID] = set()
    entries = []
    for leg in group.legs:
        if isinstance(leg, Post | Release) and leg.pending in resolved:
            raise Refused(leg.refusal)
        entries.append(_entry(leg, group.at, after, holds, closed))
    balances.update(after.moved)
    resolved |= closed
    return entries


class _Balances:
    """The balances as a group leaves them: what it moved, in front of what there was."""

    __slots__ = ("_before", "moved")

    def __init__(self, before: Mapping[UUID, Balance]) -> None:
        self._before = before
        self.moved: dict[UUID, Balance] = {}

    def get(self, account: UUID) -> Balance | None:
        return self.moved.get(account) or self._before.get(account)

    def move(self, account: UUID, **amounts: int) -> None:
        balance = self.get(account)
        if balance is not None:
            self.moved[account] = balance.moved(**amounts)


def _entry(
    leg: Leg, at: datetime, after: _Balances, holds: Mapping[UUID, Pending], closed: set[UUID]
) -> Entry:
    if isinstance(leg, Transfer):
        return _moved(leg, after)
    hold = holds[leg.pending]
    if leg.pending in closed:
        raise Refused(leg.refusal)
    closed.add(leg.pending)
    if isinstance(leg, Release):
        after.move(hold.debit, debits_pending=-hold.amount)
        after.move(hold.credit, credits_pending=-hold.amount)
        return _resolution(leg, hold, hold.amount, "void")
    if hold.expires_at is not None and at >= hold.expires_at:
        raise Refused(leg.refusal_expired)
    amount = hold.amount if leg.amount is None else leg.amount
    if not 0 < amount <= hold.amount:
        raise ValueError(f"a hold of {hold.amount} cannot be posted as {amount}")
    after.move(hold.debit, debits_pending=-hold.amount, debits_posted=amount)
    after.move(hold.credit, credits_pending=-hold.amount, credits_posted=amount)
    return _resolution(leg, hold, amount, "post")


def _moved(leg: Transfer, after: _Balances) -> Entry:
    if not 0 < leg.amount <= MAX_AMOUNT:
        raise ValueError(f"an amount of {leg.amount} cannot be transferred")
    if leg.debit.asset != leg.credit.asset or leg.debit.id == leg.credit.id:
        raise ValueError("a transfer stays within an asset, between two accounts")
    pending = isinstance(leg, Hold)
    debit = after.get(leg.debit.id) if leg.debit.limited else None
    credit = after.get(leg.credit.id) if leg.credit.limited else None
    if debit is not None and debit.available < leg.amount:
        raise Refused(leg.refusal)
    if credit is not None and leg.credit_limit is not None and credit.counted + leg.amount > leg.credit_limit:
        raise Refused(leg.refusal)
    if debit is not None:
        after.moved[leg.debit.id] = (
            debit.moved(debits_pending=leg.amount) if pending else debit.moved(debits_posted=leg.amount)
        )
    if credit is not None:
        after.moved[leg.credit.id] = (
            credit.moved(credits_pending=leg.amount) if pending else credit.moved(credits_posted=leg.amount)
        )
    return Entry(
        id=leg.id, debit=leg.debit.id, credit=leg.credit.id, amount=leg.amount, kind=leg.kind,
        phase="pending" if pending else "posted",
        expires_at=leg.expires_at if isinstance(leg, Hold) else None,
        credit_limit=leg.credit_limit, subject=leg.subject,
    )  # fmt: skip


def _resolution(leg: Post | Release, hold: Pending, amount: int, phase: Literal["post", "void"]) -> Entry:
    return Entry(
        id=leg.id, debit=hold.debit, credit=hold.credit, amount=amount, kind=hold.kind, phase=phase,
        pending_id=leg.pending, subject=hold.subject,
    )  # fmt: skip
