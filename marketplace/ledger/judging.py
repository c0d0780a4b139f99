"""The pure half of the ledger: whether a group can happen, and what it moves. No database, no clock."""

from __future__ import annotations

from collections import ChainMap
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
    after: ChainMap[UUID, Balance] = ChainMap({}, balances)  # writes stay in front
    closed: set[UUID] = set()
    entries = []
    for leg in group.legs:
        if isinstance(leg, Post | Release) and leg.pending in resolved:
            raise Refused(leg.refusal)
        entries.append(_entry(leg, group.at, after, holds, closed))
    balances.update(after.maps[0])
    resolved |= closed
    return entries


def _entry(leg: Leg, at: datetime, after: MutableMapping[UUID, Balance], holds: Mapping[UUID, Pending],
           closed: set[UUID]) -> Entry:  # fmt: skip
    if isinstance(leg, Transfer):
        return _moved(leg, after)
    hold = holds[leg.pending]
    if leg.pending in closed:
        raise Refused(leg.refusal)
    closed.add(leg.pending)
    if isinstance(leg, Release):
        _move(after, hold.debit, debits_pending=-hold.amount)
        _move(after, hold.credit, credits_pending=-hold.amount)
        return _resolution(leg, hold, hold.amount, "void")
    if hold.expires_at is not None and at >= hold.expires_at:
        raise Refused(leg.refusal_expired)
    amount = hold.amount if leg.amount is None else leg.amount
    if not 0 < amount <= hold.amount:
        raise ValueError(f"a hold of {hold.amount} cannot be posted as {amount}")
    _move(after, hold.debit, debits_pending=-hold.amount, debits_posted=amount)
    _move(after, hold.credit, credits_pending=-hold.amount, credits_posted=amount)
    return _resolution(leg, hold, amount, "post")


def _moved(leg: Transfer, after: MutableMapping[UUID, Balance]) -> Entry:
    if not 0 < leg.amount <= MAX_AMOUNT:
        raise ValueError(f"an amount of {leg.amount} cannot be transferred")
    if leg.debit.asset != leg.credit.asset or leg.debit.id == leg.credit.id:
        raise ValueError("a transfer stays within an asset, between two accounts")
    pending = isinstance(leg, Hold)
    side = "pending" if pending else "posted"
    debit, credit = after.get(leg.debit.id), after.get(leg.credit.id)
    if debit is not None and debit.available < leg.amount:
        raise Refused(leg.refusal)
    if credit is not None and leg.credit_limit is not None and credit.counted + leg.amount > leg.credit_limit:
        raise Refused(leg.refusal)
    _move(after, leg.debit.id, **{f"debits_{side}": leg.amount})
    _move(after, leg.credit.id, **{f"credits_{side}": leg.amount})
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


def _move(after: MutableMapping[UUID, Balance], account: UUID, **amounts: int) -> None:
    balance = after.get(account)
    if balance is not None:
        after[account] = balance.moved(**amounts)
