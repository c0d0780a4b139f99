"""The catalogue for those who are not signed in: finished answers, kept for a second where sessions are kept too.

They stand in front of the framework, compressed as they go out. Nothing of a visitor may be in what is kept: no cookie
is, and who brings a token or a session is never given one. A store that does not answer costs speed, never an answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Final, TypeVar
from weakref import WeakValueDictionary

import msgspec
from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from marketplace import db
from marketplace.errors import Unavailable
from marketplace.identity.stores import EphemeralStore
from marketplace.ids import new_id
from merchants.seen import Seen
from web.incoming import StrictRequest
from web.locale import preferred_language
from web.problems import render_problem
from web.seen import LISTED, counts
from web.sessions import COOKIE

T = TypeVar("T")

KEPT_SECONDS: Final = 1.0
_GENERATION: Final = "catalogue:generation"
# Longer than an answer of an earlier generation is kept or in the making, and than the replica may lag.
_GENERATION_SECONDS: Final = 60
_PATIENCE_SECONDS: Final = 0.2
_TURN_SECONDS: Final = 4
_PATHS: Final = frozenset({"/", "/api/v1/offers"})
# Questions that many ask alike; what is searched for, and later pages, are not worth keeping.
_QUESTION: Final = re.compile(rb"(?:(?:kind=[a-z_]{0,20}|city=(?:42[0-9]{4})?|limit=[0-9]{1,3}|q=)(?:&|$))*")
_ENCODINGS: Final = (b"br", b"gzip")
_CHANGE_OFFERS: Final = (
    "/api/v1/publisher/offers", "/api/v1/operator/offers", "/api/v1/operator/publishers", "/operator/publishers",
    "/publisher/offers", "/operator/approvals",
    "/api/v1/publisher/limits", "/api/v1/operator/campaigns", "/publisher/limits",
    "/operator/campaigns",
)  # fmt: skip


class KeptAnswers:
    """The answers that this process finds or makes: each is made by one request, while the others wait for it."""

    def __init__(self, store: EphemeralStore) -> None:
        self._store = store
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def answer(self, says: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """What `make` makes, or made within the last second. `says` holds everything that it depends on.

        What was made before offers changed is found no more, even by a request that was under way meanwhile. It is made
        from the replica, but not within a minute after a change: that the replica may not have yet.
        """
        try:
            generation = await _patiently(self._store.get(_GENERATION)) or b""
        except Unavailable:
            return await make()
        key = f"catalogue:{generation.hex()}:{hashlib.sha256(says.encode()).hexdigest()}"
        kept = await self._kept(key)
        if kept is not None:
            return kept
        turn = self._making.setdefault(key, asyncio.Lock())
        try:
            await asyncio.wait_for(turn.acquire(), _TURN_SECONDS)
        except TimeoutError as error:  # who makes it is stuck: one after the other would be, too
            raise Unavailable(what="catalogue") from error
        try:
            kept = await self._kept(key)
            if kept is None:
                with nullcontext() if generation else db.replica():
                    kept = await make()
                await self._keep(key, kept, ttl_seconds=KEPT_SECONDS)
            return kept
        finally:
            turn.release()

    async def forget(self) -> None:
        """Find nothing more that was made until now."""
        await self._keep(_GENERATION, new_id().bytes, ttl_seconds=_GENERATION_SECONDS)

    async def _kept(self, key: str) -> bytes | None:
        try:
            return await _patiently(self._store.get(key))
        except Unavailable:
            return None

    async def _keep(self, key: str, value: bytes, *, ttl_seconds: float) -> None:
        try:
            await _patiently(self._store.set(key, value, ttl_seconds=ttl_seconds))
        except Unavailable:
            return


async def _patiently(asked: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await asked
    except TimeoutError as error:
        raise Unavailable(what="store") from error


# ---------------------------------------------------------------- in front of the framework
class Answer(msgspec.Struct, array_like=True):
    """A finished answer, without what is new in each; and the offers that it lists."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    offers: bytes = b""


class NotKept(Exception):
    """This answer is for the one who asked."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def install(app: Litestar, kept: KeptAnswers, seen: Seen) -> None:
    """Answer in front of `app` what is kept, and keep what it answers."""
    behind = app.asgi_handler

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        says = question(scope)
        if says is None:
            await behind(scope, receive, send)
            return
        try:
            raw = await kept.answer(says, lambda: _made(behind, scope, receive))
            answer = msgspec.msgpack.decode(raw, type=Answer)
        except NotKept as own:
            answer = own.answer
        except Unavailable as error:
            request = StrictRequest(scope, receive, send)
            await render_problem(request, error).to_asgi_response(None, request)(scope, receive, send)
            return
        if LISTED not in scope["state"] and counts(scope):  # who made the answer is counted already
            seen.exposed(answer.offers)
        scope["path_template"] = scope["path"]
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})

    app.asgi_handler = handler


def question(scope: Scope) -> str | None:
    """Everything that an answer from what is kept depends on; None for a request that is not to be answered from it."""
    if scope["type"] != ScopeType.HTTP or scope["method"] != "GET" or scope["path"] not in _PATHS:
        return None
    headers = dict(scope["headers"])
    visitor = b"authorization" in headers or COOKIE.encode() in headers.get(b"cookie", b"")
    if visitor or _QUESTION.fullmatch(scope["query_string"]) is None:
        return None
    language = preferred_language(headers.get(b"accept-language", b"").decode("latin-1"))
    accepted = headers.get(b"accept-encoding", b"")
    encoding = next((name for name in _ENCODINGS if name in accepted), b"")
    return f"{scope['path']}?{scope['query_string']!r} {language} {encoding!r} {headers.get(b'hx-request')!r}"


async def _made(behind: ASGIApp, scope: Scope, receive: Receive) -> bytes:
    """What the application behind answers. Raises NotKept for a failure."""
    answer = Answer(0, [], b"")

    async def taken(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = list(message["headers"])
        elif message["type"] == "http.response.body":
            answer.body += message["body"]

    await behind(scope, receive, taken)
    if answer.status != 200:
        raise NotKept(answer)
    answer.headers = [(name, value) for name, value in answer.headers if name != b"set-cookie"]
    answer.offers = scope["state"].get(LISTED, b"")
    return msgspec.msgpack.encode(answer)


async def forget_what_changed(message: Message, scope: Scope) -> None:
    """Before somebody is told that an offer has changed, the catalogue shows it."""
    if message["type"] != "http.response.start" or scope["type"] != ScopeType.HTTP:
        return
    changes = scope["method"] not in ("GET", "HEAD") and scope["path"].startswith(_CHANGE_OFFERS)
    if changes and scope["state"].get("principal") is not None:
        kept: KeptAnswers = scope["litestar_app"].state.kept
        await kept.forget()
