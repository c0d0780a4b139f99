"""Accounts and the persons behind them: verified, recovered with a new phone, left when they are a stranger's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
import respx

from marketplace import clock, db, mandates
from marketplace.errors import NotFound, Refused, Unavailable
from marketplace.identity import persons
from marketplace.identity.realname import HttpIdentityCheck, RealNames, is_the_key
from marketplace.identity.residents import SILENCE, person_of
from marketplace.identity.stores import MemoryStore
from marketplace.identity.tokens import Principal, issue_token, principal_of
from marketplace.ids import new_id
from tests.builders import (
    REAL_NAMES,
    a_lot,
    a_person,
    an_id_number,
    an_offer,
    available_g,
    redeem,
    signed_in,
)

OLD, NEW, OTHER = "13800000001", "13800000002", "13800000003"
A_DAY = timedelta(days=1)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def asked(store: MemoryStore, id_number: str, name: str = "张三", **more: Any) -> dict[str, Any]:
    return {"name": name, "id_number": id_number, "real_names": REAL_NAMES, "store": store, **more}


async def trail(resident: UUID) -> list[str]:
    rows = await db.fetch("SELECT event FROM identity_event WHERE resident = $1 ORDER BY id", resident)
    return [row["event"] for row in rows]


async def phone_of(resident: UUID) -> str | None:
    phone: str | None = await db.fetch_value("SELECT phone FROM resident WHERE id = $1", resident)
    return phone


async def code_of(verb: Callable[..., Awaitable[Any]], **given: Any) -> str:
    with pytest.raises(Refused) as refusal:
        await verb(**given)
    return refusal.value.code


# ------------------------------------------------------------------ verify
async def test_a_resident_becomes_a_verified_person_and_again_is_no_mistake(database, store):
    _, resident = await signed_in(OLD, store=store)
    number = an_id_number()

    person = await persons.verify(resident=resident.id, **asked(store, number))
    again = await persons.verify(resident=resident.id, **asked(store, number.lower()))

    assert person == again
    assert (person.name, person.phone) == ("张三", OLD)
    assert person.verified_at is not None
    assert await trail(resident.id) == ["verified"]
    kept = [tuple(map(str, row)) for row in await db.fetch("SELECT * FROM resident")]
    assert number not in str(kept)


async def test_a_mismatch_changes_nothing(database, store):
    _, resident = await signed_in(OLD, store=store)
    given = asked(store, an_id_number(), name="张不符")
    assert await code_of(persons.verify, resident=resident.id, **given) == "identity_mismatch"
    assert (await person_of(resident.id)).verified_at is None


async def test_a_provider_that_does_not_answer_verifies_nobody(database, store):
    _, resident = await signed_in(OLD, store=store)
    async with httpx.AsyncClient() as client:
        silent = RealNames(HttpIdentityCheck("https://identity.example", client), "key")
        with respx.mock() as provider:
            provider.post("https://identity.example").mock(side_effect=httpx.ReadTimeout("slow"))
            with pytest.raises(Unavailable):
                await persons.verify(
                    resident=resident.id, **asked(store, an_id_number()) | {"real_names": silent}
                )
    assert await trail(resident.id) == []


async def test_a_verified_account_stays_its_persons_and_a_person_has_one_account(database, store):
    number = an_id_number()
    _, first = await a_person(OLD, number, store=store)
    _, second = await signed_in(NEW, store=store)

    assert await code_of(persons.verify, resident=first, **asked(store, an_id_number())) == "already_verified"
    assert await code_of(persons.verify, resident=second.id, **asked(store, number)) == "person_has_account"
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await db.execute("UPDATE resident SET person_hash = 'x' WHERE id = $1", first)


async def test_nobody_is_verified_without_a_trail(database, store):
    _, resident = await signed_in(OLD, store=store)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="without a trail"):
        async with db.transaction():
            await db.execute(
                "UPDATE resident SET person_hash = 'x', verified_at = now() WHERE id = $1", resident.id
            )


async def test_persons_are_known_under_the_key_that_they_were_verified_under(database, store):
    assert await is_the_key("another")
    assert await is_the_key("the key")
    await a_person(OLD, an_id_number(), store=store)
    assert await is_the_key("the key")
    assert not await is_the_key("another")


# ------------------------------------------------------------------ recover
async def test_a_lost_phone_is_replaced_and_every_other_way_in_is_closed(database, store):
    number = an_id_number()
    thief, old = await a_person(OLD, number, store=store, available_g=700)
    token = await issue_token(Principal("resident", str(old)))
    fresh, new = await signed_in(NEW, store=store)

    session, person = await persons.recover(resident=new.id, **asked(store, number))

    assert (person.id, person.phone) == (old, NEW)
    assert await principal_of(session.token, store=store) == Principal("resident", str(old))
    for void in (thief.token, fresh.token, token):
        assert await principal_of(void, store=store) is None
    assert (await trail(old), await trail(new.id)) == (["verified", "recovered"], ["closed"])
    assert await available_g(old) == 700
    assert await code_of(persons.verify, resident=new.id, **asked(store, an_id_number())) == "unauthenticated"
    _, stranger = await signed_in(OLD, store=store)  # whoever holds the old phone now begins anew
    assert stranger.id not in (old, new.id)
    again, back = await signed_in(NEW, store=store)
    assert back.id == old
    assert await principal_of(again.token, store=store) is not None


async def test_an_account_in_use_does_not_give_way(database, store):
    number = an_id_number()
    await a_person(OLD, number, store=store)
    _, new = await signed_in(NEW, store=store)
    await a_lot(new.id, 1)
    assert await code_of(persons.recover, resident=new.id, **asked(store, number)) == "account_in_use"
    _, verified = await a_person(OTHER, an_id_number(), store=store)
    assert await code_of(persons.recover, resident=verified, **asked(store, number)) == "account_in_use"
    assert await phone_of(new.id) == NEW


async def test_there_must_be_an_older_account(database, store):
    number = an_id_number()
    _, new = await signed_in(NEW, store=store)
    assert await code_of(persons.recover, resident=new.id, **asked(store, number)) == "no_account_to_recover"
    await persons.verify(resident=new.id, **asked(store, number))
    assert await code_of(persons.recover, resident=new.id, **asked(store, number)) == "already_verified"


async def test_nothing_comes_to_a_closed_account(database, store):
    number = an_id_number()
    await db.execute(
        "INSERT INTO channel (key, name, methodology, created_at) VALUES ('metro', '地铁', 'm', now())"
    )
    await a_person(OLD, number, store=store)
    _, new = await signed_in(NEW, store=store)
    code = await mandates.ask(resident=new.id, channel="metro", store=store)
    await persons.recover(resident=new.id, **asked(store, number))

    with pytest.raises(NotFound):
        await mandates.confirm(channel="metro", code=code, subject="card", store=store)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="closed"):
        await a_lot(new.id, 1)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="closed"):
        await db.execute("UPDATE resident SET closed_at = NULL WHERE id = $1", new.id)


async def test_the_limit_follows_the_verified_person_and_not_the_phone(database, store):
    number, offer = an_id_number(), await an_offer(price_g=100, limit=1)
    _, old = await a_person(OLD, number, store=store, available_g=500)
    await redeem(old, offer)
    _, new = await signed_in(NEW, store=store)

    assert await code_of(persons.verify, resident=new.id, **asked(store, number)) == "person_has_account"
    session, _ = await persons.recover(resident=new.id, **asked(store, number))

    mine = await principal_of(session.token, store=store)
    assert mine is not None
    assert await code_of(redeem, resident=mine.id, offer=offer) == "limit_reached"
    assert await available_g(mine.id) == 400


# ------------------------------------------------------------------ disown
async def test_whoever_got_a_recycled_number_leaves_the_strangers_account_for_their_own(database, store):
    number = an_id_number()
    session, owner = await a_person(OLD, number, store=store, available_g=300)
    found, _ = await signed_in(OLD, store=store)  # the operator gave the number to somebody else

    mine, person = await persons.disown(resident=owner, **asked(store, an_id_number(), name="李四"))

    assert person.id != owner
    assert (person.phone, person.name) == (OLD, "李四")
    assert await principal_of(mine.token, store=store) == Principal("resident", str(person.id))
    assert await principal_of(session.token, store=store) is None
    assert await principal_of(found.token, store=store) is None
    assert (await phone_of(owner), await available_g(owner)) == (None, 300)
    assert (await trail(owner), await trail(person.id)) == (["verified", "disowned"], ["verified"])
    _, new = await signed_in(NEW, store=store)
    _, back = await persons.recover(resident=new.id, **asked(store, number))
    assert (back.id, back.phone) == (owner, NEW)


async def test_whoever_has_an_account_already_gets_the_recycled_number_there(database, store):
    number = an_id_number()
    _, stranger = await a_person(OLD, an_id_number(), store=store)
    elsewhere, own = await a_person(NEW, number, store=store)

    session, person = await persons.disown(resident=stranger, **asked(store, number))

    assert (person.id, person.phone, await phone_of(stranger)) == (own, OLD, None)
    assert await principal_of(session.token, store=store) is not None
    assert await principal_of(elsewhere.token, store=store) is None
    assert await trail(own) == ["verified", "recovered"]


async def test_ones_own_account_is_not_disowned_nor_one_that_is_nobodys(database, store):
    number = an_id_number()
    session, mine = await a_person(OLD, number, store=store)
    _, unverified = await signed_in(NEW, store=store)
    assert await code_of(persons.disown, resident=mine, **asked(store, number)) == "account_is_yours"
    given = asked(store, an_id_number())
    assert await code_of(persons.disown, resident=unverified.id, **given) == "account_unverified"
    assert await principal_of(session.token, store=store) is not None


async def test_an_unverified_account_that_slept_is_left_within_a_week_of_waking_it(database, store):
    _, asleep = await signed_in(OLD, store=store)
    await a_lot(asleep.id, 50)
    with clock.travelled(SILENCE + A_DAY):
        await signed_in(OLD, store=store)
        await signed_in(OLD, store=store)
        with clock.travelled(8 * A_DAY):
            given = asked(store, an_id_number())
            assert await code_of(persons.disown, resident=asleep.id, **given) == "account_unverified"
        _, person = await persons.disown(resident=asleep.id, **asked(store, an_id_number()))
    assert (person.phone, await phone_of(asleep.id), await available_g(asleep.id)) == (OLD, None, 50)


# ------------------------------------------------------------------ after a long silence
async def proof_for(phone: str, store: MemoryStore) -> str:
    with pytest.raises(Refused, match="identity_check_required") as refusal:
        await signed_in(phone, store=store)
    proof: str = refusal.value.facts["proof"]
    return proof


async def test_after_ninety_days_a_phone_alone_opens_no_verified_account(database, store):
    number = an_id_number()
    _, resident = await a_person(OLD, number, store=store)
    with clock.travelled(SILENCE - A_DAY):
        await signed_in(OLD, store=store)
    with clock.travelled(2 * SILENCE - A_DAY):
        proof = await proof_for(OLD, store)
        mismatch = asked(store, an_id_number(), name="张不符", proof=proof)
        assert await code_of(persons.settle, **mismatch) == "identity_mismatch"
        session, person = await persons.settle(**asked(store, number, proof=proof))
        assert person.id == resident
        assert await principal_of(session.token, store=store) is not None
        assert await code_of(persons.settle, **asked(store, number, proof=proof)) == "unauthenticated"
        await signed_in(OLD, store=store)
    assert await trail(resident) == ["verified", "confirmed"]


async def test_after_ninety_days_another_person_gets_an_account_of_their_own(database, store):
    _, resident = await a_person(OLD, an_id_number(), store=store, available_g=10)
    with clock.travelled(SILENCE + A_DAY):
        proof = await proof_for(OLD, store)
        session, person = await persons.settle(**asked(store, an_id_number(), name="李四", proof=proof))
        assert person.id != resident
        assert await principal_of(session.token, store=store) == Principal("resident", str(person.id))
    assert (await phone_of(resident), await trail(resident)) == (None, ["verified", "disowned"])


async def test_a_proof_is_good_for_fifteen_minutes_and_for_the_phone_it_was_given_to(database, store):
    number = an_id_number()
    await a_person(OLD, number, store=store)
    with clock.travelled(SILENCE + A_DAY):
        proof, second = await proof_for(OLD, store), await proof_for(OLD, store)
        with clock.travelled(timedelta(minutes=16)):
            assert await code_of(persons.settle, **asked(store, number, proof=second)) == "unauthenticated"
        _, new = await signed_in(NEW, store=store)
        await persons.recover(resident=new.id, **asked(store, number))
        assert await code_of(persons.settle, **asked(store, number, proof=proof)) == "unauthenticated"
        assert await code_of(persons.settle, **asked(store, number, proof=str(new_id()))) == "unauthenticated"
