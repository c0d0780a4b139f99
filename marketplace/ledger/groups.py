"""What is asked of the ledger: groups of transfers that happen together, with the rows that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from marketplace.ids import new_id
from marketplace.ledger.accounts import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Move `amount` (of the accounts' asset, at least 1) from `debit` to `credit` at once.

    `refusal` is the code a caller is told when `debit` has too little, or `credit` would pass `credit_limit`.
    """

    debit: Account
    credit: Account
    amount: int
    kind: str
    refusal: str
    subject: UUID | None = None
    credit_limit: int | None = None
    id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Transfer):
    """A pending transfer: it takes what is available now and moves it when it is posted, until `expires_at`."""

    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Resolve the hold `pending` by moving `amount` of it (all if None); the rest goes back."""

    pending: UUID
    amount: int | None = None
    refusal: str
    refusal_expired: str
    id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Resolve the hold `pending` by giving all of it back (`void`)."""

    pending: UUID
    refusal: str
    id: UUID = field(default_factory=new_id)


Leg = Transfer | Hold | Post | Release


@dataclass(frozen=True, slots=True)
class Effect:
    """A statement that belongs to a group: it must touch exactly `rows` rows, or the group is refused as `refusal`."""

    sql: str
    arguments: Sequence[Any]
    refusal: str
    rows: int = 1


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """One effect per (principal, operation, key); `request_hash` tells a repeat from another request."""

    principal: str
    operation: str
    key: str
    request_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Legs that succeed or fail together, the rows that go with them, and the answer that a repeat is given."""

    legs: Sequence[Leg]
    at: datetime
    effects: Sequence[Effect] = ()
    key: IdempotencyKey | None = None
    answer: Any = None
    id: UUID = field(default_factory=new_id)
