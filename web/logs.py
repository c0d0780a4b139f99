"""The log: structured lines on stdout, as JSON or for a terminal, without personal data.

Lines that nobody waits for are written together, a fifth of a second late at most; a warning or an error takes with it
at once all that came before it.
"""

from __future__ import annotations

import asyncio
import atexit
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

_PHONE: Final = re.compile(r"(?<![0-9])(1[3-9][0-9])[0-9]{4}([0-9]{4})(?![0-9])")
_ID_NUMBER: Final = re.compile(r"(?<![0-9])[0-9]{17}[0-9Xx](?![0-9])")
_SECRET_FIELDS: Final = frozenset({"token", "password", "secret", "authorization", "cookie"})
_WRITTEN_WITHIN_SECONDS: Final = 0.2
_AT_MOST: Final = 256  # lines that wait to be written

_log = structlog.get_logger("web")


class _Lines:
    """What is to be written to stdout."""

    def __init__(self) -> None:
        self._waiting: list[str] = []

    def info(self, line: str) -> None:
        """Write `line` soon."""
        self._waiting.append(line)
        if len(self._waiting) == 1:
            try:
                asyncio.get_running_loop().call_later(_WRITTEN_WITHIN_SECONDS, self.write)
            except RuntimeError:  # nothing runs that could write later
                self.write()
        elif len(self._waiting) >= _AT_MOST:
            self.write()

    debug = info

    def warning(self, line: str) -> None:
        """Write `line` now."""
        self._waiting.append(line)
        self.write()

    error = critical = warning

    def write(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            sys.stdout.write("\n".join(waiting) + "\n")
            sys.stdout.flush()


_lines: Final = _Lines()
atexit.register(_lines.write)
_as_json = False


def configure_logging(*, json: bool) -> None:
    """From now on the log is JSON, or text for a terminal."""
    global _as_json  # noqa: PLW0603
    _lines.write()
    _as_json = json
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            without_persons,
            *_rendering(json),
        ],
        logger_factory=lambda *_: _lines,
        cache_logger_on_first_use=True,
    )


def log_request(*, request_id: str, method: str, route: str, status: int, ms: float) -> None:
    """One line for every request, of nothing that a caller wrote."""
    if not _as_json:
        _log.info("request", request_id=request_id, method=method, route=route, status=status, ms=ms)
        return
    # What structlog makes of it, at a fifth of the cost.
    line = {
        "request_id": request_id, "method": method, "route": route, "status": status, "ms": ms, "event": "request",
        "level": "info", "timestamp": datetime.now(UTC),
    }  # fmt: skip
    _lines.info(msgspec.json.encode(line).decode())


def _rendering(json: bool) -> Iterable[Any]:
    if json:
        return (
            structlog.processors.format_exc_info,
            _masked_text,
            structlog.processors.JSONRenderer(serializer=_json),
        )
    # Plain tracebacks: the default ones show local variables, and with them names, numbers and passwords.
    return (structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),)


def _json(event: structlog.typing.EventDict, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


def without_persons(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A log processor: phones and identity numbers are masked, and fields that hold secrets are blanked."""
    for name, value in event.items():
        if name in _SECRET_FIELDS and isinstance(value, str):
            event[name] = "***"
        elif isinstance(value, str):
            event[name] = _masked(value)
    return event


def _masked_text(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if isinstance(event.get("exception"), str):
        event["exception"] = _masked(event["exception"])
    return event


def _masked(text: str) -> str:
    return _PHONE.sub(r"\1****\2", _ID_NUMBER.sub("***", text))


__all__ = ["configure_logging", "log_request", "without_persons"]
