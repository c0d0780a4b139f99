"""Tills, residents and the clock at the same coupon at the same moment: one of them wins, once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from marketplace import clock, db
from marketplace.expiry import expire
from marketplace.registry import EmbeddedRegistry
from marketplace.settlement import settle
from tests.builders import (
    a_key,
    a_lot,
    a_resident,
    a_till,
    an_offer,
    available_g,
    cancel,
    code_of,
    held_g,
    redeemed,
    reverse,
    status_of,
    taken,
    verify,
)


async def at_once(*attempts: Any) -> list[Any]:
    return await asyncio.gather(*attempts, return_exceptions=True)


async def records_of(redemption: UUID) -> Counter[str]:
    rows = await db.fetch("SELECT state FROM consumption_record WHERE redemption = $1", redemption)
    return Counter(row["state"] for row in rows)


@pytest.mark.parametrize("tills", [2, 20])
async def test_one_coupon_at_many_tills_is_captured_once(database: str, tills: int) -> None:
    offer, resident = await an_offer(stock=5), await a_resident()
    redemption, code = await redeemed(offer, resident)
    at = [await a_till(of=offer) for _ in range(tills)]

    results = await at_once(*(verify(till, code) for till in at))

    assert Counter(map(code_of, results)) == {"ok": 1, "coupon_already_used": tills - 1}
    losers = [result for result in results if code_of(result) != "ok"]
    assert all(loser.facts["store"] == "光谷店" and loser.facts["used_at"] for loser in losers)
    assert await records_of(redemption) == {"pending": 1}
    assert (await available_g(resident), await held_g(resident)) == (4_900, 0)


async def test_one_key_at_a_till_twenty_times_at_once_has_one_answer(database: str) -> None:
    offer = await an_offer()
    redemption, code = await redeemed(offer)
    till = await a_till(of=offer)
    results = await at_once(*(verify(till, code, key=a_key(till)) for _ in range(20)))
    assert Counter(map(code_of, results)) == {"ok": 20}
    assert all(result == results[0] for result in results)
    assert await records_of(redemption) == {"pending": 1}


@pytest.mark.parametrize("turn", range(6))
async def test_of_verify_and_cancel_one_wins_and_the_loser_undoes_nothing(database: str, turn: int) -> None:
    offer, resident = await an_offer(stock=1), await a_resident()
    redemption, code = await redeemed(offer, resident)
    till = await a_till(of=offer)
    attempts = [verify(till, code), cancel(resident, redemption)]

    results = await at_once(*(attempts if turn % 2 else reversed(attempts)))

    codes = Counter(map(code_of, results))
    assert codes["ok"] == 1
    status = await status_of(redemption)
    used = status == "verified"
    assert status in ("verified", "cancelled")
    assert (await available_g(resident), await held_g(resident)) == (4_900 if used else 5_000, 0)
    assert await taken(offer) == (1 if used else 0)


@pytest.mark.parametrize("turn", range(6))
async def test_of_verify_cancel_and_expire_one_wins(
    database: str, turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer, resident = await an_offer(stock=1, coupon_valid_days=1), await a_resident()
    redemption, code = await redeemed(offer, resident)
    till = await a_till(of=offer)
    expires_at = await db.fetch_value("SELECT expires_at FROM coupon WHERE redemption = $1", redemption)

    # Each worker has a clock of its own: the till's is just before the coupon's end, the one that expires just after.
    from marketplace import expiry

    late = type("Late", (), {"now": staticmethod(lambda: expires_at + timedelta(seconds=1))})
    monkeypatch.setattr(expiry, "clock", late)
    with clock.travelled(expires_at - clock.now() - timedelta(seconds=30)):
        attempts = [verify(till, code), cancel(resident, redemption), expire(EmbeddedRegistry())]
        results = await at_once(*(attempts[turn % 3 :] + attempts[: turn % 3]))
        results = results[-(turn % 3) :] + results[: -(turn % 3)] if turn % 3 else results

    status = await status_of(redemption)
    won = {"verified": code_of(results[0]) == "ok", "cancelled": code_of(results[1]) == "ok",
           "expired": results[2].coupons == 1}  # fmt: skip
    assert [name for name, did in won.items() if did] == [status]
    assert (await available_g(resident), await held_g(resident)) == (
        4_900 if status == "verified" else 5_000,
        0,
    )


async def test_a_verification_undone_many_times_at_once_is_undone_once(database: str) -> None:
    offer, resident = await an_offer(stock=3), await a_resident()
    redemption, code = await redeemed(offer, resident)
    await redeemed(offer, resident)
    till = await a_till(of=offer)
    verification = (await verify(till, code))["id"]
    results = await at_once(*(reverse(till, verification) for _ in range(10)))
    assert Counter(map(code_of, results)) == {"ok": 1, "already_reversed": 9}
    assert await records_of(redemption) == {"reversed": 1}
    assert (await available_g(resident), await held_g(resident)) == (4_800, 200)


@pytest.mark.parametrize("turn", range(6))
async def test_of_reverse_and_settle_one_wins(database: str, turn: int) -> None:
    offer, resident = await an_offer(), await a_resident()
    redemption, code = await redeemed(offer, resident)
    till = await a_till(of=offer)
    verification = (await verify(till, code))["id"]
    attempts = [reverse(till, verification), settle(EmbeddedRegistry(), everything=True)]

    results = await at_once(*(attempts if turn % 2 else reversed(attempts)))

    undone, settled = results if turn % 2 else reversed(results)
    if code_of(undone) == "ok":
        assert settled.recorded == 0
        assert await status_of(redemption) == "issued"
    else:
        assert (code_of(undone), settled.recorded) == ("reversal_window_closed", 1)
        assert await status_of(redemption) == "verified"


async def test_tills_that_verify_and_undo_all_at_once_leave_sound_books(database: str) -> None:
    offer, residents = await an_offer(stock=50, limit=5), [await a_resident() for _ in range(3)]
    till = await a_till(of=offer)

    async def busy(resident: UUID) -> None:
        redemption, code = await redeemed(offer, resident)
        for _ in range(3):
            done = await at_once(verify(till, code), verify(till, code), cancel(resident, redemption))
            used = [result["id"] for result in done[:2] if code_of(result) == "ok"]
            await at_once(*(reverse(till, verification) for verification in used * 2))

    await asyncio.gather(*(busy(resident) for resident in residents for _ in range(3)))
    await settle(EmbeddedRegistry(), everything=True)


async def test_settling_lapsing_and_redeeming_at_once_do_not_deadlock(database: str) -> None:
    offer = await an_offer(price_g=50, stock=1_000)
    till = await a_till(of=offer)
    residents = [await a_resident(available_g=0) for _ in range(8)]
    for resident in residents:
        await a_lot(resident, 200, expires_at=clock.now() + timedelta(days=2))
        await a_lot(resident, 200, expires_at=clock.now() + timedelta(days=200))
    codes = [(await redeemed(offer, resident))[1] for resident in residents]
    with clock.travelled(timedelta(days=3)):
        results = await at_once(
            *(verify(till, code) for code in codes),
            expire(EmbeddedRegistry()), settle(EmbeddedRegistry(), everything=True),
            *(redeemed(offer, resident) for resident in residents),
            expire(EmbeddedRegistry()), settle(EmbeddedRegistry(), everything=True),
        )  # fmt: skip
    assert Counter(map(code_of, results)) == {"ok": 20}
