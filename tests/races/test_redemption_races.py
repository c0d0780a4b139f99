"""Real races on real connections: what there is too little of goes to exactly as many as there is for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

import pytest

from marketplace import chart, db, ledger
from marketplace.registry import EmbeddedRegistry
from marketplace.settlement import settle
from tests.builders import (
    a_campaign,
    a_key,
    a_resident,
    an_offer,
    available_g,
    balance,
    budget_left_fen,
    cancel,
    code_of,
    held_g,
    redeem,
    redeemed,
    taken,
)


async def at_once(*attempts: Awaitable[Any]) -> list[Any]:
    return await asyncio.gather(*attempts, return_exceptions=True)


def outcomes(of: Sequence[Any]) -> Counter[str]:
    return Counter(map(code_of, of))


async def test_the_last_unit_is_sold_once(database: str) -> None:
    offer = await an_offer(price_g=100, stock=1)
    residents = [await a_resident(available_g=500) for _ in range(5)]

    results = await at_once(*(redeem(resident, offer) for resident in residents))

    assert outcomes(results) == {"ok": 1, "sold_out": 4}
    assert sorted([await held_g(resident) for resident in residents]) == [0, 0, 0, 0, 100]


async def test_fifty_residents_go_for_ten(database: str) -> None:
    offer = await an_offer(price_g=100, stock=10, limit=1)
    residents = [await a_resident(available_g=100) for _ in range(50)]

    results = await at_once(*(redeem(resident, offer) for resident in residents))

    assert outcomes(results) == {"ok": 10, "sold_out": 40}
    assert await taken(offer) == 10
    assert Counter([await held_g(resident) for resident in residents]) == {100: 10, 0: 40}


async def test_one_resident_with_a_limit_of_one_gets_one(database: str) -> None:
    offer, resident = await an_offer(limit=1, stock=50), await a_resident()
    results = await at_once(*(redeem(resident, offer) for _ in range(20)))
    assert outcomes(results) == {"ok": 1, "limit_reached": 19}
    assert (await taken(offer), await held_g(resident)) == (1, 100)


async def test_a_balance_for_one_buys_one(database: str) -> None:
    offer, resident = await an_offer(price_g=100), await a_resident(available_g=199)
    results = await at_once(*(redeem(resident, offer) for _ in range(50)))
    assert outcomes(results) == {"ok": 1, "insufficient_reductions": 49}
    assert (await available_g(resident), await held_g(resident)) == (99, 100)


async def test_a_budget_for_three_pays_for_three_across_offers(database: str) -> None:
    campaign = await a_campaign(3_500)
    offers = [
        await an_offer(kind="cash_coupon", benefit={"amount_fen": 1_000}, campaign=campaign) for _ in range(2)
    ]
    residents = [await a_resident() for _ in range(20)]
    results = await at_once(*(redeem(resident, offers[n % 2]) for n, resident in enumerate(residents)))
    assert outcomes(results) == {"ok": 3, "budget_exhausted": 17}
    assert await budget_left_fen(campaign) == 500


async def test_an_unlimited_offer_refuses_nobody_falsely(database: str) -> None:
    offer = await an_offer()
    residents = [await a_resident(available_g=100) for _ in range(40)]
    assert outcomes(await at_once(*(redeem(resident, offer) for resident in residents))) == {"ok": 40}


async def test_residents_who_take_several_offers_at_once_do_not_deadlock(database: str) -> None:
    campaign = await a_campaign(1_000_000)
    offers = [
        await an_offer(kind="cash_coupon", campaign=campaign, price_g=10, stock=1_000, limit=100)
        for _ in range(4)
    ]
    residents = [await a_resident() for _ in range(4)]
    results = await at_once(
        *(
            redeem(resident, offer)
            for n in range(4)
            for resident in residents
            for offer in (offers[n:] + offers[:n])
        )
    )
    assert outcomes(results) == {"ok": 64}


async def test_one_key_twenty_times_at_once_has_one_effect_and_one_answer(database: str) -> None:
    offer, resident = await an_offer(stock=5, limit=5), await a_resident()
    results = await at_once(*(redeem(resident, offer, a_key(resident)) for _ in range(20)))
    assert outcomes(results) == {"ok": 20}
    assert all(result == results[0] for result in results)
    assert (await taken(offer), await held_g(resident)) == (1, 100)


async def test_a_key_whose_first_request_is_refused_is_judged_afresh_by_the_next(database: str) -> None:
    offer, resident = await an_offer(stock=1), await a_resident()
    await redeemed(offer)
    results = await at_once(*(redeem(resident, offer, a_key(resident)) for _ in range(10)))
    assert outcomes(results) == {"sold_out": 10}


async def test_cancelling_twenty_times_at_once_credits_once(database: str) -> None:
    offer, resident = await an_offer(stock=3), await a_resident()
    redemption, _ = await redeemed(offer, resident)
    results = outcomes(await at_once(*(cancel(resident, redemption) for _ in range(20))))
    assert results["ok"] == 1
    assert set(results) <= {"ok", "coupon_already_used", "coupon_cancelled"}
    assert (await available_g(resident), await taken(offer)) == (5_000, 0)


async def test_one_key_cancels_once_with_one_answer(database: str) -> None:
    offer, resident = await an_offer(), await a_resident()
    redemption, _ = await redeemed(offer, resident)
    results = await at_once(*(cancel(resident, redemption, a_key(resident)) for _ in range(20)))
    assert outcomes(results) == {"ok": 20}
    assert all(result == results[0] for result in results)
    assert await available_g(resident) == 5_000


async def test_units_given_back_are_sold_again_and_never_twice(database: str) -> None:
    offer = await an_offer(stock=5)
    owners = [await a_resident() for _ in range(5)]
    out = [(await redeemed(offer, owner))[0] for owner in owners]
    newcomers = [await a_resident() for _ in range(15)]
    results = await at_once(
        *(cancel(owner, redemption) for owner, redemption in zip(owners, out, strict=True)),
        *(redeem(newcomer, offer) for newcomer in newcomers),
    )
    sold = outcomes(results[5:])["ok"]
    assert outcomes(results[:5]) == {"ok": 5}
    assert await taken(offer) == sold <= 5


async def test_two_workers_settle_every_record_once(database: str) -> None:
    resident, offer = await a_resident(), await an_offer(kind="donation", price_g=10)
    for _ in range(30):
        await redeem(resident, offer)
    registry = EmbeddedRegistry()
    results = await at_once(*(settle(registry, everything=True) for _ in range(4)))
    assert sum(result.recorded for result in results) == 30
    assert await db.fetch_value("SELECT count(*) FROM registry_entry WHERE kind = 'retire'") == 30


# ------------------------------------------------------------------ a check of the checks
async def unlocked(monkeypatch: pytest.MonkeyPatch, racers: int) -> None:
    """Take the row lock away: everybody reads the balances before anybody writes."""
    from marketplace.ledger import journal
    from marketplace.ledger.accounts import balances

    everybody = asyncio.Barrier(racers)

    async def read(accounts: Iterable[ledger.Account], also: Collection[UUID]) -> dict[UUID, ledger.Balance]:
        found = await balances([*also, *(account.id for account in accounts if account.limited)])
        await asyncio.wait_for(everybody.wait(), timeout=5)
        return found

    monkeypatch.setattr(journal, "open_and_lock", read)


async def test_without_the_lock_the_database_alone_still_sells_the_last_unit_once(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = await an_offer(price_g=100, stock=2)
    await redeemed(offer)  # so that every account is open
    residents = [await a_resident(available_g=500) for _ in range(5)]
    await unlocked(monkeypatch, racers=5)

    results = await at_once(*(redeem(resident, offer) for resident in residents))

    refusals = [result for result in results if isinstance(result, Exception)]
    assert [getattr(refusal, "constraint_name", None) for refusal in refusals] == [
        "ledger_transfer_credit_limit"
    ] * 4
    assert await taken(offer) == 2


async def test_without_lock_and_constraint_the_last_unit_is_sold_five_times_and_the_audit_says_so(
    migrated: str, tampered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marketplace.audit import audit

    guard: str = await tampered.fetchval("SELECT pg_get_functiondef('ledger_move_balances'::regproc)")
    blind = guard.replace("> t.credit_limit", "> t.credit_limit + 1000000")
    assert blind != guard
    offer = await an_offer(price_g=100, stock=2)
    await redeemed(offer)  # so that every account is open
    residents = [await a_resident(available_g=500) for _ in range(5)]
    with monkeypatch.context() as patched:
        await unlocked(patched, racers=5)
        await tampered.execute(blind)
        try:
            results = await at_once(*(redeem(resident, offer) for resident in residents))
        finally:
            await tampered.execute(guard)

    assert outcomes(results) == {"ok": 5}
    assert await taken(offer) == 6
    assert [check.name for check in (await audit()).checks if not check.ok] == ["limits_hold"]


async def test_without_lock_and_constraint_a_balance_for_one_buys_two_and_the_audit_says_so(
    migrated: str, tampered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marketplace.audit import audit

    offer, resident = await an_offer(price_g=100), await a_resident(available_g=100)
    await redeemed(offer)  # so that every account is open
    name = "ledger_account_not_overdrawn"
    check: str = await tampered.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1", name
    )
    with monkeypatch.context() as patched:
        await unlocked(patched, racers=2)
        await tampered.execute(f"ALTER TABLE ledger_account DROP CONSTRAINT {name}")
        try:
            results = await at_once(redeem(resident, offer), redeem(resident, offer))
        finally:
            await tampered.execute(f"ALTER TABLE ledger_account ADD CONSTRAINT {name} {check} NOT VALID")

    try:
        assert outcomes(results) == {"ok": 2}
        assert (await balance(chart.wallet(resident))).available == -100
        assert "no_account_is_overdrawn" in [found.name for found in (await audit()).checks if not found.ok]
    finally:
        from tests.conftest import empty

        await empty(migrated)
        await tampered.execute(f"ALTER TABLE ledger_account VALIDATE CONSTRAINT {name}")
