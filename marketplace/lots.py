"""Lots 批次: the grams that one activity record brought, and what became of each gram.

A lot owns a block of serials. Ranges are cut off its front: by settlement for what was consumed, by expiry for what
lapsed. So the ranges and the unspent remainder tile the lot. Lots are spent earliest expiry first; the hot path
touches none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from asyncpg import Range

from marketplace import clock, db, ledger
from marketplace.chart import ISSUANCE, wallet
from marketplace.ids import new_id
from marketplace.registry import EmbeddedRegistry, Issuance

SERIALS_PER_LOT: Final = 1_000_000_000


class Credit(NamedTuple):
    """A quantified activity record that is worth `amount_g` to `resident`."""

    resident: UUID
    record: UUID
    methodology: str
    methodology_version: int
    vintage: int
    city: str
    amount_g: int
    expires_at: datetime


async def lock_wallets(residents: Collection[UUID]) -> None:
    """Hold the residents' wallets until the transaction ends: nothing is credited to them, or spent, meanwhile."""
    await ledger.open_and_lock([wallet(resident) for resident in residents])


async def credit(credits: Sequence[Credit]) -> None:
    """Credit the records: a lot each, its grams in the wallet, its serials in the registry. In an open transaction."""
    if not credits:
        return
    now = clock.now()
    blocks = await db.fetch("SELECT nextval('lot_block') AS block FROM generate_series(1, $1)", len(credits))
    pseudonyms = await registry_accounts({credit.resident for credit in credits})
    wallets = {resident: wallet(resident) for resident in pseudonyms}
    lots = [
        (new_id(), row["block"] * SERIALS_PER_LOT, credit)
        for row, credit in zip(blocks, credits, strict=True)
    ]
    await db.insert_many(
        "lot",
        ("id", "resident", "record", "methodology", "methodology_version", "vintage", "city", "amount_g",
         "first_serial", "credited_at", "expires_at"),
        [
            (lot, c.resident, c.record, c.methodology, c.methodology_version, c.vintage, c.city, c.amount_g,
             first, now, c.expires_at)
            for lot, first, c in lots
        ],
    )  # fmt: skip
    outcomes = await ledger.apply(
        [ledger.Group(legs=[_credited(c, wallets[c.resident])], at=now) for c in credits]
    )
    assert all(isinstance(outcome, ledger.Answered) for outcome in outcomes), "issuance has no limit"
    await EmbeddedRegistry().issue([
        Issuance(
            id=lot, account=pseudonyms[c.resident], serials=(first, first + c.amount_g), methodology=c.methodology,
            methodology_version=c.methodology_version, vintage=c.vintage, city=c.city,
        )
        for lot, first, c in lots
    ])  # fmt: skip


def _credited(credit: Credit, to: ledger.Account) -> ledger.Transfer:
    return ledger.Transfer(
        debit=ISSUANCE, credit=to, amount=credit.amount_g, kind="credit", refusal="unavailable",
        subject=credit.record,
    )  # fmt: skip


async def registry_accounts(residents: Collection[UUID]) -> dict[UUID, UUID]:
    """The pseudonyms under which the registry knows `residents`."""
    rows = await db.fetch("SELECT id, registry_account FROM resident WHERE id = ANY($1)", list(residents))
    return {row["id"]: row["registry_account"] for row in rows}


# ---------------------------------------------------------------- what becomes of the grams
@dataclass(slots=True)
class OpenLot:
    """A lot with grams left; `assigned_g` of its front are spoken for."""

    id: UUID
    resident: UUID
    first_serial: int
    amount_g: int
    assigned_g: int
    expires_at: datetime

    @property
    def left_g(self) -> int:
        return self.amount_g - self.assigned_g

    def cut(self, amount_g: int) -> tuple[int, int]:
        """The serials of the next `amount_g` grams."""
        start = self.first_serial + self.assigned_g
        self.assigned_g += amount_g
        return start, start + amount_g


class Slice(NamedTuple):
    """Serials of one lot that went to `consumption`, or lapsed (None)."""

    lot: UUID
    serials: tuple[int, int]
    consumption: UUID | None


async def lock_open_lots(residents: Collection[UUID]) -> dict[UUID, list[OpenLot]]:
    """The residents' lots with grams left, earliest expiry first, locked in id order until the transaction ends."""
    rows = await db.fetch(
        """SELECT id, resident, first_serial, amount_g, assigned_g, expires_at FROM lot
           WHERE resident = ANY($1) AND assigned_g < amount_g ORDER BY id FOR NO KEY UPDATE""",
        list(residents),
    )
    lots: dict[UUID, list[OpenLot]] = {resident: [] for resident in residents}
    for row in sorted(rows, key=lambda row: (row["expires_at"], row["id"])):
        lots[row["resident"]].append(OpenLot(*row.values()))
    return lots


def spend(lots: Iterable[OpenLot], amount_g: int, *, consumption: UUID) -> list[Slice]:
    """Cut `amount_g` from the front of `lots` in their order."""
    slices = []
    for lot in lots:
        taken = min(lot.left_g, amount_g)
        if taken:
            slices.append(Slice(lot.id, lot.cut(taken), consumption))
            amount_g -= taken
    if amount_g:
        raise AssertionError("a wallet spent more than its lots hold")
    return slices


async def record_slices(slices: Sequence[Slice]) -> None:
    """Write the ranges, and move the front of their lots on. In an open transaction."""
    now = clock.now()
    await db.insert_many(
        "serial_range",
        ("id", "lot", "serials", "consumption", "assigned_at"),
        [(new_id(), piece.lot, Range(*piece.serials), piece.consumption, now) for piece in slices],
    )
    await db.execute(
        """UPDATE lot SET assigned_g = lot.assigned_g + cut.grams
           FROM (SELECT lot, sum(grams)::bigint AS grams FROM unnest($1::uuid[], $2::bigint[]) AS c (lot, grams)
                 GROUP BY lot) AS cut
           WHERE lot.id = cut.lot""",
        [piece.lot for piece in slices],
        [piece.serials[1] - piece.serials[0] for piece in slices],
    )
