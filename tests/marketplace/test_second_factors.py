"""Codes of an app, recovery codes, and the second step of signing in. (Passkeys need a browser: tests/browser.)"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import asyncpg
import pyotp
import pytest

from marketplace import clock, db
from marketplace.clock import travelled
from marketplace.errors import Invalid, Refused
from marketplace.identity import totp
from marketplace.identity.holders import CODES, Holder, factors_of, renew_codes
from marketplace.identity.passwords import operator_sign_in
from marketplace.identity.sealing import Seal
from marketplace.identity.second_step import TRIES_PER_HOLDER, finish
from marketplace.identity.stores import MemoryStore
from marketplace.identity.tokens import Principal, Session, principal_of
from merchants.staff import staff_sign_in
from tests.builders import code_of
from tests.merchants.people import PASSWORD, a_member, an_operator

SEAL = Seal("the key of these tests")
STEP = timedelta(seconds=totp.STEP_SECONDS)


@pytest.fixture(autouse=True)
def _early_in_a_step() -> Iterator[None]:
    """So that no step ends between the making of a code and its use."""
    into = clock.now().timestamp() % totp.STEP_SECONDS
    with travelled(STEP - timedelta(seconds=into - 5)):
        yield


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def holder(database: str) -> Holder:
    return Holder("staff", (await a_member(login="li")).person)


async def with_app(holder: Holder, store: MemoryStore) -> tuple[pyotp.TOTP, list[str]]:
    """An app that is turned on, and the recovery codes that came with it."""
    setup = await totp.begin_setup(holder, login="li", seal=SEAL, store=store)
    app = pyotp.TOTP(setup.secret)
    return app, await totp.confirm(holder, shown(app), seal=SEAL, store=store)


def shown(app: pyotp.TOTP) -> str:
    return app.at(clock.now())


async def first_step(store: MemoryStore) -> str:
    with pytest.raises(Refused, match="second_factor_required") as asked:
        await staff_sign_in("li", PASSWORD, address="192.0.2.1", store=store)
    proof: str = asked.value.facts["proof"]
    return proof


async def second_step(store: MemoryStore, code: str) -> Session:
    return await finish(await first_step(store), code, seal=SEAL, store=store)


async def test_after_the_password_the_app_is_asked_for(holder, store):
    app, _ = await with_app(holder, store)
    with travelled(STEP):
        session = await second_step(store, shown(app))
    assert await principal_of(session.token, store=store) == session.principal
    assert session.principal.role == "staff"


async def test_a_code_is_good_once_the_one_that_turned_the_app_on_too(holder, store):
    app, _ = await with_app(holder, store)
    with pytest.raises(Refused, match="second_factor_wrong"):
        await second_step(store, shown(app))
    with travelled(STEP):
        await second_step(store, shown(app))
        with pytest.raises(Refused, match="second_factor_wrong"):
            await second_step(store, shown(app))


@pytest.mark.parametrize(("away", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_a_phones_clock_may_be_a_step_off(holder, store, away, good):
    app, _ = await with_app(holder, store)
    with travelled(10 * STEP):
        tried = second_step(store, app.at(clock.now(), counter_offset=away))
        if good:
            await tried
        else:
            with pytest.raises(Refused, match="second_factor_wrong"):
                await tried


async def test_an_older_code_is_not_good_after_a_later_one(holder, store):
    app, _ = await with_app(holder, store)
    with travelled(10 * STEP):
        await second_step(store, app.at(clock.now(), counter_offset=1))
        with pytest.raises(Refused, match="second_factor_wrong"):
            await second_step(store, shown(app))


async def test_of_two_with_one_code_at_the_same_time_one_signs_in(holder, store):
    app, _ = await with_app(holder, store)
    with travelled(STEP):
        proofs = [await first_step(store) for _ in range(5)]
        outcomes = await asyncio.gather(
            *(finish(proof, shown(app), seal=SEAL, store=store) for proof in proofs), return_exceptions=True
        )
    assert sorted(code_of(outcome) for outcome in outcomes) == ["ok", *["second_factor_wrong"] * 4]


async def test_a_recovery_code_signs_in_once(holder, store):
    _, codes = await with_app(holder, store)
    assert len(set(codes)) == CODES
    await second_step(store, codes[0].upper().replace("-", " "))
    with pytest.raises(Refused, match="second_factor_wrong"):
        await second_step(store, codes[0])
    assert (await factors_of(holder)).recovery_codes == CODES - 1


async def test_new_recovery_codes_make_the_old_ones_void(holder, store):
    _, old = await with_app(holder, store)
    new = await renew_codes(holder)
    with pytest.raises(Refused, match="second_factor_wrong"):
        await second_step(store, old[0])
    await second_step(store, new[0])


async def test_without_a_factor_there_are_no_recovery_codes(holder, store):
    await with_app(holder, store)
    await totp.turn_off(holder)
    assert await renew_codes(holder) == []
    assert await db.fetch_value("SELECT count(*) FROM recovery_code") == 0
    await staff_sign_in("li", PASSWORD, address="192.0.2.1", store=store)


async def test_after_ten_wrong_codes_the_right_one_has_to_wait(holder, store):
    app, codes = await with_app(holder, store)
    for _ in range(TRIES_PER_HOLDER):
        with pytest.raises(Refused, match="second_factor_wrong"):
            await second_step(store, "000000")
    with travelled(STEP):
        for right in (shown(app), codes[0]):
            with pytest.raises(Refused, match="rate_limited"):
                await second_step(store, right)


async def test_a_proof_signs_in_once_and_no_other_does(holder, store):
    app, codes = await with_app(holder, store)
    proof = await first_step(store)
    await finish(proof, codes[0], seal=SEAL, store=store)
    for used in (proof, "made up", ""):
        with pytest.raises(Refused, match="unauthenticated"):
            await finish(used, shown(app), seal=SEAL, store=store)


async def test_anothers_code_does_not_sign_in(holder, store):
    await with_app(holder, store)
    other = Holder("staff", (await a_member()).person)
    _, codes = await with_app(other, store)
    with pytest.raises(Refused, match="second_factor_wrong"):
        await second_step(store, codes[0])


async def test_a_wrong_code_turns_nothing_on(holder, store):
    await totp.begin_setup(holder, login="li", seal=SEAL, store=store)
    for wrong in ("000000", "", "abcdef", "１２３４５６"):
        with pytest.raises(Invalid):
            await totp.confirm(holder, wrong, seal=SEAL, store=store)
    assert not (await factors_of(holder)).any


async def test_neither_the_secret_nor_the_codes_are_kept_in_clear(holder, store):
    app, codes = await with_app(holder, store)
    kept = str(
        [dict(row) for table in ("totp", "recovery_code") for row in await db.fetch(f"SELECT * FROM {table}")]
    )
    assert app.secret not in kept
    assert not [code for code in codes if code in kept or code.replace("-", "") in kept]


async def test_the_database_takes_no_code_twice_either(holder, store):
    _, codes = await with_app(holder, store)
    await second_step(store, codes[0])
    for statement in (
        "UPDATE totp SET last_step = last_step",
        "UPDATE recovery_code SET used_at = used_at WHERE used_at IS NOT NULL",
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="was used"):
            await db.execute(statement)


async def test_an_operators_sign_in_asks_for_it_too(database, store):
    operator = await an_operator()
    _, codes = await with_app(operator, store)
    with pytest.raises(Refused, match="second_factor_required") as asked:
        await operator_sign_in("op", PASSWORD, address="192.0.2.1", store=store)
    session = await finish(asked.value.facts["proof"], codes[0], seal=SEAL, store=store)
    assert session.principal == Principal("operator", str(operator.id))
