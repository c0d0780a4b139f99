"""The world of the scenarios: a demonstration, with more residents and offers, that every scenario gets a copy of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from marketplace import pools
from marketplace.identity.tokens import Principal, issue_token
from merchants.staff import add_staff
from tests import builders
from tests.bench.world import make_residents, token_of
from tests.faults.machines import Cluster, command, opened

RESIDENTS = 120
POOL = 300
BUDGETED = 40  # coupons that the small budget pays for


@dataclass(frozen=True)
class Offered:
    """An offer of the world's publisher, and the grams it costs."""

    id: str
    price_g: int


@dataclass(frozen=True)
class World:
    """Tokens of who may act, and what they may take. `offers` are what the crowd lives on."""

    residents: list[str]
    tokens: list[str]
    publisher: str
    till_token: str
    staff_token: str
    other_till_token: str
    other_staff_token: str
    offers: list[Offered]
    last_unit: Offered
    everything: Offered  # costs all that a resident of the world has
    dated: Offered  # its coupons are good for seven days
    demonstration: dict[str, Any]


async def make(cluster: Cluster, home: Path) -> World:
    """Make it in the database `world` of the cluster."""
    await cluster.copy("template1", "world")
    await command("demo", home=home, url=cluster.url("world"))
    demonstration = await command("demo-credentials", home=home, url=cluster.url("world"))
    async with opened(cluster.url("world")):
        return await _made(demonstration)


async def _made(demonstration: dict[str, Any]) -> World:
    residents = await make_residents(RESIDENTS)
    publisher = await builders.a_publisher()
    till = await _till(publisher)  # before the offers, which are good in the stores of their day
    gift = await _offer(publisher, kind="gift", price_g=100)
    offers = [
        gift,
        await _offer(publisher, kind="cash_coupon", price_g=50, campaign=await builders.a_campaign(10**9), stock=10**6,
                     limit=10**5),
        await _offer(publisher, kind="cash_coupon", price_g=70, campaign=await builders.a_campaign(BUDGETED * 1_000)),
        await _offer(publisher, kind="ticket", price_g=90, stock=60),
        await _offer(publisher, kind="donation", price_g=30),
        await _offer(publisher, kind="code", price_g=40),
    ]  # fmt: skip
    codes = [f"POOL-{number:05d}" for number in range(POOL)]
    await pools.add_codes(publisher=publisher, offer=UUID(offers[-1].id), codes=codes)
    other = await builders.a_publisher(name="江滩公园")
    return World(
        residents=[str(resident) for resident in residents],
        tokens=[token_of(resident) for resident in residents],
        publisher=str(publisher),
        till_token=till,
        staff_token=await _staff(publisher, "owner-one"),
        other_till_token=await _till(other),
        other_staff_token=await _staff(other, "owner-two"),
        offers=offers,
        last_unit=await _offer(publisher, kind="gift", price_g=100, stock=1),
        everything=await _offer(publisher, kind="gift", price_g=1_000_000),
        dated=await _offer(publisher, kind="gift", price_g=60, coupon_valid_days=7),
        demonstration=demonstration,
    )


async def _offer(publisher: UUID, **terms: Any) -> Offered:
    offer = await builders.an_offer(publisher=publisher, **terms)
    return Offered(str(offer.id), terms["price_g"])


async def _till(publisher: UUID) -> str:
    till = await builders.a_till(await builders.a_store(publisher, name="光谷店"))
    return await issue_token(Principal("till", str(till)))


async def _staff(publisher: UUID, login: str) -> str:
    staff = await add_staff(
        publisher=publisher, login=login, name="店长", password="fault-suite", role="owner"
    )
    return await issue_token(Principal("staff", str(staff.id)))


__all__ = ["Offered", "World", "make"]
