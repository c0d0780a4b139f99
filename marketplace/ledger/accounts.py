"""Accounts: who stands on either side of a transfer, and how much a limited one holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal
from uuid import UUID

import msgspec

from marketplace import db
from marketplace.ids import derived_id

Asset = Literal["CO2E_G", "CNY_FEN", "UNIT"]


class Account(msgspec.Struct, frozen=True):
    """One side of a transfer.

    A `limited` account carries balances, is locked when it moves and may not be overdrawn; any other has none.
    """

    id: UUID
    asset: Asset
    code: str
    owner: UUID | None
    limited: bool


def account(
    asset: Asset, code: str, owner: UUID | None = None, *, limited: bool = False, scope: str = ""
) -> Account:
    """The account for `code` of `owner` (within `scope`): its id follows from these, so it need not be looked up."""
    return Account(derived_id(asset, code, f"{owner or ''}{scope}"), asset, code, owner, limited)


class Balance(msgspec.Struct, frozen=True):
    """The four running totals of a limited account, in its asset's unit."""

    debits_pending: int = 0
    debits_posted: int = 0
    credits_pending: int = 0
    credits_posted: int = 0

    @property
    def available(self) -> int:
        """What may still be debited."""
        return self.credits_posted - self.debits_posted - self.debits_pending

    @property
    def counted(self) -> int:
        """What has been credited or is about to be, less what went back: how far a counter has come."""
        return self.credits_posted + self.credits_pending - self.debits_posted - self.debits_pending

    def moved(self, *, debits_pending: int = 0, debits_posted: int = 0, credits_pending: int = 0,
              credits_posted: int = 0) -> Balance:  # fmt: skip
        """The balance after a further movement."""
        return Balance(
            self.debits_pending + debits_pending,
            self.debits_posted + debits_posted,
            self.credits_pending + credits_pending,
            self.credits_posted + credits_posted,
        )


async def open_and_lock(accounts: Iterable[Account], also: Collection[UUID] = ()) -> dict[UUID, Balance]:
    """Make the accounts that do not exist yet, lock the limited ones, and read their balances. In an open transaction.

    `also` are accounts that exist. Rows are made and locked in id order, the lock order of the house.
    """
    wanted = list({account.id: account for account in accounts}.values())
    rows = await db.fetch(
        "SELECT * FROM ledger_open_and_lock($1, $2, $3, $4, $5, $6)",
        [account.id for account in wanted],
        [account.asset for account in wanted],
        [account.code for account in wanted],
        [account.owner for account in wanted],
        [account.limited for account in wanted],
        list(also),
    )
    return {row[0]: Balance(row[1], row[2], row[3], row[4]) for row in rows}


async def balances(ids: Collection[UUID]) -> dict[UUID, Balance]:
    """Balances of limited accounts as they are now, without a lock; an account not opened yet is empty."""
    rows = await db.fetch(
        """SELECT id, debits_pending, debits_posted, credits_pending, credits_posted
           FROM ledger_account WHERE id = ANY($1) AND limited""",
        list(ids),
    )
    found = {row[0]: Balance(row[1], row[2], row[3], row[4]) for row in rows}
    return {account: found.get(account, Balance()) for account in ids}
