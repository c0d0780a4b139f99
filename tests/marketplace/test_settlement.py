"""Settlement: what was consumed reaches the registry once, oldest grams first, whatever becomes of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from marketplace import clock, db
from marketplace.audit import audit
from marketplace.errors import Unavailable
from marketplace.redemptions import REVERSAL_WINDOW
from marketplace.registry import EmbeddedRegistry, Receipt, Retirement
from marketplace.settlement import Settled, settle
from marketplace.settlement.worker import LEASE, LONGEST_LEASE, MAX_ATTEMPTS
from tests.builders import a_lot, a_resident, a_till, an_offer, redeem, redeemed, verify


class LosesAnswers(EmbeddedRegistry):
    """Commits, and then the line is dead: `times` times."""

    def __init__(self, times: int = 1) -> None:
        self.times = times
        self.asked: list[list[UUID]] = []

    async def retire(self, retirements: Sequence[Retirement]) -> dict[UUID, Receipt]:
        self.asked.append([retirement.id for retirement in retirements])
        receipts = await super().retire(retirements)
        if self.times > 0:
            self.times -= 1
            raise TimeoutError
        return receipts


class Down(EmbeddedRegistry):
    async def retire(self, retirements: Sequence[Retirement]) -> dict[UUID, Receipt]:
        raise Unavailable(what="registry")


class RefusesAll(EmbeddedRegistry):
    async def retire(self, retirements: Sequence[Retirement]) -> dict[UUID, Receipt]:
        return {}


async def a_consumption(resident: UUID | None = None, *, price_g: int = 100) -> UUID:
    """A verified redemption, waiting for its settlement."""
    offer = await an_offer(price_g=price_g)
    redemption, code = await redeemed(offer, resident)
    await verify(await a_till(of=offer), code)
    return redemption


async def record_of(redemption: UUID) -> db.Row:
    row = await db.fetch_row(
        "SELECT * FROM consumption_record WHERE redemption = $1 AND state <> 'reversed'", redemption
    )
    assert row is not None
    return row


async def entries() -> list[db.Row]:
    return await db.fetch("SELECT * FROM registry_entry WHERE kind = 'retire' ORDER BY recorded_at, id")


async def assert_sound() -> None:
    result = await audit()
    assert result.ok, [check for check in result.checks if not check.ok]


async def test_a_consumption_is_recorded_once_with_a_receipt(database: str) -> None:
    resident = await a_resident()
    redemption = await a_consumption(resident)

    assert await settle(EmbeddedRegistry(), everything=True) == Settled(1, 0, 0, 0, 0)
    assert await settle(EmbeddedRegistry(), everything=True) == Settled(0, 0, 0, 0, 0)

    record = await record_of(redemption)
    (entry,) = await entries()
    assert record["state"] == "recorded"
    assert record["receipt"]["id"] == str(entry["id"]) == str(record["id"])
    assert record["receipt"]["amount_g"] == entry["amount_g"] == 100
    assert entry["purpose"] == "incentive_redemption"


async def test_the_registry_knows_resident_and_publisher_by_pseudonyms_only(database: str) -> None:
    resident = await a_resident()
    redemption = await a_consumption(resident)
    await settle(EmbeddedRegistry(), everything=True)

    (entry,) = await entries()
    publisher = (await record_of(redemption))["publisher"]
    assert entry["account"] == await db.fetch_value(
        "SELECT registry_account FROM resident WHERE id = $1", resident
    )
    assert entry["counterparty"] == await db.fetch_value(
        "SELECT registry_account FROM publisher WHERE id = $1", publisher
    )
    assert not {resident, publisher} & {entry["account"], entry["counterparty"]}


async def test_the_grams_that_expire_first_are_spent_first_across_lots(database: str) -> None:
    resident, now = await a_resident(available_g=0), clock.now()
    late = await a_lot(resident, 100, expires_at=now + timedelta(days=300))
    soon = await a_lot(resident, 60, expires_at=now + timedelta(days=100))
    middle = await a_lot(resident, 50, expires_at=now + timedelta(days=200))
    first = await a_consumption(resident, price_g=70)
    second = await a_consumption(resident, price_g=90)

    await settle(EmbeddedRegistry(), everything=True)

    async def spent(redemption: UUID) -> list[tuple[UUID, int, int]]:
        rows = await db.fetch(
            """SELECT l.record, lower(s.serials) - l.first_serial AS start, upper(s.serials) - l.first_serial AS stop
               FROM serial_range s JOIN lot l ON l.id = s.lot JOIN consumption_record c ON c.id = s.consumption
               WHERE c.redemption = $1 ORDER BY l.expires_at""",
            redemption,
        )
        return [tuple(row) for row in rows]

    assert await spent(first) == [(soon, 0, 60), (middle, 0, 10)]
    assert await spent(second) == [(middle, 10, 50), (late, 0, 50)]


async def test_the_worker_waits_until_a_till_can_no_longer_undo(database: str) -> None:
    await a_consumption()
    assert await settle(EmbeddedRegistry(), everything=False) == Settled(0, 1, 0, 0, 0)
    with clock.travelled(REVERSAL_WINDOW):
        assert (await settle(EmbeddedRegistry(), everything=False)).recorded == 1


async def test_what_was_captured_at_redemption_need_not_wait(database: str) -> None:
    await redeem(await a_resident(), await an_offer(kind="donation"))
    assert (await settle(EmbeddedRegistry(), everything=False)).recorded == 1


async def test_more_than_a_batch_is_settled_in_one_run(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketplace.settlement.worker.BATCH", 3)
    resident, offer = await a_resident(), await an_offer(kind="donation")
    for _ in range(7):
        await redeem(resident, offer)
    assert (await settle(EmbeddedRegistry(), everything=True)).recorded == 7


async def test_a_lost_answer_is_unknown_and_the_same_id_is_sent_again(database: str) -> None:
    redemption, registry = await a_consumption(), LosesAnswers()

    assert await settle(registry, everything=True) == Settled(0, 0, 1, 0, 0)
    assert (await record_of(redemption))["fault"] == "no_answer"
    await assert_sound()
    assert (await settle(registry, everything=True)).unknown == 1  # not before its lease is over
    assert len(registry.asked) == 1

    with clock.travelled(LEASE + timedelta(seconds=1)):
        assert await settle(registry, everything=True) == Settled(1, 0, 0, 0, 0)

    assert registry.asked[0] == registry.asked[1]
    assert len(await entries()) == 1
    assert (await record_of(redemption))["fault"] is None


async def test_a_registry_that_is_down_keeps_everything_waiting(database: str) -> None:
    await a_consumption()
    assert await settle(Down(), everything=True) == Settled(0, 0, 1, 0, 0)
    await assert_sound()
    with clock.travelled(LEASE + timedelta(seconds=1)):
        assert (await settle(EmbeddedRegistry(), everything=True)).recorded == 1


async def test_a_registry_that_is_down_is_asked_ever_more_seldom_and_nothing_dies_in_a_day(
    database: str,
) -> None:
    redemption = await a_consumption()
    down, pauses = timedelta(), []
    while down <= timedelta(days=1):
        with clock.travelled(down):
            assert await settle(Down(), everything=True) == Settled(0, 0, 1, 0, 0)
            pauses.append((await record_of(redemption))["leased_until"] - clock.now())
        down += pauses[-1] + timedelta(seconds=1)
    assert len(pauses) < MAX_ATTEMPTS
    assert pauses[0] <= LEASE < pauses[1] < pauses[2] < pauses[-1] <= LONGEST_LEASE

    with clock.travelled(down):
        assert (await settle(EmbeddedRegistry(), everything=True)).recorded == 1


async def test_a_receipt_for_another_amount_is_none(database: str) -> None:
    class TellsLess(EmbeddedRegistry):
        async def retire(self, retirements: Sequence[Retirement]) -> dict[UUID, Receipt]:
            return {r.id: Receipt(r.id, r.amount_g - 1, clock.now()) for r in retirements}

    redemption = await a_consumption()
    assert await settle(TellsLess(), everything=True) == Settled(0, 0, 0, 1, 0)
    assert (await record_of(redemption))["receipt"] is None


async def test_a_registry_that_never_answers_is_not_waited_for(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent(EmbeddedRegistry):
        async def retire(self, retirements: Sequence[Retirement]) -> dict[UUID, Receipt]:
            await asyncio.Event().wait()
            raise AssertionError

    await a_consumption()
    monkeypatch.setattr("marketplace.settlement.worker.ANSWER_SECONDS", 0.05)
    assert await settle(Silent(), everything=True) == Settled(0, 0, 1, 0, 0)


async def test_what_was_tried_too_often_is_dead_and_keeps_its_serials(database: str) -> None:
    redemption = await a_consumption()
    for attempt in range(MAX_ATTEMPTS + 1):
        with clock.travelled((LONGEST_LEASE + timedelta(seconds=1)) * attempt):
            left = await settle(Down(), everything=True)
    assert left == Settled(0, 0, 0, 0, 1)
    record = await record_of(redemption)
    assert (record["state"], record["attempts"]) == ("dead", MAX_ATTEMPTS)
    assert await db.fetch_value("SELECT count(*) FROM serial_range WHERE consumption = $1", record["id"]) == 1


async def test_what_the_registry_refuses_waits_for_a_ruling_and_is_not_sent_again(database: str) -> None:
    await a_consumption()
    assert await settle(RefusesAll(), everything=True) == Settled(0, 0, 0, 1, 0)
    await assert_sound()
    with clock.travelled(LEASE * 2):
        assert await settle(EmbeddedRegistry(), everything=True) == Settled(0, 0, 0, 1, 0)


@pytest.mark.parametrize("late_answer", ["receipt", "timeout"])
async def test_what_a_worker_writes_after_its_lease_was_lost_is_refused(
    database: str, late_answer: str
) -> None:
    redemption = await a_consumption()

    class Sleeps(EmbeddedRegistry):
        async def retire(self, retirements: Sequence[Retirement]) -> dict[UUID, Receipt]:
            with clock.travelled(LEASE + timedelta(seconds=1)):
                assert (await settle(EmbeddedRegistry(), everything=True)).recorded == 1
            if late_answer == "timeout":
                raise TimeoutError
            return await super().retire(retirements)

    late = await settle(Sleeps(), everything=True)

    assert late == Settled(0, 0, 0, 0, 0)
    record = await record_of(redemption)
    assert (record["state"], record["attempts"]) == ("recorded", 2)
    assert len(await entries()) == 1
    settled = await db.fetch("SELECT 1 FROM ledger_transfer WHERE kind = 'settle'")
    assert len(settled) == 1
