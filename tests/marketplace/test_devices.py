"""Devices: a phone that is paired, a cash register with a secret, both revoked for good."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from marketplace import clock, db, devices, pairing
from marketplace.errors import Invalid, NotFound, Refused
from marketplace.identity.oauth import ClientSecret, OauthRefused, grant
from marketplace.identity.stores import MemoryStore
from marketplace.identity.tokens import Principal, Session, principal_of
from marketplace.publishers import tills
from tests.builders import a_publisher, a_store, a_till, an_offer, code_of, redeemed, verify

ADDRESS = "192.0.2.7"


async def a_code(publisher: UUID, at: UUID, store: MemoryStore, name: str = "前台手机") -> str:
    begun = await pairing.begin_pairing(
        publisher=publisher, at=at, name=name, added_by="staff:1", store=store
    )
    return begun.code


async def a_shop() -> tuple[UUID, UUID]:
    publisher = await a_publisher()
    return publisher, await a_store(publisher)


async def paired(code: str, store: MemoryStore, address: str = ADDRESS) -> Session:
    return await pairing.pair(code, address=address, store=store)


async def asked(secret: devices.Secret, store: MemoryStore) -> Principal:
    credentials = ClientSecret(secret.client_id, secret.secret)
    return (await grant(credentials, audiences=frozenset(), store=store)).principal


async def test_a_paired_phone_is_a_till_of_the_store_and_is_seen(database: str) -> None:
    (publisher, shop), store = await a_shop(), MemoryStore()
    session = await paired(await a_code(publisher, shop, store), store)
    principal = await principal_of(session.token, store=store)
    assert principal == session.principal
    assert principal is not None

    till = await devices.calling(principal.id)
    assert (till.store, till.publisher, till.name) == (shop, publisher, "前台手机")
    [seen] = await devices.devices(publisher=publisher)
    assert seen.last_seen_at is not None
    assert seen.client_id is None
    await devices.calling(principal.id)
    assert [seen] == await devices.devices(publisher=publisher)  # within the minute nothing is written
    with clock.travelled(timedelta(minutes=2)):
        await devices.calling(principal.id)
    assert [seen] != await devices.devices(publisher=publisher)
    assert await tills(publisher=publisher) == []  # nobody else stands at it


async def test_a_pairing_code_is_good_once_whoever_is_quick(database: str) -> None:
    (publisher, shop), store = await a_shop(), MemoryStore()
    code = await a_code(publisher, shop, store)
    outcomes = await asyncio.gather(
        *(paired(code, store, f"192.0.2.{n}") for n in range(5)), return_exceptions=True
    )
    assert sorted(map(code_of, outcomes)) == ["ok"] + ["pairing_code_wrong"] * 4
    assert len(await devices.devices(publisher=publisher)) == 1


async def test_a_pairing_code_runs_out(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (publisher, shop), store = await a_shop(), MemoryStore()
    monkeypatch.setattr(pairing, "CODE_TTL", timedelta())
    with pytest.raises(Refused, match="pairing_code_wrong"):
        await paired(await a_code(publisher, shop, store), store)


def widened(code: str) -> str:
    return "".join(chr(ord(character) + 0xFEE0) for character in code)


@pytest.mark.parametrize("typed", [str.lower, lambda code: f" {code[:2]} {code[2:]} ", widened])
async def test_a_pairing_code_is_read_whatever_its_case_spaces_and_widths(database: str, typed) -> None:
    (publisher, shop), store = await a_shop(), MemoryStore()
    assert await paired(typed(await a_code(publisher, shop, store)), store)


async def test_guessing_pairing_codes_is_stopped_by_address(database: str) -> None:
    (publisher, shop), store = await a_shop(), MemoryStore()
    code = await a_code(publisher, shop, store)
    for _ in range(pairing.TRIES_PER_ADDRESS):
        with pytest.raises(Refused, match="pairing_code_wrong"):
            await paired("AAAA-AAAA", store)
    with pytest.raises(Refused, match="rate_limited"):
        await paired(code, store)
    assert await paired(code, store, "192.0.2.8")


async def test_pairing_codes_are_made_within_reason_and_for_ones_own_stores(database: str) -> None:
    (publisher, shop), store = await a_shop(), MemoryStore()
    with pytest.raises(NotFound):
        await a_code(publisher, await a_store(), store)
    with pytest.raises(Invalid):
        await a_code(publisher, shop, store, name=" ")
    for _ in range(pairing.CODES_PER_HOUR - 1):  # the unnamed one did not count
        await a_code(publisher, shop, store)
    await a_code(publisher, shop, store)
    with pytest.raises(Refused, match="rate_limited"):
        await a_code(publisher, shop, store)


async def test_a_store_has_so_many_devices(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (publisher, shop), store = await a_shop(), MemoryStore()
    monkeypatch.setattr(devices, "MOST_PER_STORE", 2)
    codes = [await a_code(publisher, shop, store) for _ in range(5)]
    outcomes = await asyncio.gather(*(paired(code, store) for code in codes), return_exceptions=True)
    assert sorted(map(code_of, outcomes)) == ["ok", "ok", *["too_many_devices"] * 3]


async def test_a_revoked_phone_is_nobody_at_once_and_stays_so(database: str) -> None:
    (publisher, shop), store = await a_shop(), MemoryStore()
    session = await paired(await a_code(publisher, shop, store), store)
    with pytest.raises(NotFound):
        await devices.revoke(publisher=await a_publisher(), till=session.principal.id)
    assert await principal_of(session.token, store=store) is not None

    for _ in range(2):
        await devices.revoke(publisher=publisher, till=session.principal.id)
    assert await principal_of(session.token, store=store) is None
    with pytest.raises(NotFound):
        await devices.calling(session.principal.id)
    assert await devices.devices(publisher=publisher) == []
    for change in ("SET revoked_at = NULL", "SET added_by = 'x'"):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await db.execute(f"UPDATE till_device {change}")


async def test_a_till_that_is_no_device_calls_as_before(database: str) -> None:
    till = await a_till()
    assert (await devices.calling(till)).id == till
    with pytest.raises(NotFound):
        await devices.revoke(publisher=(await devices.calling(till)).publisher, till=till)


async def test_a_registers_secret_is_kept_as_a_digest_and_signs_it_in(database: str) -> None:
    (publisher, shop), store = await a_shop(), MemoryStore()
    made = await devices.add_register(publisher=publisher, store=shop, name="收银机", added_by="staff:1")
    assert await asked(made, store) == Principal("till", str(made.till))
    kept = await db.fetch_value("SELECT secret_hash FROM oauth_client WHERE client_id = $1", made.client_id)
    assert made.secret not in kept
    [device] = await devices.devices(publisher=publisher)
    assert device.client_id == made.client_id
    with pytest.raises(NotFound):
        await devices.add_register(
            publisher=publisher, store=await a_store(), name="收银机", added_by="staff:1"
        )


async def test_a_new_secret_ends_the_old_one(database: str) -> None:
    (publisher, shop), store = await a_shop(), MemoryStore()
    first = await devices.add_register(publisher=publisher, store=shop, name="收银机", added_by="staff:1")
    with pytest.raises(NotFound):
        await devices.rotate_secret(publisher=await a_publisher(), till=first.till)
    second = await devices.rotate_secret(publisher=publisher, till=first.till)
    with pytest.raises(OauthRefused):
        await asked(first, store)
    assert await asked(second, store) == Principal("till", str(first.till))
    phone = await paired(await a_code(publisher, shop, store), store)
    with pytest.raises(NotFound):
        await devices.rotate_secret(publisher=publisher, till=phone.principal.id)


async def test_a_revoked_register_has_neither_secret_nor_session(database: str) -> None:
    (publisher, shop), store = await a_shop(), MemoryStore()
    made = await devices.add_register(publisher=publisher, store=shop, name="收银机", added_by="staff:1")
    assert await asked(made, store)
    await devices.revoke(publisher=publisher, till=made.till)
    with pytest.raises(OauthRefused):
        await asked(made, store)
    with pytest.raises(NotFound):
        await devices.calling(made.till)
    with pytest.raises(NotFound):
        await devices.rotate_secret(publisher=publisher, till=made.till)


async def test_what_a_device_verified_names_it(database: str) -> None:
    offer, store = await an_offer(), MemoryStore()
    session = await paired(await a_code(offer.publisher.id, offer.stores[0].id, store), store)
    await verify(session.principal.id, (await redeemed(offer))[1])
    assert await db.fetch_value("SELECT till FROM verification") == session.principal.id
