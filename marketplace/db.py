"""The database: one engine for Piccolo, one owner of transactions, and migrations under a lock.

`PICCOLO_CONF` names this module, so that Piccolo's tables find `DB` and its migrations find `APP_REGISTRY`.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final, TypeAlias

import asyncpg
import msgspec
import structlog
from asyncpg.pool import PoolConnectionProxy
from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.apps.migrations.commands.forwards import run_forwards
from piccolo.conf.apps import AppRegistry
from piccolo.engine.postgres import PostgresEngine

from marketplace.errors import Unavailable

os.environ.setdefault("PICCOLO_CONF", "marketplace.db")


class _Engine(PostgresEngine):
    """Piccolo's engine, told later where the database is: so it does not look for one when it is made."""

    async def check_version(self) -> None:
        """Nothing to ask yet."""


REPLICA: Final = _Engine(config={}, extensions=())
DB: Final = _Engine(config={}, extensions=(), extra_nodes={"replica": REPLICA})
APP_REGISTRY: Final = AppRegistry(apps=[])  # app.py, which knows every package, fills it in

Row = asyncpg.Record
Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
_MIGRATION_LOCK = 0x6368757461_6E  # "chutan"

POOL_TIMEOUT_SECONDS = 5.0
STATEMENT_TIMEOUT_MS = 15_000
LOCK_TIMEOUT_MS = 5_000
REPLICA_PATIENCE_SECONDS = 1.0
REPLICA_REST_SECONDS = 5.0  # a replica that did not answer is left alone for so long


@asynccontextmanager
async def opened(
    url: str, *, replica_url: str | None = None, pool_size: int = 10,
    statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
) -> AsyncIterator[None]:  # fmt: skip
    """Connect the process to the database at `url`, and to its replica if it has one, for as long as the block runs.

    The replica is connected to when it is first asked: the process starts, and works, without it.
    """
    DB.config = _config(url, statement_timeout_ms)
    await DB.start_connection_pool(min_size=1, max_size=pool_size, init=_prepare, reset=_tidy)
    try:
        if replica_url is not None:
            REPLICA.config = _config(replica_url, statement_timeout_ms, default_transaction_read_only="on")
            await REPLICA.start_connection_pool(min_size=0, max_size=pool_size, init=_prepare, reset=_tidy)
        yield
    finally:
        if REPLICA.pool is not None:
            await REPLICA.close_connection_pool()
        await DB.close_connection_pool()


def _config(url: str, statement_timeout_ms: int, **more: str) -> dict[str, Any]:
    return {
        "dsn": url,
        "server_settings": {
            "application_name": "chutan",
            "timezone": "UTC",
            "statement_timeout": str(statement_timeout_ms),
            "lock_timeout": str(LOCK_TIMEOUT_MS),
            "idle_in_transaction_session_timeout": "60000",
            **more,
        },
    }


async def _prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    # Binary, because COPY is; jsonb on the wire is a version byte of 1, then the JSON text.
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda wire: msgspec.json.decode(wire[1:]),
    )
    await connection.set_type_codec(
        "json", schema="pg_catalog", format="binary", encoder=msgspec.json.encode, decoder=msgspec.json.decode
    )


