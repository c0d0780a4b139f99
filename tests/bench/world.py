"""What the benchmarks run in: a database of their own, with residents who have grams and tokens, and live offers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from marketplace import clock, db, lots
from marketplace.ids import new_id
from marketplace.publishers import create_campaign
from tests import builders

GRAMS = 1_000_000
AT_ONCE = 2_000


@dataclass(frozen=True)
class World:
    """Tokens of residents; one offer that everybody wants, and many that are taken by turns."""

    tokens: list[str]
    residents: list[UUID]
    hot: str
    spread: list[str]


def token_of(resident: UUID) -> str:
    """A token that follows from the resident's id: good in a database of the benchmarks only."""
    return "ct_" + hashlib.sha256(resident.bytes).hexdigest()[:43]


async def make(*, residents: int, offers: int) -> World:
    """Make it all in the open database: each offer with a stock, a limit per resident and a budget that pays for it."""
    made = await make_residents(residents)
    campaign = await builders.a_campaign(10**13)
    publisher = await builders.a_publisher()
    await builders.a_store(publisher)
    ids = [
        str((await builders.an_offer(
            publisher=publisher, kind="cash_coupon", price_g=10, stock=10_000_000, limit=1_000_000, campaign=campaign,
        )).id)
        for _ in range(offers + 1)
    ]  # fmt: skip
    await db.execute("ANALYZE")
    return World([token_of(resident) for resident in made], made, ids[0], ids[1:])


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
                [(hashlib.sha256(token_of(r).encode()).digest(), "resident", str(r), now) for r in some],
            )  # fmt: skip
            await lots.credit([
                lots.Credit(resident=r, record=new_id(), methodology="bike-wuhan", methodology_version=1, vintage=2026,
                            city="420100", amount_g=GRAMS, expires_at=now + timedelta(days=1_000))
                for r in some
            ])  # fmt: skip
    return made


__all__ = ["World", "create_campaign", "make", "token_of"]
