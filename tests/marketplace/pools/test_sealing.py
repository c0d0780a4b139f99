"""Codes at rest: nothing of the database can be read without the key, nor with another one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

import app
from marketplace import db, journeys, pools
from marketplace.errors import Unavailable
from marketplace.pools import sealing
from marketplace.settings import Settings, SettingsError
from tests.builders import a_key, a_resident, an_offer, redeem
from tests.marketplace.pools.filling import a_pool, loaded, some_codes, uploaded


@pytest.fixture
def other_key() -> Iterator[None]:
    before = sealing._port.secret
    assert before is not None
    yield
    sealing.use_key(before)


async def everything_stored() -> str:
    """Every row of every table, as text; bytes as they are."""
    tables = await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    stored = []
    for table in tables:
        for row in await db.fetch(f"SELECT * FROM {table['tablename']}"):
            stored += [
                value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in row.values()
            ]
    return "\n".join(stored)


async def test_no_code_is_stored_but_sealed(database: str) -> None:
    offer = await an_offer(kind="code", codes=["SECRET-1"])
    await uploaded(offer, b"SECRET-2\nSECRET-3")
    await pools.begin(
        publisher=offer.publisher.id, offer=offer.id, name="c", size_bytes=9, expires_on=None, actor="t"
    )
    (upload, *_) = await pools.uploads_of(publisher=offer.publisher.id, offer=offer.id)
    await pools.receive(publisher=offer.publisher.id, upload=upload.id, offset=0, piece=b"SECRET-4")
    await loaded(offer, b"SECRET-5\nSECRET-5")
    resident = await a_resident()
    answer = await redeem(resident, offer, a_key(resident))
    assert answer["coupon"]["code"].startswith("SECRET-")
    assert "SECRET" not in await everything_stored()


async def test_a_replay_answers_the_code_again_and_its_resident_alone_sees_it(database: str) -> None:
    offer, resident = await an_offer(kind="code", codes=["AA", "BB"]), await a_resident()
    first = await redeem(resident, offer, a_key(resident))
    assert await redeem(resident, offer, a_key(resident)) == first
    assert first["coupon"]["code"] in {"AA", "BB"}
    shown = await journeys.journey(resident=resident, redemption=UUID(first["id"]))
    assert shown.coupon is not None
    assert shown.coupon.code == first["coupon"]["code"]
    assert await journeys.journeys(resident=await a_resident(), limit=10) == []


async def test_a_sealed_code_is_good_in_its_own_row_only(database: str) -> None:
    offer = await a_pool()
    await loaded(offer, b"AA\nBB")
    first, second = await db.fetch("SELECT id, sealed FROM pool_code ORDER BY id")
    assert sealing.unsealed_code(first["id"], first["sealed"]) == "AA"
    spoilt = bytes([first["sealed"][0], *first["sealed"][1:-1], first["sealed"][-1] ^ 1])
    for row, box in (
        (second["id"], first["sealed"]),
        (first["id"], spoilt),
        (first["id"], b"\x02" + spoilt[1:]),
    ):
        with pytest.raises(Unavailable):
            sealing.unsealed_code(row, box)


async def test_equal_codes_and_equal_files_look_different_in_every_pool(database: str) -> None:
    for offer in (await a_pool(), await a_pool()):
        await loaded(offer, b"AA")
    (marks,) = await db.fetch(
        """SELECT count(DISTINCT c.fingerprint) AS codes, count(DISTINCT u.digest) AS files
           FROM pool_code c JOIN code_upload u ON u.id = c.upload"""
    )
    assert dict(marks) == {"codes": 2, "files": 2}


async def test_under_another_key_nothing_is_read_and_nothing_is_sealed(
    database: str, other_key: None
) -> None:
    offer = await a_pool()
    upload = await uploaded(offer, some_codes(3))
    assert await sealing.is_the_key()
    sealing.use_key(lambda: "another key")
    assert not await sealing.is_the_key()
    for attempt in (
        loaded(offer, b"BB"),
        pools.add_codes(publisher=offer.publisher.id, offer=offer.id, codes=["BB"]),
    ):
        with pytest.raises(Unavailable):
            await attempt
    assert (await pools.upload_of(publisher=offer.publisher.id, upload=upload.id)).loaded == 0
    assert await db.fetch_value("SELECT count(*) FROM pool_code") == 0


async def test_a_server_with_another_key_does_not_start(
    database: str, other_key: None, tmp_path: Path
) -> None:  # fmt: skip
    await loaded(await a_pool(), b"AA")
    await app.require_keys(Settings(home=tmp_path))
    sealing.use_key(lambda: app.kept_secret(tmp_path, app.POOL_KEY))
    with pytest.raises(SettingsError, match="pool-key"):
        await app.require_keys(Settings(home=tmp_path))


async def test_the_database_keeps_a_code_as_it_is_and_gives_it_out_once(database: str) -> None:
    offer = await an_offer(kind="code", codes=["AA", "BB"])
    answer = await redeem(await a_resident(), offer)
    for statement in (
        "UPDATE pool_code SET redemption = NULL WHERE redemption IS NOT NULL",
        "UPDATE pool_code SET redemption = gen_random_uuid() WHERE redemption IS NOT NULL",
        "UPDATE pool_code SET sealed = sealed || sealed",
        "UPDATE pool_code SET offer = gen_random_uuid()",
        "DELETE FROM pool_code WHERE redemption IS NOT NULL",
        "TRUNCATE pool_code",
        "UPDATE code_upload SET added = added + 1",
        "UPDATE code_upload SET withdrawn = 5",
        "UPDATE code_upload SET state = 'failed'",
        "DELETE FROM publisher_event",
        """INSERT INTO pool_code (id, offer, upload, fingerprint, sealed)
           SELECT gen_random_uuid(), offer, upload, fingerprint, sealed FROM pool_code""",
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await db.execute(statement) or pytest.fail(statement)
    assert await db.fetch_value("SELECT redemption FROM pool_code WHERE redemption IS NOT NULL") == UUID(
        answer["id"]
    )
