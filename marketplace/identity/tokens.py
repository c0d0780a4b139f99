"""Opaque bearer tokens: sessions (`cs_`) in the ephemeral store, and long-lived ones (`ct_`) in the database."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args
from uuid import UUID

import msgspec

from marketplace import clock, db
from marketplace.identity.stores import EphemeralStore

Role = Literal["resident", "staff", "till", "operator", "channel", "bank", "client"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

SESSION_TTL: Final = timedelta(hours=12)
RESIDENT_SESSION_TTL: Final = timedelta(days=14)
CLIENT_SESSION_TTL: Final = timedelta(hours=1)
_LONGEST_TOKEN: Final = 128
_EPOCH_SLACK_SECONDS: Final = 3600


class Principal(msgspec.Struct, frozen=True):
    """Who calls: `subject` is the resident's, staff member's, till's or operator's id, a channel's key, a bank's
    publisher id, an API client's id."""

    role: Role
    subject: str

    @property
    def id(self) -> UUID:
        """The subject as an id: for every role but channel."""
        return UUID(self.subject)

    def __str__(self) -> str:
        return f"{self.role}:{self.subject}"


class Session(msgspec.Struct, frozen=True):
    """A session that was just begun; the token is shown this once."""

    token: str
    principal: Principal
    expires_at: datetime


class _Kept(msgspec.Struct, frozen=True):
    principal: Principal
    expires_at: datetime
    epoch: bytes | None = None


async def begin_session(
    principal: Principal, *, store: EphemeralStore, ttl: timedelta = SESSION_TTL, epoch: bytes | None = None
) -> Session:
    """A new session of `principal`, good for `ttl`; a resident's belongs to the `epoch` that the caller read before it
    was settled who that is. Raises Unavailable."""
    session = Session("cs_" + secrets.token_urlsafe(32), principal, clock.now() + ttl)
    kept = msgspec.msgpack.encode(_Kept(principal, session.expires_at, epoch))
    await store.set(_session_key(session.token), kept, ttl_seconds=ttl.total_seconds())
    return session


async def session_epoch(resident: UUID, *, store: EphemeralStore) -> bytes | None:
    """The epoch that new sessions of `resident` belong to; None when none was ended lately. Raises Unavailable."""
    return await store.get(_epoch_key(str(resident)))


async def end_sessions_of(resident: UUID, *, store: EphemeralStore) -> None:
    """End every session of `resident` that has begun, wherever it is, by beginning a new epoch. Raises Unavailable.

    The epoch is forgotten after the longest session: whatever it ended is over by then, and what began in it goes on.
    """
    kept_seconds = RESIDENT_SESSION_TTL.total_seconds() + _EPOCH_SLACK_SECONDS
    await store.set(_epoch_key(str(resident)), secrets.token_bytes(16), ttl_seconds=kept_seconds)


async def end_session(token: str, *, store: EphemeralStore) -> None:
    """End the session, or revoke the long-lived token; ending what is not there is no mistake."""
    if token.startswith("cs_"):
        await store.delete(_session_key(token))
    else:
        await revoke_token(token)


async def issue_token(
    principal: Principal,
    *,
    demonstration: bool = False,
    expires_at: datetime | None = None,
    token: str | None = None,
) -> str:
    """A long-lived token of `principal`; only its digest is kept. A known `token` (the demonstration's, derived from
    its seed) may be given, and issuing it again changes nothing."""
    token = token or "ct_" + secrets.token_urlsafe(32)
    assert token.startswith("ct_"), "a long-lived token starts with ct_"
    await db.execute(
        "INSERT INTO access_token (hash, role, subject, demonstration, created_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (hash) DO NOTHING",
        _digest(token), principal.role, principal.subject, demonstration, clock.now(), expires_at,
    )  # fmt: skip
    return token


async def revoke_token(token: str) -> None:
    """From now on the long-lived `token` is refused."""
    await db.execute(
        "UPDATE access_token SET revoked_at = $2 WHERE hash = $1 AND revoked_at IS NULL",
        _digest(token),
        clock.now(),
    )


async def revoke_tokens_of(principal: Principal) -> int:
    """Revoke every long-lived token of `principal` (a till that was lost, a member of staff who left)."""
    return await db.execute(
        "UPDATE access_token SET revoked_at = $3 WHERE role = $1 AND subject = $2 AND revoked_at IS NULL",
        principal.role, principal.subject, clock.now(),
    )  # fmt: skip


async def principal_of(token: str, *, store: EphemeralStore) -> Principal | None:
    """Whose token it is; None when it is unknown, over or revoked. Raises Unavailable when that cannot be known."""
    if not (token.isascii() and len(token) <= _LONGEST_TOKEN):
        return None
    if token.startswith("cs_"):
        raw = await store.get(_session_key(token))
        kept = msgspec.msgpack.decode(raw, type=_Kept) if raw is not None else None
        if kept is None or kept.expires_at <= clock.now():
            return None
        if kept.principal.role == "resident":
            epoch = await store.get(_epoch_key(kept.principal.subject))
            return kept.principal if epoch in (None, kept.epoch) else None
        return kept.principal
    if token.startswith("ct_"):
        return await _here().principal(token)
    return None


class _LookUps:
    """The long-lived tokens that are looked up: those who ask while a query is under way share the next one."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._asked: list[tuple[bytes, asyncio.Future[Principal | None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def principal(self, token: str) -> Principal | None:
        answer: asyncio.Future[Principal | None] = self.loop.create_future()
        self._asked.append((_digest(token), answer))
        if self._task is None:
            self._task = self.loop.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked, []
                try:
                    found: Any = await _long_lived([digest for digest, _ in asked])
                except Exception as error:
                    found = error
                for digest, answer in asked:
                    if answer.cancelled():
                        continue
                    if isinstance(found, Exception):
                        answer.set_exception(found)
                    else:
                        answer.set_result(found.get(digest))
        finally:
            self._task = None


_look_ups: list[_LookUps] = []


def _here() -> _LookUps:
    """Those of the loop that runs: asking for that loop is a call of the kernel, and so is done once."""
    if not _look_ups or not _look_ups[0].loop.is_running():
        _look_ups[:] = [_LookUps()]
    return _look_ups[0]


async def _long_lived(digests: list[bytes]) -> dict[bytes, Principal]:
    """Whose tokens with these digests are, of those that are good."""
    rows = await db.fetch(
        "SELECT hash, role, subject FROM access_token WHERE hash = ANY($1) AND revoked_at IS NULL"
        " AND (expires_at IS NULL OR expires_at > $2)"
        " AND (NOT access_token.demonstration OR (SELECT demonstration FROM installation))",
        digests, clock.now(),
    )  # fmt: skip
    return {row["hash"]: Principal(row["role"], row["subject"]) for row in rows}


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _session_key(token: str) -> str:
    return "session:" + _digest(token).hex()


def _epoch_key(resident: str) -> str:
    return "session-epoch:" + resident


__all__ = [
    "CLIENT_SESSION_TTL",
    "RESIDENT_SESSION_TTL",
    "ROLES",
    "SESSION_TTL",
    "Principal",
    "Role",
    "Session",
    "begin_session",
    "end_session",
    "end_sessions_of",
    "issue_token",
    "principal_of",
    "revoke_token",
    "revoke_tokens_of",
    "session_epoch",
]
