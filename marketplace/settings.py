"""How this installation is set up: read once from the environment and a `.env` file, and never changed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from dotenv import dotenv_values

_VARIABLES: Final = {
    "CHUTAN_HOME": "home",
    "HOST": "host",
    "PORT": "port",
    "WORKERS": "workers",
    "DATABASE_URL": "database_url",
    "READ_DATABASE_URL": "read_database_url",
    "REDIS_URL": "redis_url",
    "REGISTRY_URL": "registry_url",
    "CHUTAN_TIME_SHIFT": "time_shift",
    "SMS_URL": "sms_url",
    "IDENTITY_URL": "identity_url",
}
_SCHEMES: Final = {
    "DATABASE_URL": ("postgres", "postgresql"),
    "READ_DATABASE_URL": ("postgres", "postgresql"),
    "REDIS_URL": ("redis", "rediss", "unix"),
    "REGISTRY_URL": ("http", "https"),
    "SMS_URL": ("http", "https"),
    "IDENTITY_URL": ("http", "https"),
}


# msgspec takes days at most; what it refuses is left to it.
_CALENDAR: Final = re.compile(r"P(?=.)(?:(?P<Y>[0-9]{1,3})Y)?(?:(?P<M>[0-9]{1,4})M)?(?:(?P<W>[0-9]{1,4})W)?"
                              r"(?:(?P<D>[0-9]{1,6})D)?(?P<time>T.+)?")  # fmt: skip


class SettingsError(ValueError):
    """A variable is set to something that cannot be; the message names it and never repeats a secret."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings, each with the default that `make run` uses.

    None is: for `database_url` the embedded PostgreSQL, for `read_database_url` no replica, for `redis_url` this
    process's memory, for `registry_url` the embedded registry, for `sms_url` the sandbox that sends nothing, for
    `identity_url` the sandbox that asks nobody.
    """

    home: Path = Path("var")
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8000
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    database_url: str | None = None
    read_database_url: str | None = None
    redis_url: str | None = None
    registry_url: str | None = None
    time_shift: timedelta = timedelta()
    sms_url: str | None = None
    identity_url: str | None = None


def load_settings(environment: Mapping[str, str] | None = None, dotenv: Path = Path(".env")) -> Settings:
    """The settings from `environment` (the process's, if None), which wins over the file `dotenv`.

    An empty variable counts as not set. Raises SettingsError.
    """
    given: dict[str, str | None] = {
        **dotenv_values(dotenv),
        **(os.environ if environment is None else environment),
    }
    values = {field: text for name, field in _VARIABLES.items() if (text := (given.get(name) or "").strip())}
    for name, schemes in _SCHEMES.items():
        address = values.get(_VARIABLES[name])
        if address is not None and urlsplit(address).scheme not in schemes:
            raise SettingsError(
                f"{name} must be an address that starts with {' or '.join(s + '://' for s in schemes)}"
            )
    if shift := values.get("time_shift"):
        values["time_shift"] = _in_days(shift)
    try:
        # The one type that msgspec does not know is Path.
        settings = msgspec.convert(values, Settings, strict=False, dec_hook=lambda _, text: Path(text))
    except msgspec.ValidationError as error:
        raise SettingsError(_worded(str(error))) from error
    if settings.registry_url is not None:
        raise SettingsError(
            "REGISTRY_URL: a registry elsewhere cannot be used yet; leave it out, and it is kept here"
        )
    if settings.workers > 1 and settings.redis_url is None:
        raise SettingsError(
            "WORKERS above 1 needs REDIS_URL: the processes share sessions and limits through Redis"
        )
    if settings.read_database_url is not None and settings.database_url is None:
        raise SettingsError("READ_DATABASE_URL needs DATABASE_URL: the embedded PostgreSQL has no replica")
    return settings


def _in_days(duration: str) -> str:
    """An ISO 8601 duration without the units that msgspec does not read: a year is 365 days, a month 30."""
    found = _CALENDAR.fullmatch(duration)
    if found is None:
        return duration
    years, months, weeks, days = (int(found[unit] or 0) for unit in "YMWD")
    return f"P{years * 365 + months * 30 + weeks * 7 + days}D{found['time'] or ''}"


def _worded(message: str) -> str:
    for name, field in _VARIABLES.items():
        if message.endswith(f"`$.{field}`"):
            return f"{name}: {message.removesuffix(f' - at `$.{field}`')}"
    return message


__all__ = ["Settings", "SettingsError", "load_settings"]
