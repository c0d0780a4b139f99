"""A first redemption is one, whatever is tried at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import nullcontext
from uuid import UUID

import pytest

from incentives.eligibility import RuleEligibility
from marketplace import ledger
from marketplace.offers.view import OfferView
from marketplace.redemptions import redeem
from tests import builders
from tests.builders import a_publisher, a_resident, an_offer, code_of

pytestmark = pytest.mark.usefixtures("database")

RULE = "resident.first_redemption"


async def offers(number: int) -> list[OfferView]:
    publisher = await a_publisher(stores=["光谷店"])
    return [
        await an_offer(publisher=publisher, eligibility=RULE, rules=RuleEligibility()) for _ in range(number)
    ]


async def take(resident: UUID, offer: OfferView) -> str:
    try:
        await redeem(resident=resident, offer=offer.id, key=None, eligibility=RuleEligibility())
    except Exception as error:
        return code_of(error)
    return "ok"


@pytest.mark.parametrize("batched", [False, True])
async def test_of_many_offers_for_newcomers_taken_at_once_one_is_given(batched):
    newcomers, choice = [await a_resident() for _ in range(3)], await offers(6)
    async with ledger.batching() if batched else nullcontext():
        taken = await asyncio.gather(*(take(resident, offer) for resident in newcomers for offer in choice))
    assert Counter(taken) == {"ok": 3, "not_eligible": 15}
    for resident in newcomers:
        assert await builders.held_g(resident) == 100


async def test_after_a_first_redemption_was_given_back_there_is_a_first_again():
    (offer,) = await offers(1)
    resident = await a_resident()
    redemption = await redeem(resident=resident, offer=offer.id, key=None, eligibility=RuleEligibility())
    assert await take(resident, offer) == "not_eligible"
    await builders.cancel(resident, UUID(redemption["id"]))
    assert await take(resident, offer) == "ok"
