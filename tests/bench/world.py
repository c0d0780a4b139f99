"""What the benchmarks run in: residents who have grams and tokens, and live offers, made through the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg

import app
from marketplace import clock, db, lots
from marketplace.ids import new_id
from marketplace.settings import Settings
from tests import builders

GRAMS = 1_000_000
BUDGET_FEN = 10**12
PRICE_G = 10
STOCK = 10_000_000
LIMIT = 1_000_000
AT_ONCE = 5_000


@dataclass(frozen=True)
class World:
    """Residents, one offer that everybody wants, and many that are taken by chance."""

    residents: list[UUID]
    hot: UUID
    spread: list[UUID]

    def tokens(self, at_most: int | None = None) -> list[str]:
        return [token_of(resident) for resident in self.residents[:at_most]]


def token_of(resident: UUID) -> str:
    """A token that follows from the resident's id: good in a database of the benchmarks only."""
    return "ct_" + hashlib.sha256(resident.bytes).hexdigest()[:43]


def digest_of(resident: UUID) -> bytes:
    """What is kept of the token."""
    return hashlib.sha256(token_of(resident).encode()).digest()


@asynccontextmanager
async def opened(url: str, home: Path) -> AsyncIterator[None]:
    """The database at `url`, migrated and open in this process to be filled: who fills it need not wait for the disk.

    Whoever connects after the block waits again.
    """
    await _set(url, "SET synchronous_commit = off")
    try:
        async with app.ready(url, Settings(home=home)):
            yield
    finally:
        await _set(url, "RESET synchronous_commit")


async def _set(url: str, what: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"ALTER DATABASE {urlsplit(url).path[1:]} {what}")
    await connection.close()


async def make(*, residents: int, offers: int) -> World:
    """Make it all in the open database. Each offer has a stock, a limit per resident and a budget of its own that pays
    for it, so that only the hot one is hot."""
    made = await make_residents(residents)
    publisher = await builders.a_publisher()
    await builders.a_store(publisher)
    ids = [
        (await builders.an_offer(
            publisher=publisher, kind="cash_coupon", price_g=PRICE_G, stock=STOCK, limit=LIMIT,
            campaign=await builders.a_campaign(BUDGET_FEN),
        )).id
        for _ in range(offers + 1)
    ]  # fmt: skip
    await db.execute("VACUUM ANALYZE")
    return World(made, ids[0], ids[1:])


async def make_residents(number: int) -> list[UUID]:
    """Residents with a token and one lot of a ton each."""
    made = [new_id() for _ in range(number)]
    now = clock.now()
    for start in range(0, number, AT_ONCE):
        some = made[start : start + AT_ONCE]
        async with db.transaction():
            await db.insert_many(
                "resident", ("id", "registry_account", "created_at"), [(r, uuid4(), now) for r in some]
            )
            await db.insert_many(
                "access_token", ("hash", "role", "subject", "created_at"),
                [(digest_of(r), "resident", str(r), now) for r in some],
            )  # fmt: skip
            await lots.credit([
                lots.Credit(resident=r, record=new_id(), methodology="bike-wuhan", methodology_version=1, vintage=2026,
                            city="420100", amount_g=GRAMS, expires_at=now + timedelta(days=1_000))
                for r in some
            ])  # fmt: skip
    return made
