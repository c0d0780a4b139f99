"""Forecasts of offers out of a database: the sample, past offers, what is kept, and the operator's dry run."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from incentives.eligibility import RuleEligibility
from incentives.forecasts import forecasting
from incentives.forecasts.dry_run import dry_run
from incentives.forecasts.forecasting import Forecast, forecast
from incentives.forecasts.history import comparable
from incentives.forecasts.kept import foresee_waiting, kept_forecast
from incentives.forecasts.reading import past_of, read_sample
from incentives.forecasts.sample import facts_of_page
from incentives.programmes import NewProgramme, create_programme
from incentives.rules import FACTS
from incentives.standing import facts_of
from marketplace import clock, db
from marketplace.errors import Invalid, NotFound, Refused, Unavailable
from marketplace.identity.stores import MemoryStore
from marketplace.ids import new_id
from marketplace.offers import lifecycle
from marketplace.offers.eligibility import NoRules
from marketplace.offers.shared_limits import NewLimit, Owner, create_limit
from marketplace.offers.terms import Limits
from tests import builders

RULES = RuleEligibility()


async def a_draft(**more) -> UUID:
    publisher = more.pop("publisher", None) or await builders.a_publisher(stores=["光谷店"])
    return (await builders.a_draft(publisher, **more)).id


async def some_residents(count: int, *, available_g: int = 1_000) -> list[UUID]:
    return [await builders.a_resident(available_g) for _ in range(count)]


def counts(found: Forecast) -> dict[str, int | None]:
    return {step.step: step.count for step in found.funnel}


# ------------------------------------------------------------------ who could take it
async def test_the_funnel_leads_from_all_residents_to_whom_the_rule_allows_it(database):
    await some_residents(12, available_g=0)
    await some_residents(11, available_g=50)
    residents = await some_residents(20)
    for resident in residents[:10]:
        await db.execute("UPDATE resident SET city = '420500' WHERE id = $1", resident)

    found = await forecast(await a_draft(price_g=100, eligibility='resident.city == "420500"'))

    assert counts(found) == {"all": 40, "active": 30, "enough_grams": 20, "rule_holds": 10}
    assert (found.sampled, found.basis.level, found.cap, found.ending) == (43, "prior", None, None)
    assert len(found.days) == 90


async def test_of_fewer_than_ten_nothing_is_said_and_nothing_is_forecast(database):
    await some_residents(9)
    found = await forecast(await a_draft(price_g=100))
    assert set(counts(found).values()) == {None}
    assert (found.days, found.taken) == ([], None)


async def test_what_is_held_spent_or_given_back_is_in_the_wallets_as_it_was(database):
    resident, offer = await builders.a_resident(1_000), await builders.an_offer(price_g=300)
    _, code = await builders.redeemed(offer, resident)
    await builders.verify(await builders.a_till(of=offer), code)
    taken = await builders.redeem(resident, offer)
    await builders.redeem(resident, offer)
    await builders.cancel(resident, UUID(taken["id"]))

    sample = await read_sample(today=clock.local_day(clock.now()))

    (wallet,) = sample.wallets
    assert (wallet.available_g, sum(wallet.moved_g.values())) == (400, 400)
    assert wallet.past_g()[-2:] == [0, 400]
    assert sample.redeemed == [2]  # the cancelled one is none
    assert (sum(sample.weekdays), sum(sample.hours)) == (2, 2)


async def test_closed_accounts_and_what_is_older_than_13_weeks_do_not_count(database):
    with clock.travelled(timedelta(days=-100)):
        asleep = await builders.a_resident(700)
    awake, gone = await builders.a_resident(500), await builders.a_resident(0)
    async with db.transaction():
        await db.execute("UPDATE resident SET closed_at = now() WHERE id = $1", gone)
        await db.execute(
            "INSERT INTO identity_event (id, resident, event, created_at) VALUES ($1, $2, 'closed', now())",
            new_id(), gone,
        )  # fmt: skip
    sample = await read_sample(today=clock.local_day(clock.now()))
    active = {resident: wallet.active for resident, wallet in zip(sample.ids, sample.wallets, strict=True)}
    assert active == {asleep: False, awake: True}
    assert sample.residents == 2


async def test_the_facts_of_a_page_are_those_of_each_resident(database):
    residents = [await builders.a_resident(grams) for grams in (0, 300, 5_000)]
    await builders.a_person("13800138000", builders.an_id_number(born="19900101"), store=MemoryStore())
    await db.execute("UPDATE resident SET city = '420500' WHERE id = $1", residents[0])
    offer = await builders.an_offer(price_g=100)
    _, code = await builders.redeemed(offer, residents[2])
    till = await builders.a_till(of=offer)
    verification = await builders.verify(till, code)
    await builders.reverse(till, verification["id"])
    await create_programme(NewProgramme(key="metro", name="地铁", kind="industry"))
    await db.execute(
        "INSERT INTO programme_member (id, programme, resident, joined_at) VALUES ($1, 'metro', $2, now())",
        new_id(), residents[1],
    )  # fmt: skip
    sample = await read_sample(today=clock.local_day(clock.now()))
    page = await facts_of_page(sample.ids, FACTS, sample.wallets)
    for resident, facts in zip(sample.ids, page, strict=True):
        alone = await facts_of(resident, FACTS)
        assert facts == {root: named for root, named in alone.items() if root != "now"}


# ------------------------------------------------------------------ what limits it
async def test_stock_budget_and_campaign_bound_what_is_forecast_and_the_tightest_is_named(database):
    await some_residents(40)
    publisher = await builders.a_publisher(stores=["光谷店"])
    campaign = await builders.a_campaign(3_500)
    given = {"publisher": publisher, "kind": "cash_coupon", "price_g": 100}

    async def cap(**more) -> tuple[int | None, str | None]:
        found = await forecast(await a_draft(**given | more))
        assert found.taken is not None
        assert found.cap is None or found.taken.p90 <= found.cap
        return found.cap, found.cap_by

    assert await cap() == (None, None)
    assert await cap(stock_total=7) == (7, "stock")
    assert await cap(stock_total=7, budget_fen=5_999) == (5, "budget")
    assert await cap(stock_total=7, budget_fen=5_999, funding={"campaign": str(campaign)}) == (
        3,
        "campaign_budget",
    )


async def test_what_a_resident_may_take_is_bound_by_shared_limits_too(database, monkeypatch):
    await some_residents(12)
    publisher = await builders.a_publisher(stores=["光谷店"])
    draft = await a_draft(publisher=publisher, per_resident_limit=5, limits=Limits(per_resident_per_week=3))
    await create_limit(
        Owner(publisher=publisher), NewLimit(name="早餐", offers=(draft,), per_resident=2, per_resident_per_day=1),
        actor="test",
    )  # fmt: skip
    asked = []

    async def noted(question):
        asked.append(question)
        raise OSError

    monkeypatch.setattr(forecasting, "worked_out", noted)
    with pytest.raises(OSError):  # noqa: PT011
        await forecast(draft)
    (question,) = asked
    assert (question.per_resident_limit, question.per_resident_per_day, question.per_resident_per_week) == (
        2,
        1,
        3,
    )


async def test_the_days_are_those_of_the_window_from_tomorrow_for_ninety_at_most(database):
    await some_residents(10)
    today = clock.local_day(clock.now())
    window = {"starts_at": str(today + timedelta(days=3)), "ends_at": str(today + timedelta(days=9))}
    found = await forecast(await a_draft(**window))
    assert (found.first, found.last, len(found.days)) == (
        today + timedelta(days=3), today + timedelta(days=9), 7,
    )  # fmt: skip
    begun = await forecast(await a_draft(starts_at=str(today - timedelta(days=3))))
    assert (begun.first, len(begun.days)) == (today + timedelta(days=1), 90)
    with pytest.raises(Refused, match="offer_ended"):
        await forecast(await a_draft(ends_at=str(today - timedelta(days=1))))


async def test_a_draft_without_a_price_and_anothers_offer_are_not_forecast(database):
    draft = await a_draft(price_g=None)
    with pytest.raises(Invalid) as wrong:
        await forecast(draft)
    assert [tuple(error) for error in wrong.value.errors] == [("price_g", "required")]
    with pytest.raises(NotFound):
        await forecast(await a_draft(), publisher=await builders.a_publisher())


async def test_the_same_seed_and_data_answer_the_same_and_the_seed_is_in_the_answer(database):
    await some_residents(30)
    draft = await a_draft()
    first = await forecast(draft)
    again, other = await forecast(draft, seed=first.seed), await forecast(draft, seed=first.seed + 1)
    assert (first.days, first.taken, first.basis) == (again.days, again.taken, again.basis)
    assert other.days != first.days


async def test_one_forecast_is_made_at_a_time_and_few_wait(database, monkeypatch):
    await some_residents(10)
    draft = await a_draft()
    running, most = 0, 0

    async def slow(question):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        raise OSError

    monkeypatch.setattr(forecasting, "worked_out", slow)
    outcomes = await asyncio.gather(*(forecast(draft) for _ in range(7)), return_exceptions=True)
    assert most == 1
    assert sum(isinstance(one, Unavailable) for one in outcomes) == 7 - forecasting.MOST_WAITING


# ------------------------------------------------------------------ past offers
async def test_the_rate_is_learnt_from_what_was_taken_of_comparable_offers(database):
    publisher = await builders.a_publisher(stores=["光谷店"])
    with clock.travelled(timedelta(days=-20)):
        residents = await some_residents(30, available_g=9_000)
        past = [await builders.an_offer(publisher=publisher, price_g=800) for _ in range(3)]
    for days in range(-19, 0):
        with clock.travelled(timedelta(days=days)):
            for number in range(3):
                await builders.redeem(residents[(days * 3 + number) % 30], past[number])

    found = await forecast(await a_draft(publisher=publisher, price_g=800))

    assert (found.basis.level, found.basis.offers) == ("kind_city_price", 3)
    assert found.basis.taken == 57
    assert 2_000 < found.basis.rate.p50 < 6_000  # 19 of 30 residents in 19 days: 3,300 of 100,000 a day
    assert found.taken is not None
    assert found.taken.p10 > 20


async def test_what_is_comparable_widens_until_there_is_enough(database):
    here, there = (
        await builders.a_publisher(stores=["一"]),
        await builders.a_publisher(city="420500", stores=["二"]),
    )
    with clock.travelled(timedelta(days=-5)):
        for price_g in (800, 800, 100):
            await builders.an_offer(publisher=here, price_g=price_g)
        await builders.an_offer(publisher=there, price_g=800)
        for _ in range(3):
            await builders.an_offer(publisher=here, kind="ticket", price_g=500)
    today = clock.local_day(clock.now())

    async def level(**more) -> tuple[str, int]:
        draft = await builders.a_draft(here, **more)
        record = await forecasting._record(draft.id, None)
        found = await comparable(draft.id, record[0].terms, city=record[1], today=today)
        return found.level, len(found.offers)

    assert await level(price_g=800) == ("kind_price", 3)
    assert await level(price_g=100) == ("kind", 4)
    assert await level(kind="ticket", price_g=500) == ("kind_city_price", 3)
    assert await level(kind="donation", price_g=500) == ("any", 7)


async def test_days_on_which_an_offer_was_paused_or_sold_out_do_not_count(database):
    publisher = await builders.a_publisher(stores=["光谷店"])
    at = [timedelta(days=-days) for days in range(12)]
    with clock.travelled(at[10]):
        residents = await some_residents(12, available_g=9_000)
        scarce = await builders.an_offer(publisher=publisher, stock=2)
        paused = await builders.an_offer(publisher=publisher)
    with clock.travelled(at[8]):
        await lifecycle.pause(publisher=publisher, offer=paused.id, actor="test")
        for resident in residents[:2]:
            await builders.redeem(resident, scarce)
    with clock.travelled(at[4]):
        await lifecycle.resume(publisher=publisher, offer=paused.id, actor="test")
    today = clock.local_day(clock.now())
    sample = await read_sample(today=today)
    draft = await builders.a_draft(publisher)
    terms = (await forecasting._record(draft.id, None))[0].terms
    offers = (await comparable(draft.id, terms, city="420100", today=today)).offers
    seen = dict(
        zip([one.id for one in offers], await past_of(offers, sample, [None], today=today), strict=True)
    )
    assert set(seen[paused.id].live) == {10, 9, 8, 4, 3, 2, 1}
    assert seen[scarce.id].gone
    assert seen[scarce.id].taken == {8: 2}


# ------------------------------------------------------------------ what is kept
async def test_the_forecast_of_a_submitted_offer_is_made_once_and_kept_as_it_was(database):
    await some_residents(20)
    publisher = await builders.a_publisher(stores=["光谷店"])
    draft = (await builders.a_draft(publisher, stock_total=50)).id
    assert await foresee_waiting() == 0
    await lifecycle.submit(publisher=publisher, offer=draft, actor="test")

    assert (await foresee_waiting(), await foresee_waiting()) == (1, 0)

    kept = await kept_forecast(draft, publisher=publisher)
    made = await forecast(draft)
    assert (kept.version, kept.days, kept.cap) == (made.version, made.days, 50)
    with pytest.raises(NotFound):
        await kept_forecast(draft, publisher=await builders.a_publisher())
    for statement in ("UPDATE offer_forecast SET seed = 1", "DELETE FROM offer_forecast"):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await db.execute(statement)


async def test_an_offer_that_cannot_be_forecast_holds_up_no_other(database):
    await some_residents(10)
    publisher = await builders.a_publisher(stores=["光谷店"])
    today = clock.local_day(clock.now())
    drafts = [(await builders.a_draft(publisher, **more)).id
              for more in ({"ends_at": str(today - timedelta(days=1))}, {})]  # fmt: skip
    for draft in drafts:
        await lifecycle.submit(publisher=publisher, offer=draft, actor="test")
    assert await foresee_waiting() == 1
    assert (await kept_forecast(drafts[1])).offer == drafts[1]


# ------------------------------------------------------------------ the dry run
async def test_an_operator_is_told_why_a_resident_could_not_take_a_draft_and_leaves_a_trail(database):
    resident, operator = await builders.a_resident(50), new_id()
    draft = await a_draft(price_g=100, eligibility='resident.city == "420500"')

    found = await dry_run(draft, resident=resident, operator=operator, purpose=" 申诉 12 ", eligibility=RULES)

    assert not found.eligible
    assert [one.code for one in found.reasons] == ["insufficient_reductions", "not_eligible"]
    row = await db.fetch_row("SELECT operator, resident, offer, purpose FROM dry_run")
    assert tuple(row) == (operator, resident, draft, "申诉 12")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await db.execute("DELETE FROM dry_run")


async def test_a_dry_run_needs_a_purpose_and_a_resident_whose_account_is_open(database):
    resident, draft = await builders.a_resident(500), await a_draft(price_g=100)
    given = {"operator": new_id(), "eligibility": NoRules()}
    with pytest.raises(Invalid):
        await dry_run(draft, resident=resident, purpose="  ", **given)
    with pytest.raises(NotFound):
        await dry_run(draft, resident=new_id(), purpose="申诉", **given)
    assert await db.fetch_value("SELECT count(*) FROM dry_run") == 0
    assert (await dry_run(draft, resident=resident, purpose="申诉", **given)).eligible
