"""Whether the process lives, and whether it can do its work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog
from litestar import Request, get
from litestar.types import ControllerRouterHandler

from marketplace import db
from marketplace.errors import Unavailable
from marketplace.identity.stores import EphemeralStore

_log = structlog.get_logger("web")


@get("/healthz", summary="The process lives", tags=["health"])
async def healthz() -> dict[str, str]:
    """Answers as long as the process does."""
    return {"status": "ok"}


@get("/readyz", summary="Database, migrations and Redis answer", tags=["health"])
async def readyz(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Each check by name; 503 with the same when one fails."""
    checks = {
        "database": await _database(),
        "migrations": await _migrations(),
        "redis": await _redis(request.app.state.store)
        if request.app.state.settings.redis_url
        else "not_configured",
    }
    if "failed" in checks.values():
        raise Unavailable(checks=checks)
    return {"status": "ready", "checks": checks}


async def _database() -> str:
    try:
        await db.fetch_value("SELECT 1")
    except Exception as error:
        _log.warning("not_ready", check="database", error=type(error).__name__)
        return "failed"
    return "ok"


async def _migrations() -> str:
    try:
        done = {row["name"] for row in await db.fetch("SELECT name FROM migration")}
    except Exception as error:
        _log.warning("not_ready", check="migrations", error=type(error).__name__)
        return "failed"
    return "ok" if _expected() <= done else "failed"


def _expected() -> set[str]:
    folders = (
        Path(config.resolved_migrations_folder_path) for config in db.APP_REGISTRY.app_configs.values()
    )
    return {file.stem for folder in folders for file in folder.glob("[0-9]*.py")}


async def _redis(store: EphemeralStore) -> str:
    try:
        await store.ping()
    except Unavailable:
        return "failed"
    return "ok"


HANDLERS: list[ControllerRouterHandler] = [healthz, readyz]
__all__ = ["HANDLERS"]
