"""What is asked of the ledger: groups of transfers that happen together, with the rows that go with them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Literal
from uuid import UUID

import msgspec
from asyncpg.pgproto import pgproto

from marketplace.ids import new_id
from marketplace.ledger.accounts import Account


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
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
    id: UUID = msgspec.field(default_factory=new_id)


class Hold(Transfer, frozen=True, kw_only=True):
    """A pending transfer: it takes what is available now and moves it when it is posted, until `expires_at`."""

    expires_at: datetime | None = None


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """Resolve the hold `pending` by moving `amount` of it (all if None); the rest goes back."""

    pending: UUID
    amount: int | None = None
    refusal: str
    refusal_expired: str
    id: UUID = msgspec.field(default_factory=new_id)


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """Resolve the hold `pending` by giving all of it back (`void`)."""

    pending: UUID
    refusal: str
    id: UUID = msgspec.field(default_factory=new_id)


Leg = Transfer | Hold | Post | Release


class Relation(msgspec.Struct, frozen=True):
    """A table that groups write rows to. Lower ranks are written first, so that foreign keys find what they name."""

    name: str
    columns: tuple[str, ...]
    rank: int


class Insert(msgspec.Struct, frozen=True):
    """A row that belongs to a group."""

    into: Relation
    values: tuple[Any, ...]


class Step(msgspec.Struct, frozen=True):
    """A statement for many groups at once; the group is refused as `refusal` where it does not succeed.

    `sql` takes one array for each of `values` and answers the places, from 1, of the elements it succeeded for.
    """

    sql: str
    values: tuple[Any, ...]
    refusal: str


class IdempotencyKey(msgspec.Struct, frozen=True, dict=True):
    """One effect per (principal, operation, key); `request_hash` tells a repeat from another request."""

    principal: str
    operation: str
    key: str
    request_hash: bytes

    @cached_property
    def id(self) -> UUID:
        """What it is stored under: the first 16 bytes of the SHA-256 of its three parts, a line each."""
        parts = f"{self.principal}\n{self.operation}\n{self.key}".encode()
        return pgproto.UUID(hashlib.sha256(parts).digest()[:16])


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Legs that succeed or fail together, with all that belongs to them, and the answer that a repeat is given.

    `requires` are read under the locks before anything is judged; `inserts` and then `changes` are written with the
    legs.
    """

    legs: Sequence[Leg]
    at: datetime
    requires: Sequence[Step] = ()
    inserts: Sequence[Insert] = ()
    changes: Sequence[Step] = ()
    key: IdempotencyKey | None = None
    answer: Any = None
    id: UUID = msgspec.field(default_factory=new_id)


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A hold as it is stored."""

    debit: UUID
    credit: UUID
    amount: int
    kind: str
    subject: UUID | None
    expires_at: datetime | None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the journal, to be written."""

    id: UUID
    debit: UUID
    credit: UUID
    amount: int
    kind: str
    phase: Literal["posted", "pending", "post", "void"]
    pending_id: UUID | None = None
    expires_at: datetime | None = None
    credit_limit: int | None = None
    subject: UUID | None = None
