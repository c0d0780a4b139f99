"""Groups that are submitted together: each is judged in its own right, and one that fails leaves the others be."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

import asyncpg
import pytest

from marketplace import chart, db, ledger
from marketplace.errors import Unavailable
from marketplace.ledger import journal, submission
from marketplace.offers import lifecycle
from tests.builders import (
    a_campaign,
    a_key,
    a_resident,
    a_till,
    an_offer,
    available_g,
    budget_left_fen,
    cancel,
    code_of,
    edited,
    held_g,
    redeem,
    redeemed,
    status_of,
    taken,
    verify,
)


@pytest.fixture(autouse=True)
async def batches(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[int]]:
    """How many groups went into each transaction that was begun."""
    sizes: list[int] = []

    async def counted(groups: Sequence[ledger.Group], *refused: Any) -> list[Any]:
        sizes.append(len(groups))
        return await journal.apply(groups, *refused)

    monkeypatch.setattr(submission, "apply", counted)
    async with ledger.batching():
        yield sizes


async def at_once(*attempts: Awaitable[Any]) -> list[Any]:
    return await asyncio.gather(*attempts, return_exceptions=True)


def outcomes(of: Sequence[Any]) -> Counter[str]:
    return Counter(map(code_of, of))


async def test_fifty_residents_go_for_ten_in_few_transactions(batches: list[int]) -> None:
    offer = await an_offer(price_g=100, stock=10, limit=1)
    residents = [await a_resident(available_g=100) for _ in range(50)]
    before = len(batches)

    results = await at_once(*(redeem(resident, offer) for resident in residents))

    assert outcomes(results) == {"ok": 10, "sold_out": 40}
    assert await taken(offer) == 10
    assert Counter([await held_g(resident) for resident in residents]) == {100: 10, 0: 40}
    assert len(batches) - before < 10


async def test_one_account_may_stand_in_many_groups_of_a_batch() -> None:
    offer, resident = await an_offer(price_g=100), await a_resident(available_g=1_050)
    results = await at_once(*(redeem(resident, offer) for _ in range(30)))
    assert outcomes(results) == {"ok": 10, "insufficient_reductions": 20}
    assert (await available_g(resident), await held_g(resident)) == (50, 1_000)


async def test_a_budget_is_not_overspent_by_a_batch() -> None:
    campaign = await a_campaign(3_500)
    offer = await an_offer(kind="cash_coupon", benefit={"amount_fen": 1_000}, campaign=campaign)
    residents = [await a_resident() for _ in range(9)]
    results = await at_once(*(redeem(resident, offer) for resident in residents))
    assert outcomes(results) == {"ok": 3, "budget_exhausted": 6}
    assert await budget_left_fen(campaign) == 500


async def test_a_key_sent_fifty_times_at_once_has_one_effect_and_one_answer() -> None:
    offer, resident = await an_offer(price_g=100), await a_resident()
    results = await at_once(*(redeem(resident, offer, a_key(resident)) for _ in range(50)))
    assert len({str(result) for result in results}) == 1
    assert (results[0]["status"], await held_g(resident)) == ("issued", 100)


async def test_a_key_used_for_two_requests_at_once_is_refused_to_the_second() -> None:
    offer, resident = await an_offer(price_g=100), await a_resident()
    results = await at_once(
        *(redeem(resident, offer, a_key(resident, body=body)) for body in (b"one", b"other"))
    )
    assert outcomes(results) == {"ok": 1, "idempotency_key_reused": 1}
    assert await held_g(resident) == 100


async def test_a_row_that_the_database_refuses_fails_its_own_group_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offer = await an_offer(price_g=100)
    taken_code = (await redeemed(offer))[1]
    codes = iter([taken_code, "000000000001", "000000000002", "000000000003", "000000000004"])
    monkeypatch.setattr("marketplace.redemptions.new_code", lambda: next(codes))
    residents = [await a_resident() for _ in range(3)]

    results = await at_once(*(redeem(resident, offer) for resident in residents))

    assert outcomes(results) == {"ok": 3}  # the one whose code was taken drew another
    assert taken_code not in {result["coupon"]["code"] for result in results}
    assert [await held_g(resident) for resident in residents] == [100] * 3


async def test_a_step_that_fails_late_fails_its_own_group_only(batches: list[int]) -> None:
    offer = await an_offer(price_g=100)
    first, second = [(await a_resident(), offer) for _ in range(2)]
    mine, _ = await redeemed(offer, first[0])
    await redeemed(offer, second[0])
    impossible = ledger.Step(
        "SELECT g.n FROM unnest($1::uuid[]) WITH ORDINALITY AS g (id, n) WHERE false", (mine,), "in_the_way"
    )
    group = ledger.Group(legs=[], at=lifecycle.clock.now(), changes=[impossible])

    results = await at_once(ledger.submit(group), redeem(first[0], offer), redeem(second[0], offer))

    assert outcomes(results) == {"in_the_way": 1, "ok": 2}
    assert [await held_g(resident) for resident, _ in (first, second)] == [200, 200]


async def test_verifying_and_cancelling_in_one_batch_ends_each_coupon_once() -> None:
    offer = await an_offer(price_g=100)
    till, resident = await a_till(of=offer), await a_resident()
    coupons = [await redeemed(offer, resident) for _ in range(10)]

    results = await at_once(
        *(verify(till, code) for _, code in coupons), *(cancel(resident, one) for one, _ in coupons)
    )

    assert outcomes(results)["ok"] == 10
    assert {await status_of(one) for one, _ in coupons} <= {"verified", "cancelled"}
    assert await held_g(resident) == 0


async def test_terms_that_change_meanwhile_are_judged_afresh() -> None:
    offer, resident = await an_offer(price_g=100), await a_resident()
    await redeem(resident, offer)
    stale = lifecycle._in_force[offer.id]
    await edited(offer, price_g=300)
    lifecycle._in_force[offer.id] = stale  # as another process still has them
    assert (await redeem(resident, offer))["price_g"] == 300

    await lifecycle.pause(publisher=offer.publisher.id, offer=offer.id, actor="test")
    lifecycle._in_force[offer.id] = stale
    assert outcomes(await at_once(redeem(resident, offer))) == {"offer_not_live": 1}


async def test_a_pool_gives_every_code_once() -> None:
    offer = await an_offer(kind="code", price_g=100, codes=[f"C{n:03d}" for n in range(20)])
    residents = [await a_resident() for _ in range(25)]
    results = await at_once(*(redeem(resident, offer) for resident in residents))
    assert outcomes(results) == {"ok": 20, "sold_out": 5}
    assert len({result["coupon"]["code"] for result in results if isinstance(result, dict)}) == 20


async def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    offer, resident = await an_offer(price_g=100), await a_resident()
    await redeem(resident, offer)
    gone = asyncio.create_task(redeem(resident, offer))
    await asyncio.sleep(0)
    gone.cancel()
    await redeem(resident, offer)
    assert gone.cancelled()
    assert await held_g(resident) == 200


async def test_a_full_queue_refuses_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "WAITING_AT_MOST", 3)
    offer = await an_offer(price_g=100)
    residents = [await a_resident() for _ in range(20)]
    results = await at_once(*(redeem(resident, offer) for resident in residents))
    refused = [result for result in results if isinstance(result, Unavailable)]
    assert refused
    assert sum([await held_g(resident) for resident in residents]) == 100 * (20 - len(refused))


async def test_what_was_taken_is_finished_when_the_batches_end() -> None:
    offer, resident = await an_offer(price_g=100), await a_resident()
    async with ledger.batching():
        waiting = [asyncio.create_task(redeem(resident, offer)) for _ in range(5)]
        await asyncio.sleep(0.001)
    assert [(await one)["status"] for one in waiting] == ["issued"] * 5


async def test_an_account_that_somebody_holds_fails_those_who_need_it_and_nobody_else(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot, other, resident = (
        await an_offer(price_g=100, stock=50),
        await an_offer(price_g=100),
        await a_resident(),
    )
    mine, _ = await redeemed(hot, resident)
    residents = [await a_resident() for _ in range(20)]
    holder = await asyncpg.connect(database)
    await holder.execute("BEGIN")
    await holder.execute("SELECT 1 FROM ledger_account WHERE id = $1 FOR UPDATE", chart.stock(hot.id).id)
    monkeypatch.setattr(submission, "apply", impatiently)

    results = await at_once(
        *(redeem(one, hot) for one in residents),
        *(redeem(one, other) for one in residents),
        cancel(resident, mine),
    )
    await holder.close()

    assert Counter(type(result) for result in results) == {dict: 20, asyncpg.LockNotAvailableError: 21}
    assert [await held_g(one) for one in residents] == [100] * 20
    assert await status_of(mine) == "issued"
    assert outcomes(await at_once(cancel(resident, mine))) == {"ok": 1}


async def impatiently(groups: Sequence[ledger.Group], *refused: Any) -> list[Any]:
    """Waits for locks as every batch does, but not for as long."""
    await db.execute("SET LOCAL lock_timeout = '100ms'")
    return await journal.apply(groups, *refused)


async def test_what_was_answered_before_the_database_went_away_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offer, residents = await an_offer(price_g=100), [await a_resident() for _ in range(3)]
    whole = submission._in_one

    async def failing(groups: Sequence[ledger.Group]) -> Any:
        if len(groups) > 1:
            raise ConnectionError
        if len(done) == 1:
            raise Unavailable(what="database")
        done.append(groups)
        return await whole(groups)

    done: list[Any] = []
    monkeypatch.setattr(submission, "_in_one", failing)
    results = await at_once(*(redeem(resident, offer) for resident in residents))
    assert outcomes(results) == {"ok": 1, "unavailable": 2}
