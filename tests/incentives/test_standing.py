"""What is known of a resident when a rule asks: read from what happened, as of now."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from incentives.channels import QuantityRecord, open_channel, submit_records
from incentives.eligibility import RuleEligibility
from incentives.programmes import NewProgramme, create_programme, enrol, leave
from incentives.rules import FACTS
from incentives.standing import facts_of, since
from marketplace import clock, db
from marketplace.identity.stores import MemoryStore
from marketplace.offers.eligibility import Verdict
from marketplace.residents import create_resident, link
from marketplace.wallets import wallet_of
from tests import builders
from tests.builders import a_person, a_resident, an_id_number, an_offer

pytestmark = pytest.mark.usefixtures("database")


async def facts(resident: UUID) -> dict[str, Any]:
    """All facts of `resident`, by name."""
    by_root = await facts_of(resident, FACTS)
    return {f"{root}.{name}": value for root, named in by_root.items() for name, value in named.items()}


async def fact(resident: UUID, name: str) -> Any:
    return (await facts(resident))[name]


async def did(resident: UUID, methodology: str, quantity: str, *, at: datetime, card: str = "one") -> None:
    """One record of a channel of that methodology, by a `card` of the resident's own."""
    if await db.fetch_row("SELECT 1 FROM channel WHERE key = $1", methodology) is None:
        await open_channel(key=methodology, name=methodology, methodology=methodology)
    await link(resident=resident, channel=methodology, subject=card)
    record = QuantityRecord(
        record_id=card, subject=card, started_at=at.isoformat(), quantity=Decimal(quantity)
    )
    (outcome,) = await submit_records(methodology, [record])
    assert outcome.credited_g


async def verdict(resident: UUID, rule: str) -> Verdict:
    return (await RuleEligibility().verdicts(resident=resident, rules=[rule]))[rule]


async def test_every_fact_is_there_for_a_new_resident():
    known = await facts(await create_resident(city="420500"))
    assert known.keys() == FACTS.keys()
    now = clock.now().astimezone(clock.SHANGHAI)
    assert known | {"now.weekday": 0, "now.hour": 0} == {
        "resident.city": "420500", "resident.verified": False, "resident.age_band": "", "resident.programmes": [],
        "resident.tier": 1, "resident.first_redemption": True, "year.saved_g": 0, "year.mobility_g": 0,
        "year.energy_g": 0, "year.recycling_g": 0, "year.consumption_g": 0, "wallet.available_g": 0,
        "wallet.earned_g": 0, "now.weekday": 0, "now.hour": 0,
    }  # fmt: skip
    assert known["now.weekday"] == now.isoweekday()


async def test_reductions_of_the_last_year_are_added_up_by_the_domain_of_their_methodology():
    resident, yesterday = await create_resident(), clock.now() - timedelta(days=1)
    await did(resident, "metro-wuhan", "100", at=yesterday)
    await did(resident, "home-power-wuhan", "10", at=yesterday)
    await did(resident, "own-bag-wuhan", "1", at=yesterday)
    known = await facts(resident)
    assert (known["year.mobility_g"], known["year.energy_g"], known["year.recycling_g"]) == (7_840, 5_250, 0)
    assert known["year.consumption_g"] > 0
    assert known["year.saved_g"] == 7_840 + 5_250 + known["year.consumption_g"] == known["wallet.earned_g"]
    assert known["resident.tier"] == 2


async def test_the_last_year_begins_with_the_day_365_days_ago_in_shanghai():
    resident, begin = await create_resident(), since(clock.now())
    local = begin.astimezone(clock.SHANGHAI)
    assert (local.hour, local.minute) == (0, 0)
    assert clock.local_day(clock.now()) - local.date() == timedelta(days=365)
    await did(resident, "metro-wuhan", "10", at=begin)
    await did(resident, "metro-wuhan", "1000", at=begin - timedelta(seconds=1), card="two")
    assert await fact(resident, "year.saved_g") == 784
    with clock.travelled(timedelta(days=1)):
        assert await fact(resident, "year.saved_g") == 0


async def test_what_was_ever_earned_is_what_the_wallet_says():
    offer, resident = await an_offer(price_g=300), await a_resident(1_000)
    till = await builders.a_till(of=offer)
    _, code = await builders.redeemed(offer, resident)
    undone = await builders.verify(till, code)
    await builders.reverse(till, undone["id"])
    await builders.verify(till, code)
    known, wallet = await facts(resident), await wallet_of(resident)
    assert (known["wallet.earned_g"], known["wallet.available_g"]) == (1_000, 700)
    assert (wallet.earned_g, wallet.available_g) == (1_000, 700)


async def test_a_redemption_is_the_first_until_one_is_not_given_back():
    offer, resident = await an_offer(), await a_resident()
    redemption, _ = await builders.redeemed(offer, resident)
    assert not await fact(resident, "resident.first_redemption")
    await builders.cancel(resident, redemption)
    assert await fact(resident, "resident.first_redemption")


async def test_the_age_band_follows_from_the_year_of_birth_that_the_real_name_check_found():
    store = MemoryStore()
    year = clock.local_day(clock.now()).year
    _, resident = await a_person("13800000001", an_id_number(born=f"{year - 30}0101"), store=store)
    known = await facts(resident)
    assert (known["resident.verified"], known["resident.age_band"]) == (True, "25-34")
    assert (await verdict(resident, "resident.age_band in ['25-34', '35-44']")).reasons == []
    with clock.travelled(timedelta(days=6 * 366)):
        assert await fact(resident, "resident.age_band") == "35-44"


async def test_members_of_a_programme_are_told_apart_for_as_long_as_they_are():
    await create_programme(NewProgramme("wugang", "武钢", "employer"))
    resident = await create_resident(phone="13800000002")
    rule = "'wugang' in resident.programmes"
    (reason,) = (await verdict(resident, rule)).reasons
    assert (reason.code, reason.why, reason.facts["names"]) == ("not_eligible", "not_a_member", ["武钢"])
    await enrol("wugang", ["13800000002"])
    assert (await verdict(resident, rule)).reasons == []
    await leave(resident=resident, programme="wugang")
    assert (await verdict(resident, rule)).reasons


async def test_the_facts_are_read_once_however_many_rules_ask(monkeypatch):
    from incentives import eligibility

    asked = []

    async def counted(resident: UUID, names: Any) -> Any:
        asked.append(names)
        return await facts_of(resident, names)

    monkeypatch.setattr(eligibility, "facts_of", counted)
    rules = [f"wallet.earned_g >= {n} && resident.city == '420100'" for n in range(50)]
    verdicts = await RuleEligibility().verdicts(resident=await a_resident(10), rules=rules)
    assert [bool(verdicts[rule].reasons) for rule in rules] == [n > 10 for n in range(50)]
    assert asked == [{"wallet.earned_g", "resident.city"}]


async def test_a_rule_that_was_one_once_and_is_none_any_more_says_no():
    (reason,) = (await verdict(await a_resident(), "resident.shoe_size > 40")).reasons
    assert (reason.code, reason.why) == ("not_eligible", "condition_not_met")
    assert [error.code for error in RuleEligibility().check("resident.shoe_size > 40")] == [
        "rule_fact_unknown"
    ]


async def test_a_rule_that_only_a_first_redemption_passes_is_told_apart():
    resident = await a_resident()
    assert (await verdict(resident, "resident.first_redemption && resident.tier >= 1")).first_only
    assert not (await verdict(resident, "resident.first_redemption || resident.tier >= 1")).first_only
    assert not (await verdict(resident, "resident.tier >= 1")).first_only
