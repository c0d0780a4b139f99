"""Accounts: who stands on either side of a transfer, and how much a limited one holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from marketplace import db
from marketplace.ids import derived_id

Asset = Literal["CO2E_G", "CNY_FEN", "UNIT"]


@dataclass(frozen=True, slots=True)
class Account:
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


@dataclass(frozen=True, slots=True)
class Balance:
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
        return replace(
            self,
            debits_pending=self.debits_pending + debits_pending,
            debits_posted=self.debits_posted + debits_posted,
            credits_pending=self.credits_pending + credits_pending,
            credits_posted=self.credits_posted + credits_posted,
        )


async def open_accounts(accounts: Iterable[Account]) -> None:
    """Make the accounts that do not exist yet; rows are inserted in id order, so that two callers cannot deadlock."""
    wanted = sorted({account.id: account for account in accounts}.values(), key=lambda account: account.id)
    known = {
        row["id"]
        for row in await db.fetch("SELECT id FROM ledger_account WHERE id = ANY($1)", [a.id for a in wanted])
    }
    missing = [account for account in wanted if account.id not in known]
    if not missing:
        return
    await db.execute(
        """INSERT INTO ledger_account (id, asset, code, owner, limited)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::boolean[])
           ON CONFLICT (id) DO NOTHING""",
        [account.id for account in missing],
        [account.asset for account in missing],
        [account.code for account in missing],
        [account.owner for account in missing],
        [account.limited for account in missing],
    )


async def lock(ids: Collection[UUID]) -> dict[UUID, Balance]:
    """Lock the limited ones of these accounts in id order (the lock order of the house), and read their balances."""
    rows = await db.fetch(
        """SELECT id, debits_pending, debits_posted, credits_pending, credits_posted
           FROM ledger_account WHERE id = ANY($1) AND limited ORDER BY id FOR NO KEY UPDATE""",
        list(ids),
    )
    return {row["id"]: _balance(row) for row in rows}


async def balances(ids: Collection[UUID]) -> dict[UUID, Balance]:
    """Balances of limited accounts as they are now, without a lock; an account not opened yet is empty."""
    rows = await db.fetch(
        """SELECT id, debits_pending, debits_posted, credits_pending, credits_posted
           FROM ledger_account WHERE id = ANY($1) AND limited""",
        list(ids),
    )
    found = {row["id"]: _balance(row) for row in rows}
    return {account: found.get(account, Balance()) for account in ids}


def _balance(row: db.Row) -> Balance:
    return Balance(row["debits_pending"], row["debits_posted"], row["credits_pending"], row["credits_posted"])
