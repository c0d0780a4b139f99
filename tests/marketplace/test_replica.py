"""The replica: asked for what may be old and for nothing else, and done without when it does not answer."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import pytest

from marketplace import clock, db
from marketplace.errors import NotFound
from marketplace.ids import new_id
from marketplace.registry.reading import retirement
from marketplace.tables import Channel

NAME = "chutan_replica"
WHERE = "SELECT current_database() = 'chutan_replica'"


def called(name: str, url: str) -> str:
    """The address of the database `name` beside the one at `url`."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@pytest.fixture(scope="module")
async def replica_url(migrated: str) -> AsyncIterator[str]:
    """A copy of the schema under another name: what it answers shows who was asked."""
    name = await db.fetch_value("SELECT current_database()")
    admin = await asyncpg.connect(called("template1", migrated))
    await admin.execute(f"DROP DATABASE IF EXISTS {NAME}")
    await db.DB.close_connection_pool()  # a template may have nobody in it
    await admin.execute(f'CREATE DATABASE {NAME} TEMPLATE "{name}"')
    await db.DB.start_connection_pool(min_size=1, max_size=10, init=db._prepare)
    yield called(NAME, migrated)
    await admin.execute(f"DROP DATABASE {NAME} WITH (FORCE)")
    await admin.close()


@asynccontextmanager
async def read_from(url: str) -> AsyncIterator[None]:
    """The process, as it would be with `url` as its replica."""
    db.REPLICA.config = db._config(url, db.STATEMENT_TIMEOUT_MS, default_transaction_read_only="on")
    await db.REPLICA.start_connection_pool(min_size=0, max_size=2, init=db._prepare)
    try:
        yield
    finally:
        await db.REPLICA.close_connection_pool()


@pytest.fixture(autouse=True)
def rested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "_replica_rests_until", 0.0)


@pytest.fixture
async def replica(database: str, replica_url: str) -> AsyncIterator[str]:
    async with read_from(replica_url):
        yield replica_url


async def asked_replica() -> bool:
    return bool(await db.fetch_value(WHERE))


async def test_the_replica_answers_what_may_be_old_and_nothing_else(replica):
    assert not await asked_replica()
    with db.replica():
        assert await asked_replica()
        async with db.transaction():
            assert not await asked_replica()
        assert await asked_replica()
    assert not await asked_replica()


async def test_statements_go_to_the_database_in_a_block_that_may_be_old_too(replica):
    with db.replica():
        await db.execute(
            "INSERT INTO channel (key, name, methodology, created_at) VALUES ('metro', '地铁', 'm', now())"
        )
        assert not await db.fetch("SELECT FROM channel")
    assert await db.fetch("SELECT FROM channel")


async def test_nothing_can_be_written_to_the_replica_by_mistake(replica):
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await db.REPLICA.pool.execute("DELETE FROM channel")


async def test_piccolos_queries_find_the_same_pool_as_a_node(replica):
    await Channel.insert(Channel(key="metro", name="地铁", methodology="m", created_at=clock.now()))
    assert await Channel.exists()
    assert not await Channel.exists().run(node="replica")


@pytest.fixture(params=["refuses", "says nothing", "has no such table"])
def unwell(request: pytest.FixtureRequest, migrated: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a replica that is no use."""
    if request.param == "has no such table":
        yield called("template1", migrated)
        return
    monkeypatch.setattr(db, "REPLICA_PATIENCE_SECONDS", 0.1)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        if request.param == "says nothing":
            listening.listen()
        yield f"postgresql://nobody@127.0.0.1:{listening.getsockname()[1]}/nothing"


async def test_a_replica_that_does_not_answer_costs_no_answer_and_is_left_alone_for_a_while(database, unwell):
    async with read_from(unwell):
        with db.replica():
            assert await db.fetch_value("SELECT count(*) FROM installation") == 1
            assert db._replica_rests_until > 0
            until = db._replica_rests_until
            assert await db.fetch_value("SELECT count(*) FROM installation") == 1
            assert db._replica_rests_until == until


async def test_a_process_opens_without_its_replica_and_closes_both(postgres):
    was, db.DB.pool = db.DB.pool, None
    try:
        async with db.opened(postgres, replica_url="postgresql://nobody@127.0.0.1:1/nothing"):
            with db.replica():
                assert await db.fetch_value("SELECT 1") == 1
        assert db.REPLICA.pool is None
    finally:
        db.DB.pool = was


# ------------------------------------------------------------------ who reads there
async def an_entry(url: str) -> UUID:
    """A retirement that only the database at `url` knows."""
    entry = new_id()
    connection = await asyncpg.connect(url)
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(
        """INSERT INTO registry_entry (id, kind, account, purpose, amount_g, serials, batch, recorded_at)
           VALUES ($1, 'retire', $1, 'test', 1, '{[1,2)}', '[]', now())""", entry,
    )  # fmt: skip
    await connection.close()
    return entry


async def test_a_retirement_is_looked_for_on_the_replica_and_then_in_the_database(
    replica, migrated, tampered
):
    assert (await retirement(await an_entry(replica))).amount_g == 1
    assert (await retirement(await an_entry(migrated))).amount_g == 1
    with pytest.raises(NotFound):
        await retirement(new_id())
    await tampered.execute("TRUNCATE registry_entry")
