"""The processes that a run starts, one after the other: servers, commands and the load generator."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
MEGABYTE = 1024 * 1024
READY_WITHIN_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A server that answers on `port`; it took `start_seconds` to."""

    process: psutil.Process
    port: int
    start_seconds: float

    def cpu_seconds(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system

    def memory_mb(self) -> float:
        """What it holds in memory now."""
        return round(self.process.memory_info().rss / MEGABYTE, 1)


def of_ours(url: str, home: Path) -> dict[str, str]:
    """The environment of our server and commands on the database at `url`: empty is not set, whatever `.env` says."""
    unset = dict.fromkeys(("REDIS_URL", "REGISTRY_URL", "CHUTAN_TIME_SHIFT", "SMS_URL", "IDENTITY_URL"), "")
    return unset | {"DATABASE_URL": url, "CHUTAN_HOME": str(home), "HOST": HOST, "WORKERS": "1"}


@contextmanager
def serving(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[Server]:
    """The server that `command` starts on a free port, put in place of PORT, until the block ends."""
    port = _free_port()
    begun = time.perf_counter()
    with log.open("ab") as written:
        process = subprocess.Popen(
            [word.replace("PORT", str(port)) for word in command],
            cwd=ROOT, env=os.environ | environment, stdout=written, stderr=written,
        )  # fmt: skip
    try:
        while not _answers(port):
            if process.poll() is not None or time.perf_counter() - begun > READY_WITHIN_SECONDS:
                raise RuntimeError(f"{command} did not start: see {log}")
            time.sleep(0.005)
        yield Server(psutil.Process(process.pid), port, round(time.perf_counter() - begun, 2))
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ours(url: str, home: Path) -> Any:
    """Our server, as `serve` starts it."""
    return serving(
        [sys.executable, "app.py", "serve", "--port", "PORT"], of_ours(url, home), home / "server.log"
    )


@dataclass(frozen=True)
class Ran:
    """A command that has ended well."""

    stdout: str
    cpu_seconds: float


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, stdin: str = "") -> Ran:
    """Run a command to its end, and say what it took. Raises RuntimeError when it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        command, cwd=ROOT, env=os.environ | (environment or {}), text=True, input=stdin, capture_output=True,
        check=False,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {ended.stderr[-2000:]}{ended.stdout[-2000:]}")
    return Ran(ended.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


@dataclass(frozen=True)
class Told:
    """What one of our commands printed, None when it was stopped because it took too long."""

    answer: Any
    seconds: float
    memory_mb: float


def command(name: str, *arguments: str, url: str, home: Path, within_seconds: float = 600) -> Told:
    """Run one of our commands under a watch of its time and memory. Raises RuntimeError when it fails."""
    watched = [sys.executable, "-m", "tests.bench.watched", str(within_seconds), "app.py", name, *arguments]
    told = json.loads(run(watched, of_ours(url, home)).stdout)
    answer = None if told["stdout"] is None else json.loads(told["stdout"])
    return Told(answer, told["seconds"], told["memory_mb"])


def load(plan: dict[str, Any]) -> dict[str, Any]:
    """Run the load generator in a process of its own. Raises RuntimeError when an answer is not the one that is due."""
    due = plan.pop("due")
    said: dict[str, Any] = json.loads(
        run([sys.executable, "-m", "tests.bench.load"], stdin=json.dumps({"host": HOST} | plan)).stdout
    )
    if set(said["statuses"]) != {due}:
        raise RuntimeError(f"not all answers were {due}: {said['statuses']} {said['bodies']}")
    return said


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((HOST, port)) == 0
