"""Limits of days and weeks against a model that keeps a list of what was taken when, and counts it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from marketplace import clock
from marketplace.errors import Refused
from marketplace.offers import catalogue, limits, shared_limits
from marketplace.offers.shared_limits import LimitChange, NewLimit, Owner
from marketplace.offers.view import OfferView
from tests.builders import a_publisher, a_resident, an_offer, cancel, edited, redeem
from tests.marketplace.test_ledger_model import run  # noqa: F401  (a fixture)

START = datetime(2027, 1, 1, 22, tzinfo=clock.SHANGHAI)  # a Friday evening
CAPS = st.integers(1, 3)
VALUE_FEN = 1_000


@dataclass
class Taken:
    """One coupon of the model."""

    redemption: UUID
    offer: int
    resident: int
    day: date

    @property
    def week(self) -> tuple[int, int]:
        return self.day.isocalendar()[:2]


class Model:
    """What is out, and the caps that stand now: of each offer, and of both together."""

    def __init__(self) -> None:
        self.out: list[Taken] = []
        self.caps = [{"stock": 3, "a_day": 2, "a_week": 3, "fen": 9} for _ in range(2)]
        self.shared_a_day = 3

    def reasons(self, offer: int, resident: int, day: date) -> list[str]:
        """Why not, in the order in which the house says it."""
        week = day.isocalendar()[:2]
        today = [taken for taken in self.out if taken.offer == offer and taken.day == day]
        mine = [taken for taken in self.out if taken.resident == resident]
        caps = self.caps[offer]
        checks = {
            "sold_out_today": len(today) >= caps["stock"],
            "limit_reached_today": sum(t.offer == offer and t.day == day for t in mine) >= caps["a_day"],
            "limit_reached_this_week": sum(t.offer == offer and t.week == week for t in mine)
            >= caps["a_week"],
            "shared_limit_reached_today": sum(t.day == day for t in mine) >= self.shared_a_day,
            "budget_exhausted": sum(t.offer == offer for t in self.out) >= caps["fen"],
        }
        return [code for code, holds in checks.items() if holds]


def machine(run: Callable[[Coroutine[Any, Any, Any]], Any]) -> type[RuleBasedStateMachine]:  # noqa: F811
    """The state machine, running the verbs by `run`."""

    class Limits(RuleBasedStateMachine):
        @initialize()
        def begin(self) -> None:
            self.model, self.at = Model(), START
            self.travel(START)
            run(self.publish())

        async def publish(self) -> None:
            publisher = await a_publisher(stores=["光谷店"])
            self.offers = [
                await an_offer(
                    publisher=publisher, kind="cash_coupon", benefit={"amount_fen": VALUE_FEN}, price_g=1,
                    coupon_valid_days=366, **self.terms(n),
                )
                for n in range(2)
            ]  # fmt: skip
            self.owner = Owner(publisher=publisher)
            both = NewLimit(name="合并", offers=tuple(o.id for o in self.offers), per_resident_per_day=3)
            self.shared = await shared_limits.create_limit(self.owner, both, actor="test")
            self.residents = [await a_resident() for _ in range(2)]

        def terms(self, offer: int) -> dict[str, Any]:
            caps = self.model.caps[offer]
            return {
                "stock_per_day": caps["stock"], "budget_fen": caps["fen"] * VALUE_FEN,
                "limits": {"per_resident_per_day": caps["a_day"], "per_resident_per_week": caps["a_week"]},
            }  # fmt: skip

        def travel(self, to: datetime) -> None:
            clock.shift(timedelta())
            clock.shift(to - clock.now())
            self.at = to

        @rule(offer=st.integers(0, 1), resident=st.integers(0, 1))
        def redeem(self, offer: int, resident: int) -> None:
            expected = self.model.reasons(offer, resident, self.at.date())
            outcome = run(self.tried(resident, offer))
            if isinstance(outcome, UUID):
                self.model.out.append(Taken(outcome, offer, resident, self.at.date()))
            assert ([] if isinstance(outcome, UUID) else [outcome]) == expected[:1]

        async def tried(self, resident: int, offer: int) -> UUID | str:
            try:
                return UUID((await redeem(self.residents[resident], self.offers[offer]))["id"])
            except Refused as refusal:
                return refusal.code

        @rule(which=st.integers(0, 20))
        def give_back(self, which: int) -> None:
            if self.model.out:
                taken = self.model.out.pop(which % len(self.model.out))
                run(cancel(self.residents[taken.resident], taken.redemption))

        @rule(hours=st.integers(1, 40))
        def wait(self, hours: int) -> None:
            self.travel(self.at + timedelta(hours=hours))

        @rule(offer=st.integers(0, 1), name=st.sampled_from(["stock", "a_day", "a_week", "fen"]), cap=CAPS)
        def change(self, offer: int, name: str, cap: int) -> None:
            self.model.caps[offer][name] = cap
            run(edited(self.offers[offer], **self.terms(offer)))

        @rule(cap=CAPS)
        def change_shared(self, cap: int) -> None:
            self.model.shared_a_day = cap
            change = LimitChange(per_resident_per_day=cap)
            run(shared_limits.edit_limit(self.owner, self.shared.id, change, actor="test"))

        @invariant()
        def agrees(self) -> None:
            for offer, resident in ((0, 0), (1, 1)):
                shown: OfferView = run(
                    catalogue.public_offer(self.offers[offer].id, resident=self.residents[resident])
                )
                assert shown.reasons == self.model.reasons(offer, resident, self.at.date())

        def teardown(self) -> None:
            clock.shift(timedelta())

    return Limits


SETTINGS = settings(max_examples=30, stateful_step_count=25, deadline=None, database=None, derandomize=True,
                    suppress_health_check=[HealthCheck.too_slow])  # fmt: skip


async def test_limits_of_days_and_weeks_agree_with_the_model(
    run: Callable[[Coroutine[Any, Any, Any]], Any],  # noqa: F811
) -> None:
    await asyncio.to_thread(run_state_machine_as_test, machine(run), settings=SETTINGS)


async def test_with_days_that_never_end_the_model_finds_it(
    run: Callable[[Coroutine[Any, Any, Any]], Any],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control: a counter that does not begin anew is caught."""
    monkeypatch.setattr(limits, "_day", lambda at: ":always")
    with pytest.raises(AssertionError):
        await asyncio.to_thread(run_state_machine_as_test, machine(run), settings=SETTINGS)


def test_every_day_is_in_one_week_of_seven_from_monday_on() -> None:
    days = [date(2026, 12, 20) + timedelta(days=n) for n in range(28)]
    for before, day in pairwise(days):
        assert (clock.week_name(before) == clock.week_name(day)) is (day.weekday() != 0)
        assert clock.end_of_week(day) == clock.end_of_day(clock.monday(day) + timedelta(days=6))
        assert clock.week_name(day) != clock.day_name(clock.monday(day))
