"""Real races about who somebody is: one person has one account, and a phone goes to one place."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from marketplace import db
from marketplace.errors import Refused
from marketplace.identity import persons
from marketplace.identity.stores import MemoryStore
from marketplace.identity.tokens import principal_of
from tests.builders import REAL_NAMES, a_lot, a_person, an_id_number, code_of, signed_in
from tests.races.test_redemption_races import at_once, outcomes

OLD, NEW = "13800000001", "13800000002"


def asked(store: MemoryStore, id_number: str) -> dict[str, Any]:
    return {"name": "张三", "id_number": id_number, "real_names": REAL_NAMES, "store": store}


async def test_of_accounts_that_verify_as_one_person_at_once_one_does(database: str) -> None:
    store, number = MemoryStore(), an_id_number()
    accounts = [(await signed_in(f"1380000010{n}", store=store))[1].id for n in range(8)]

    results = await at_once(
        *(persons.verify(resident=account, **asked(store, number)) for account in accounts)
    )

    assert outcomes(results) == {"ok": 1, "person_has_account": 7}
    assert await db.fetch_value("SELECT count(*) FROM resident WHERE person_hash IS NOT NULL") == 1


async def test_one_account_verified_as_two_persons_at_once_is_one_of_them(database: str) -> None:
    store = MemoryStore()
    account = (await signed_in(OLD, store=store))[1].id
    results = await at_once(
        *(persons.verify(resident=account, **asked(store, an_id_number())) for _ in range(5))
    )
    assert outcomes(results) == {"ok": 1, "already_verified": 4}


async def test_recovering_five_times_at_once_has_one_effect(database: str) -> None:
    store, number = MemoryStore(), an_id_number()
    _, old = await a_person(OLD, number, store=store)
    new = (await signed_in(NEW, store=store))[1].id

    results = await at_once(*(persons.recover(resident=new, **asked(store, number)) for _ in range(5)))

    assert outcomes(results) == {"ok": 1, "unauthenticated": 4}
    events = await db.fetch("SELECT event FROM identity_event ORDER BY id")
    assert sorted(row["event"] for row in events) == ["closed", "recovered", "verified"]
    assert await db.fetch_value("SELECT phone FROM resident WHERE id = $1", old) == NEW


async def test_an_account_recovered_from_two_phones_at_once_has_one_of_them(database: str) -> None:
    store, number = MemoryStore(), an_id_number()
    _, old = await a_person(OLD, number, store=store)
    news = [(await signed_in(f"1380000020{n}", store=store))[1].id for n in range(3)]

    results = await at_once(*(persons.recover(resident=new, **asked(store, number)) for new in news))

    assert outcomes(results) == {"ok": 3}  # one after the other: each is a new phone of the same person
    assert await db.fetch_value("SELECT count(*) FROM resident WHERE phone IS NOT NULL") == 1
    assert await db.fetch_value("SELECT count(*) FROM resident WHERE closed_at IS NOT NULL") == 3
    sessions = [await principal_of(result[0].token, store=store) for result in results]
    assert {str(principal.id) for principal in sessions if principal} == {str(old)}


async def test_a_lot_that_comes_while_its_account_is_closed_is_not_lost_there(database: str) -> None:
    store = MemoryStore()
    for n in range(6):
        number = an_id_number()
        await a_person(f"1380000030{n}", number, store=store)
        new = (await signed_in(f"1380000040{n}", store=store))[1].id

        _, recovered = await at_once(a_lot(new, 10), persons.recover(resident=new, **asked(store, number)))

        row = await db.fetch_row("SELECT closed_at FROM resident WHERE id = $1", new)
        lots = await db.fetch_value("SELECT count(*) FROM lot WHERE resident = $1", new)
        assert row is not None
        assert (row["closed_at"] is None) == (lots == 1) == (code_of(recovered) == "account_in_use")


async def test_a_recycled_number_left_twice_at_once_goes_to_one_account(database: str) -> None:
    store, number = MemoryStore(), an_id_number()
    _, stranger = await a_person(OLD, an_id_number(), store=store)

    results = await at_once(*(persons.disown(resident=stranger, **asked(store, number)) for _ in range(4)))

    assert outcomes(results) == {"ok": 1, "unauthenticated": 3}
    assert await db.fetch_value("SELECT count(*) FROM resident WHERE phone = $1", OLD) == 1
    assert await db.fetch_value("SELECT count(*) FROM resident") == 2


async def test_two_recycled_numbers_of_one_person_end_in_one_account(database: str) -> None:
    store, number = MemoryStore(), an_id_number()
    strangers = [(await a_person(phone, an_id_number(), store=store))[1] for phone in (OLD, NEW)]

    results = await at_once(*(persons.disown(resident=one, **asked(store, number)) for one in strangers))

    assert outcomes(results) == {"ok": 2}
    assert len({result[1].id for result in results}) == 1
    assert await db.fetch_value("SELECT count(*) FROM resident WHERE phone IS NOT NULL") == 1


async def test_a_sign_in_with_the_lost_phone_during_a_recovery_opens_nothing(database: str) -> None:
    store = MemoryStore()
    for n in range(6):
        number, lost = an_id_number(), f"1380000050{n}"
        _, old = await a_person(lost, number, store=store)
        new = (await signed_in(f"1380000060{n}", store=store))[1].id

        recovered, thief = await asyncio.gather(
            persons.recover(resident=new, **asked(store, number)),
            signed_in(lost, store=store), return_exceptions=True,
        )  # fmt: skip

        assert not isinstance(recovered, BaseException)
        mine = await principal_of(recovered[0].token, store=store)
        assert mine is not None
        assert mine.id == old
        if not isinstance(thief, BaseException):
            opened = await principal_of(thief[0].token, store=store)
            assert opened is None or opened.id != old


class Interrupted(MemoryStore):
    """A store where something else happens just before or just after an epoch is read, once."""

    meanwhile: Callable[[], Awaitable[Any]] | None = None
    after = False

    async def get(self, key: str) -> bytes | None:
        kept = await super().get(key)
        if not key.startswith("session-epoch:") or self.meanwhile is None:
            return kept
        meanwhile, self.meanwhile = self.meanwhile, None
        await meanwhile()
        return kept if self.after else await super().get(key)


@pytest.mark.parametrize("after", [False, True])
async def test_a_sign_in_that_a_recovery_overtakes_opens_nothing(database: str, after: bool) -> None:
    store, number = Interrupted(), an_id_number()
    await a_person(OLD, number, store=store)
    new = (await signed_in(NEW, store=store))[1].id
    store.after = after
    store.meanwhile = lambda: persons.recover(resident=new, **asked(store, number))

    with pytest.raises(Refused, match="unauthenticated"):
        await signed_in(OLD, store=store)
