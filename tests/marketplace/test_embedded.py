"""The embedded PostgreSQL, and those who use it, may be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg

from marketplace.embedded import embedded_postgres


def a_number_that_was() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


async def test_a_database_that_was_killed_starts_again_and_the_last_living_user_stops_it() -> None:
    # Not pytest's own folder: it takes back the rights that another system user's PostgreSQL needs there.
    with tempfile.TemporaryDirectory(prefix="chutan-", ignore_cleanup_errors=True) as folder:
        note, users = Path(folder) / "pg" / "postmaster.pid", Path(folder) / "pg" / ".handle_pids.json"
        with embedded_postgres(Path(folder)):
            kept = note.read_text().splitlines()
        # As a new container finds it: the old number is a living process's, though not a PostgreSQL's.
        for left in (note, note.with_name(".s.PGSQL.5432.lock")):
            left.write_text("\n".join([str(os.getpid()), *kept[1:]]) + "\n")
        users.write_text(json.dumps([a_number_that_was()]))

        with embedded_postgres(Path(folder)) as url:
            connection = await asyncpg.connect(url)
            assert await connection.fetchval("SELECT 1") == 1
            await connection.close()

        assert not note.exists()
