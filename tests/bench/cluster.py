"""The PostgreSQL of the benchmarks: a cluster of their own with the settings that the product runs with, a database
for everyone who is measured, and what its processes cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import psutil

from marketplace.embedded import embedded_postgres

SETTINGS = (
    "server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_level", "shared_buffers", "max_wal_size",
    "max_connections", "work_mem", "autovacuum", "jit",
)  # fmt: skip


class Cluster:
    """A running cluster, reached over its socket."""

    def __init__(self, url: str, postmaster: int) -> None:
        self._url = url
        self._postmaster = psutil.Process(postmaster)

    def url(self, database: str) -> str:
        return self._url.replace("/postgres?", f"/{database}?", 1)

    def cpu_seconds(self) -> float:
        """What all its processes have used since it was started, those that have ended too."""
        times = self._postmaster.cpu_times()
        spent = times.user + times.system + times.children_user + times.children_system
        for child in self._postmaster.children():
            try:
                own = child.cpu_times()
            except psutil.NoSuchProcess:  # it ended meanwhile, and its parent has its times or soon will
                continue
            spent += own.user + own.system
        return spent

    async def empty(self, database: str) -> str:
        """An empty database of this name; answers its address."""
        await self.drop(database)
        await self.run(f"CREATE DATABASE {database}")
        return self.url(database)

    async def drop(self, database: str) -> None:
        await self.run(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    async def disconnect(self, database: str) -> None:
        """End whatever still runs there."""
        await self.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")

    async def run(self, sql: str, database: str = "postgres") -> list[asyncpg.Record]:
        """Run a query, or a script of several."""
        connection = await asyncpg.connect(self.url(database))
        try:
            if ";" in sql:
                await connection.execute(sql)
                return []
            return list(await connection.fetch(sql))
        finally:
            await connection.close()

    async def calm(self) -> None:
        """Write out what is dirty, so that nobody pays for those who were measured before."""
        await self.run("CHECKPOINT")

    async def settings(self) -> dict[str, str]:
        connection = await asyncpg.connect(self.url("postgres"))
        shown = {name: await connection.fetchval(f"SHOW {name}") for name in SETTINGS}
        await connection.close()
        return shown


@contextmanager
def cluster(home: Path) -> Iterator[Cluster]:
    """The cluster in `home`/pg for as long as the block runs."""
    with embedded_postgres(home) as url:
        yield Cluster(url, int((home / "pg" / "postmaster.pid").read_text().split()[0]))