async def _tidy(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Before a connection is used again: nothing, which saves a round trip, unless somebody left a transaction open.

    Nobody changes a session but for a transaction, or puts it back (the import's own connection).
    """
    if connection.is_in_transaction():
        await connection.reset()


@asynccontextmanager
async def transaction() -> AsyncIterator[Connection]:
    """One transaction, never nested; the block gets its asyncpg connection, Piccolo's queries inside use it too.

    The connection goes back to the pool however the block or the COMMIT ends, which deferred constraints may refuse.
    Raises Unavailable when no connection can be had in time.
    """
    if DB.current_transaction.get() is not None:
        raise RuntimeError("a transaction is open already: only the top domain verb opens one")
    connection = await _acquired()
    joined = _Joined(connection)
    token = DB.current_transaction.set(joined)  # type: ignore[arg-type]
    try:
        async with connection.transaction():
            yield connection
    finally:
        DB.current_transaction.reset(token)
        await _release(connection)


@asynccontextmanager
async def joined() -> AsyncIterator[None]:
    """The transaction that is open, or one of the block's own."""
    if DB.current_transaction.get() is not None:
        yield
        return
    async with transaction():
        yield


class _Joined:
    """What Piccolo's queries look for to take part in an open transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection


def connection() -> Connection:
    """The connection of the transaction that is open; it is a mistake to ask outside one."""
    current = DB.current_transaction.get()
    if current is None:
        raise RuntimeError("no transaction is open")
    current_connection: Connection = current.connection
    return current_connection


@contextmanager
def replica() -> Iterator[None]:
    """Queries of the block may be answered by the replica, and so be a second old; transactions and statements are not.

    For what is shown to everybody, never for what decides or for somebody's own. Where there is no replica, or it does
    not answer, the database does.
    """
    token = _may_be_old.set(True)
    try:
        yield
    finally:
        _may_be_old.reset(token)


_may_be_old: ContextVar[bool] = ContextVar("may_be_old", default=False)
_replica_rests_until = 0.0


async def fetch(sql: str, *arguments: Any) -> list[Row]:
    """Rows of a query, inside the open transaction if there is one."""
    current = DB.current_transaction.get()
    if current is None and _may_be_old.get():
        rows = await _from_replica(sql, *arguments)
        if rows is not None:
            return rows
    async with _source() as source:
        found: list[Row] = await source.fetch(sql, *arguments)
    return found


async def _from_replica(sql: str, *arguments: Any) -> list[Row] | None:
    """What the replica answers; None where it is not there, not well, or not as far as this query needs."""
    global _replica_rests_until  # noqa: PLW0603
    if REPLICA.pool is None or time.monotonic() < _replica_rests_until:
        return None
    try:
        async with asyncio.timeout(REPLICA_PATIENCE_SECONDS):
            rows: list[Row] = await REPLICA.pool.fetch(sql, *arguments)
            return rows
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        _replica_rests_until = time.monotonic() + REPLICA_REST_SECONDS
        structlog.get_logger("database").warning("replica_failed", error=type(error).__name__)
        return None


async def fetch_row(sql: str, *arguments: Any) -> Row | None:
    """The first row of a query, or None."""
    rows = await fetch(sql, *arguments)
    return rows[0] if rows else None


async def fetch_value(sql: str, *arguments: Any) -> Any:
    """The first column of the first row, or None."""
    row = await fetch_row(sql, *arguments)
    return row[0] if row else None


async def execute(sql: str, *arguments: Any) -> int:
    """Run a statement; answers how many rows it touched."""
    async with _source() as source:
        status: str = await source.execute(sql, *arguments)
    count = status.rsplit(" ", 1)[-1]
    return int(count) if count.isdigit() else 0


async def insert_many(table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """COPY `rows` into `table`, inside the open transaction."""
    if rows:
        await connection().copy_records_to_table(table, columns=list(columns), records=rows)


@asynccontextmanager
async def _source() -> AsyncIterator[Connection]:
    """The connection of the open transaction, or one for a single statement."""
    current = DB.current_transaction.get()
    if current is not None:
        yield current.connection
        return
    connection = await _acquired()
    try:
        yield connection
    finally:
        await _release(connection)


async def _release(connection: Connection) -> None:
    """Give a connection back. One that is lost meanwhile is back already: what it was used for stands."""
    with contextlib.suppress(
        asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError
    ):
        await asyncio.shield(_pool().release(connection))


async def _acquired() -> Connection:
    """A connection of the pool. Raises Unavailable when none can be had in time."""
    try:
        return await _pool().acquire(timeout=POOL_TIMEOUT_SECONDS)
    except (
        TimeoutError, OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError,
        asyncpg.TooManyConnectionsError,
    ) as error:  # fmt: skip
        raise Unavailable(what="database") from error


def _pool() -> asyncpg.Pool:
    pool = DB.pool
    if pool is None:
        raise RuntimeError("the database is not open")
    return pool


# ---------------------------------------------------------------- migrations
async def migrate() -> None:
    """Bring the database up to date, once, whoever asks first; the others wait under an advisory lock."""
    async with _pool().acquire() as lock:
        await lock.execute("SET statement_timeout = 0; SET lock_timeout = 0")
        await lock.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                await run_forwards("all")
        finally:
            await lock.execute("SELECT pg_advisory_unlock($1)", _MIGRATION_LOCK)
            await lock.execute("RESET statement_timeout; RESET lock_timeout")


def sql_migration(module_file: str, *, app_name: str, description: str) -> MigrationManager:
    """A Piccolo migration whose forward step is the SQL file that stands beside it."""
    path = Path(module_file)
    manager = MigrationManager(migration_id=path.stem, app_name=app_name, description=description)

    async def run() -> None:
        # asyncpg's simple protocol takes a whole script; Piccolo's own raw() takes one statement.
        current = DB.current_transaction.get()
        if current is None:
            raise RuntimeError("a migration runs in a transaction")
        await current.connection.execute(path.with_suffix(".sql").read_text(encoding="utf-8"))

    manager.add_raw(run)
    return manager


async def is_demonstration() -> bool:
    """Whether this database was made by `demo`."""
    return bool(await fetch_value("SELECT demonstration FROM installation"))


__all__ = [
    "APP_REGISTRY",
    "DB",
    "REPLICA",
    "Connection",
    "Row",
    "connection",
    "execute",
    "fetch",
    "fetch_row",
    "fetch_value",
    "insert_many",
    "is_demonstration",
    "migrate",
    "opened",
    "replica",
    "sql_migration",
    "transaction",
]
