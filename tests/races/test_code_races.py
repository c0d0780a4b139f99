"""Races for codes: each goes to one resident, and nobody is sent away for a code that another does not take."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from marketplace import clock, db, ledger, pools
from marketplace.clock import travelled
from marketplace.pools.loading import load_waiting
from tests.builders import a_resident, an_offer, code_of, redeem
from tests.marketplace.pools.filling import generated, loaded, some_codes


@pytest.fixture(params=["one by one", "in batches"])
async def together(request: pytest.FixtureRequest, database: str) -> AsyncIterator[None]:
    """Both ways that groups go to the ledger: each on a connection of its own, or in batches."""
    if request.param == "one by one":
        yield
        return
    async with ledger.batching():
        yield


async def test_fifty_residents_go_for_ten_codes(together: None) -> None:
    offer = await an_offer(kind="code", codes=[f"C{number}" for number in range(10)])
    residents = [await a_resident(available_g=100) for _ in range(50)]

    results = await asyncio.gather(*(redeem(one, offer) for one in residents), return_exceptions=True)

    assert Counter(map(code_of, results)) == {"ok": 10, "sold_out": 40}
    codes = [result["coupon"]["code"] for result in results if isinstance(result, dict)]
    assert sorted(codes) == [f"C{number}" for number in range(10)]
    assert (await pools.pool_of(offer.id)).left == 0
    assert await db.fetch_value("SELECT count(*) FROM publisher_event") == 1


async def test_nobody_is_refused_for_a_code_that_another_is_refused(together: None) -> None:
    offer = await an_offer(kind="code", codes=[f"C{number}" for number in range(10)])
    poor = [await a_resident(available_g=1) for _ in range(40)]
    rich = [await a_resident(available_g=100) for _ in range(10)]
    order = [one for n in range(10) for one in (*poor[4 * n : 4 * n + 4], rich[n])]

    results = await asyncio.gather(*(redeem(one, offer) for one in order), return_exceptions=True)

    assert Counter(map(code_of, results)) == {"ok": 10, "insufficient_reductions": 40}


async def test_a_pool_is_taken_from_while_it_is_filled_and_each_code_goes_once(together: None) -> None:
    offer = await an_offer(kind="code", price_g=1, codes=["FIRST"])
    upload = await generated(offer, count=1_500)
    residents = [await a_resident(available_g=100) for _ in range(20)]

    async def insisting(resident: object) -> list[str]:
        codes: list[str] = []
        while len(codes) < 5:
            (result,) = await asyncio.gather(redeem(resident, offer), return_exceptions=True)
            if code_of(result) == "ok":
                codes.append(result["coupon"]["code"])
        return codes

    _, *taken = await asyncio.gather(load_waiting(), *(insisting(one) for one in residents))

    codes = [code for one in taken for code in one]
    assert len(set(codes)) == len(codes) == 100
    assert (await pools.upload_of(publisher=offer.publisher.id, upload=upload.id)).added == 1_500
    assert (await pools.pool_of(offer.id)).left == 1_401


async def test_a_code_is_taken_or_taken_back(together: None) -> None:
    offer = await an_offer(kind="code", codes=["KEPT"])
    upload = await loaded(offer, some_codes(30))
    residents = [await a_resident(available_g=100) for _ in range(20)]

    *results, after = await asyncio.gather(
        *(redeem(one, offer) for one in residents),
        pools.withdraw(publisher=offer.publisher.id, upload=upload.id), return_exceptions=True,
    )  # fmt: skip

    outcomes = Counter(map(code_of, results))
    pool = await pools.pool_of(offer.id)
    assert set(outcomes) <= {"ok", "sold_out"}
    assert outcomes["ok"] == pool.given
    assert pool.codes == 31 - after.withdrawn
    assert pool.left == (0 if outcomes["sold_out"] else 31 - after.withdrawn - outcomes["ok"])


async def test_codes_that_ran_out_a_moment_ago_go_to_nobody_and_hide_no_good_ones(together: None) -> None:
    offer = await an_offer(kind="code", codes=["GOOD-1", "GOOD-2"])
    today = clock.local_day(clock.now())
    await loaded(offer, some_codes(5), expires_on=today)
    residents = [await a_resident(available_g=100) for _ in range(6)]

    with travelled(clock.end_of_day(today) - clock.now()):
        results = await asyncio.gather(*(redeem(one, offer) for one in residents), return_exceptions=True)

    assert Counter(map(code_of, results)) == {"ok": 2, "sold_out": 4}
    assert {one["coupon"]["code"] for one in results if isinstance(one, dict)} == {"GOOD-1", "GOOD-2"}
