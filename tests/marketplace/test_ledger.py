"""The ledger on a real PostgreSQL: what it refuses, and what the database refuses even without it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from marketplace import clock, db, ledger
from marketplace.errors import Refused
from marketplace.ids import new_id
from tests import builders

SOURCE = ledger.account("CO2E_G", "source")
SINK = ledger.account("CO2E_G", "sink")


def purse(owner: UUID | None = None) -> ledger.Account:
    return ledger.account("CO2E_G", "purse", owner or new_id(), limited=True)


async def a_purse(available: int) -> ledger.Account:
    account = purse()
    await move(SOURCE, account, available)
    return account


async def move(debit: ledger.Account, credit: ledger.Account, amount: int) -> None:
    await ledger.submit(
        group(ledger.Transfer(debit=debit, credit=credit, amount=amount, kind="test", refusal="short"))
    )


def group(*legs: ledger.Leg, key: ledger.IdempotencyKey | None = None, answer: object = None) -> ledger.Group:
    return ledger.Group(legs=legs, at=clock.now(), key=key, answer=answer)


def hold(debit: ledger.Account, amount: int, *, minutes: int = 5, subject: UUID | None = None) -> ledger.Hold:
    return ledger.Hold(debit=debit, credit=SINK, amount=amount, kind="test", refusal="short", subject=subject,
                       expires_at=clock.now() + timedelta(minutes=minutes))  # fmt: skip


def post(pending: UUID, amount: int | None = None) -> ledger.Post:
    return ledger.Post(pending=pending, amount=amount, refusal="resolved", refusal_expired="late")


def release(pending: UUID) -> ledger.Release:
    return ledger.Release(pending=pending, refusal="resolved")


async def balance(account: ledger.Account) -> ledger.Balance:
    return (await ledger.balances([account.id]))[account.id]


async def test_a_hold_takes_what_is_available_and_gives_back_what_is_not_posted(database: str) -> None:
    account = await a_purse(100)
    held = hold(account, 60)
    await ledger.submit(group(held))
    assert (await balance(account)).available == 40

    await ledger.submit(group(post(held.id, 25)))

    assert await balance(account) == ledger.Balance(debits_posted=25, credits_posted=100)


async def test_a_group_happens_whole_or_not_at_all(database: str) -> None:
    rich, poor = await a_purse(100), await a_purse(10)

    with pytest.raises(Refused, match="short"):
        await ledger.submit(group(hold(rich, 50), hold(poor, 11)))

    assert (await balance(rich)).available == 100
    assert (await balance(poor)).available == 10


@pytest.mark.parametrize("first", ["post", "release"])
@pytest.mark.parametrize("second", ["post", "release"])
async def test_a_hold_is_resolved_once(database: str, first: str, second: str) -> None:
    account, resolve = await a_purse(100), {"post": post, "release": release}
    held = hold(account, 60)
    await ledger.submit(group(held))
    await ledger.submit(group(resolve[first](held.id)))

    with pytest.raises(Refused, match="resolved"):
        await ledger.submit(group(resolve[second](held.id)))


async def test_a_hold_may_be_posted_until_its_end_and_released_after_it(database: str) -> None:
    account = await a_purse(100)
    held = hold(account, 60)
    await ledger.submit(group(held))

    with clock.travelled(timedelta(minutes=5)):
        with pytest.raises(Refused, match="late"):
            await ledger.submit(group(post(held.id)))
        await ledger.submit(group(release(held.id)))

    assert (await balance(account)).available == 100


async def test_a_counter_stops_at_its_limit_and_a_raised_limit_reopens_it(database: str) -> None:
    units = ledger.account("UNIT", "units")
    counter = ledger.account("UNIT", "counter", new_id(), limited=True)

    def use(limit: int) -> ledger.Transfer:
        return ledger.Transfer(
            debit=units, credit=counter, amount=1, kind="use", refusal="full", credit_limit=limit
        )

    for _ in range(3):
        await ledger.submit(group(use(3)))
    with pytest.raises(Refused, match="full"):
        await ledger.submit(group(use(3)))
    with pytest.raises(Refused, match="full"):
        await ledger.submit(group(use(2)))  # lowering it below what is used corrupts nothing
    await ledger.submit(group(use(4)))
    assert (await balance(counter)).counted == 4


async def test_one_key_has_one_effect_and_one_answer(database: str) -> None:
    account = await a_purse(100)
    key = ledger.IdempotencyKey("resident:1", "redeem", "k", b"same")

    first = await ledger.submit(group(hold(account, 10), key=key, answer={"n": 1}))
    again = await ledger.submit(group(hold(account, 10), key=key, answer={"n": 2}))

    assert first == again == {"n": 1}
    assert (await balance(account)).available == 90
    with pytest.raises(Refused, match="idempotency_key_reused"):
        await ledger.submit(
            group(
                hold(account, 10), key=ledger.IdempotencyKey("resident:1", "redeem", "k", b"other"), answer={}
            )
        )


async def test_a_refused_request_keeps_no_key(database: str) -> None:
    account = await a_purse(5)
    key = ledger.IdempotencyKey("resident:1", "redeem", "k", b"same")
    with pytest.raises(Refused, match="short"):
        await ledger.submit(group(hold(account, 10), key=key, answer={}))
    await move(SOURCE, account, 5)

    assert await ledger.submit(group(hold(account, 10), key=key, answer={"ok": True})) == {"ok": True}


async def test_one_refused_group_of_many_leaves_the_others_alone(database: str) -> None:
    account = await a_purse(100)
    async with db.transaction():
        outcomes = await ledger.apply(
            [group(hold(account, 60)), group(hold(account, 60)), group(hold(account, 40))]
        )

    assert [getattr(outcome, "code", "ok") for outcome in outcomes] == ["ok", "short", "ok"]
    assert (await balance(account)).available == 0


@pytest.mark.parametrize("statement", [
    "UPDATE ledger_transfer SET amount = amount + 1",
    "DELETE FROM ledger_transfer",
    "TRUNCATE ledger_transfer CASCADE",
    "UPDATE ledger_account SET credits_posted = credits_posted + 1",
    "DELETE FROM ledger_account",
])  # fmt: skip
async def test_the_database_refuses_to_rewrite_the_books(database: str, statement: str) -> None:
    await a_purse(100)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await db.execute(statement)


@pytest.mark.parametrize("statement", [
    "UPDATE lot SET amount_g = amount_g + 1",
    "UPDATE lot SET resident = gen_random_uuid()",
    "UPDATE lot SET expires_at = expires_at + interval '1 day'",
    "UPDATE lot SET assigned_g = assigned_g - 1",
    "DELETE FROM lot",
])  # fmt: skip
async def test_the_database_lets_a_lot_be_spent_and_nothing_else(database: str, statement: str) -> None:
    await builders.a_resident(available_g=500)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await db.execute(statement)


async def insert(debit: ledger.Account, credit: ledger.Account, amount: int, **columns: object) -> None:
    """A transfer written past the ledger's own code."""
    row = {"id": new_id(), "group_id": new_id(), "debit": debit.id, "credit": credit.id, "amount": amount,
           "kind": "test", "phase": "posted", "created_at": clock.now()} | columns  # fmt: skip
    async with db.transaction():
        await db.insert_many("ledger_transfer", list(row), [list(row.values())])


