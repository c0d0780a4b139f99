"""The ledger against a small pure model: whatever is asked in whatever order, both must agree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from marketplace import clock, db, ledger
from marketplace.errors import Refused
from marketplace.ids import new_id
from tests.conftest import empty

AMOUNTS = st.integers(min_value=1, max_value=100)
SOURCE = ledger.account("CO2E_G", "source")


@dataclass
class ModelHold:
    debit: int
    credit: int
    amount: int
    expires_at: int


class Model:
    """Four purses as plain numbers: what each has, and the holds that are open."""

    def __init__(self) -> None:
        self.posted = [0, 0, 0, 0]
        self.holds: dict[UUID, ModelHold] = {}

    def available(self, purse: int) -> int:
        return self.posted[purse] - sum(h.amount for h in self.holds.values() if h.debit == purse)

    def move(self, debit: int, credit: int, amount: int) -> bool:
        if self.available(debit) < amount:
            return False
        self.posted[debit] -= amount
        self.posted[credit] += amount
        return True


def machine(run: Callable[[Coroutine[Any, Any, Any]], Any]) -> type[RuleBasedStateMachine]:
    """The state machine, running the ledger's coroutines by `run`."""

    class Ledger(RuleBasedStateMachine):
        held = Bundle("held")

        @initialize()
        def begin(self) -> None:
            self.model, self.minutes, self.start = Model(), 0, clock.now()
            self.purses = [ledger.account("CO2E_G", "purse", new_id(), limited=True) for _ in range(4)]

        def submit(self, *legs: ledger.Leg) -> str | None:
            at = self.start + timedelta(minutes=self.minutes)
            try:
                run(ledger.submit(ledger.Group(legs=legs, at=at)))
            except Refused as refusal:
                return refusal.code
            return None

        @rule(purse=st.integers(0, 3), amount=AMOUNTS)
        def credit(self, purse: int, amount: int) -> None:
            leg = ledger.Transfer(
                debit=SOURCE, credit=self.purses[purse], amount=amount, kind="t", refusal="short"
            )
            assert self.submit(leg) is None
            self.model.posted[purse] += amount

        @rule(pair=st.permutations(range(4)), first=AMOUNTS, second=AMOUNTS)
        def chain(self, pair: list[int], first: int, second: int) -> None:
            """Two linked transfers, the second out of where the first went."""
            a, b, c = pair[:3]
            before = list(self.model.posted)
            expected = self.model.move(a, b, first) and self.model.move(b, c, second)
            if not expected:
                self.model.posted = before
            legs = [
                ledger.Transfer(
                    debit=self.purses[x], credit=self.purses[y], amount=n, kind="t", refusal="short"
                )
                for x, y, n in ((a, b, first), (b, c, second))
            ]
            assert (self.submit(*legs) is None) == expected

        @rule(target=held, pair=st.permutations(range(4)), amount=AMOUNTS, minutes=st.integers(1, 5))
        def hold(self, pair: list[int], amount: int, minutes: int) -> UUID | None:
            debit, credit = pair[:2]
            end = self.minutes + minutes
            leg = ledger.Hold(debit=self.purses[debit], credit=self.purses[credit], amount=amount, kind="t",
                              refusal="short", expires_at=self.start + timedelta(minutes=end))  # fmt: skip
            possible = self.model.available(debit) >= amount
            assert (self.submit(leg) is None) == possible
            if not possible:
                return None
            self.model.holds[leg.id] = ModelHold(debit, credit, amount, end)
            return leg.id

        @rule(hold=held, part=st.integers(1, 100))
        def post(self, hold: UUID | None, part: int) -> None:
            if hold is None:
                return
            known = self.model.holds.get(hold)
            amount = min(part, known.amount) if known else 1
            code = self.submit(
                ledger.Post(pending=hold, amount=amount, refusal="resolved", refusal_expired="late")
            )
            if known is None:
                assert code == "resolved"
            elif self.minutes >= known.expires_at:
                assert code == "late"
            else:
                assert code is None
                del self.model.holds[hold]
                self.model.posted[known.debit] -= amount
                self.model.posted[known.credit] += amount

        @rule(hold=held)
        def release(self, hold: UUID | None) -> None:
            if hold is None:
                return
            code = self.submit(ledger.Release(pending=hold, refusal="resolved"))
            assert (code is None) == (self.model.holds.pop(hold, None) is not None)

        @rule(minutes=st.integers(1, 3))
        def wait(self, minutes: int) -> None:
            self.minutes += minutes

        @invariant()
        def agrees(self) -> None:
            found = run(ledger.balances([purse.id for purse in self.purses]))
            assert [found[p.id].available for p in self.purses] == [self.model.available(i) for i in range(4)]
            assert [found[p.id].debits_pending for p in self.purses] == [
                sum(h.amount for h in self.model.holds.values() if h.debit == i) for i in range(4)
            ]

    return Ledger


@pytest.fixture
async def run(database: str) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on the test's own loop from hypothesis's thread."""
    loop = asyncio.get_running_loop()
    return lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result(timeout=30)


SETTINGS = settings(max_examples=25, stateful_step_count=30, deadline=None, database=None,
                    suppress_health_check=[HealthCheck.too_slow])  # fmt: skip


async def test_the_ledger_agrees_with_the_model(run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
    await asyncio.to_thread(run_state_machine_as_test, machine(run), settings=SETTINGS)


async def test_without_the_balance_guard_the_model_finds_it(
    migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: a ledger that overdraws is caught."""
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(ledger.Balance, "available", property(lambda _: 10**9))
    owner = await asyncpg.connect(migrated)
    await owner.execute("ALTER TABLE ledger_account DROP CONSTRAINT ledger_account_not_overdrawn")
    try:
        with pytest.raises(AssertionError):
            await asyncio.to_thread(
                run_state_machine_as_test,
                machine(lambda c: asyncio.run_coroutine_threadsafe(c, loop).result(timeout=30)),
                settings=SETTINGS,
            )
    finally:
        await empty(migrated)
        await owner.execute(
            """ALTER TABLE ledger_account ADD CONSTRAINT ledger_account_not_overdrawn
               CHECK (NOT limited OR credits_posted - debits_posted - debits_pending >= 0)"""
        )
        await owner.close()
    assert not await db.fetch("SELECT 1 FROM ledger_transfer")