async def test_the_database_refuses_an_overdraft_on_its_own(database: str) -> None:
    account = await a_purse(100)
    with pytest.raises(asyncpg.CheckViolationError, match="ledger_account_not_overdrawn"):
        await insert(account, SOURCE, 101)
    with pytest.raises(asyncpg.CheckViolationError, match="ledger_account_not_overdrawn"):
        await insert(account, SOURCE, 101, phase="pending")


async def test_the_database_refuses_what_is_over_a_limit_on_its_own(database: str) -> None:
    account = await a_purse(100)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="limit"):
        await insert(SOURCE, account, 1, credit_limit=100)


async def test_the_database_refuses_a_resolution_that_fits_no_hold(database: str) -> None:
    account = await a_purse(100)
    held = hold(account, 60)
    await ledger.submit(group(held))
    for wrong in ({"amount": 61, "phase": "post"}, {"amount": 59, "phase": "void"},
                  {"amount": 60, "phase": "post", "created_at": clock.now() + timedelta(hours=1)}):  # fmt: skip
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="hold"):
            await insert(account, SINK, wrong.pop("amount"), pending_id=held.id, **wrong)  # type: ignore[arg-type]
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="hold"):
        await insert(account, SINK, 10, pending_id=new_id(), phase="post")


async def test_the_database_refuses_unknown_accounts_and_crossed_assets(database: str) -> None:
    account = await a_purse(100)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="unknown"):
        await insert(account, purse(), 1)
    money = ledger.account("CNY_FEN", "money")
    await ledger.open_and_lock([money])
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="assets"):
        await insert(account, money, 1)
