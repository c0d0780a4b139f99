"""The hot path: a redemption over HTTP without the framework around it.

`POST /api/v1/redemptions` is what a whole city calls in the same minute. Here it is answered by the same functions as
everywhere, in the same order, but where the server parses it: without an ASGI exchange, routing, injection and
middleware, which cost several times what the redemption itself does. A call that is unusual in any way goes to the
framework. `RedemptionController.create` describes it, and answers the same where this is not in front.
"""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from litestar import Litestar
from litestar.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from marketplace.errors import Refused
from marketplace.ids import new_id
from marketplace.offers.eligibility import Eligibility
from marketplace.redemptions import redeem
from web.access import holder, token_in
from web.api.residents import Redeem, RedemptionController
from web.idempotency import key_of
from web.incoming import refuse_nul, standing_headers, strictly
from web.locale import preferred_language
from web.logs import log_request
from web.problems import PROBLEM_TYPE, document, told

PATH: Final = RedemptionController.path
_URL: Final = PATH.encode()
_LONGEST_BODY: Final = 1_024
_ANSWERS: Final = "redemptions"

Headers = dict[bytes, bytes]


def served(app: Litestar, *, eligibility: Eligibility) -> ASGIApp:
    """`app` as `HotProtocol` serves it."""

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":  # type: ignore[comparison-overlap]  # Litestar's types leave it out
            scope["state"][_ANSWERS] = Redemptions(app, eligibility)
        await app(scope, receive, send)

    return asgi


class HotProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, with the hot path taken out before it."""

    def on_headers_complete(self) -> None:
        """Begin a hot call, or any other."""
        headers = self._hot_headers()
        if headers is None:
            super().on_headers_complete()
        else:
            self.cycle = _Call(headers)

    def on_message_complete(self) -> None:
        """The call is whole."""
        call = self.cycle
        if isinstance(call, _Call) and not call.response_complete:
            task = self.loop.create_task(self._answer(call))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        else:
            super().on_message_complete()

    def _hot_headers(self) -> Headers | None:
        """The headers by name, if they are a hot call's and nothing about them is unusual."""
        if self.url != _URL or self.parser.get_method() != b"POST":
            return None
        under_way: RequestResponseCycle | None = self.cycle
        if under_way is not None and not under_way.response_complete:
            return None
        headers = dict(self.headers)
        length = headers.get(b"content-length", b"")
        usual = (
            len(headers) == len(self.headers)  # none comes twice
            and length.isdigit()
            and int(length) <= _LONGEST_BODY
            and b"authorization" in headers
            and b"idempotency-key" in headers
            and b"expect" not in headers
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and self.parser.get_http_version() == "1.1"
        )
        return headers if usual else None

    async def _answer(self, call: _Call) -> None:
        answers: Redemptions = self.app_state[_ANSWERS]
        secure = self.scheme == "https" or call.headers.get(b"x-forwarded-proto") == b"https"
        try:
            head, body = await answers.answer(call.headers, bytes(call.body), secure=secure)
        except BaseException:  # a fault of ours, or the server's end: the client is not left waiting
            self.transport.close()
            raise
        if self.flow.write_paused and not call.disconnected:
            await self.flow.drain()
        if call.disconnected:
            return
        lines = [head, *(b"%s: %s\r\n" % header for header in self.server_state.default_headers)]
        if not call.keep_alive:
            lines.append(b"connection: close\r\n")
        self.transport.write(b"".join((*lines, b"\r\n", body)))
        call.response_complete = True
        if not call.keep_alive:
            self.transport.close()
        self.on_response_complete()


class _Call(RequestResponseCycle):
    """A hot call, as far as the protocol asks about it."""

    def __init__(self, headers: Headers) -> None:
        self.headers = headers
        self.body = bytearray()
        self.keep_alive = True
        self.disconnected = self.response_complete = False
        self.message_event = _NOBODY_WAITS


_NOBODY_WAITS: Final = asyncio.Event()


class Redemptions:
    """Answers the calls of an application."""

    def __init__(self, app: Litestar, eligibility: Eligibility) -> None:
        self._state = app.state
        self._eligibility = eligibility

    async def answer(self, headers: Headers, body: bytes, *, secure: bool) -> tuple[bytes, bytes]:
        """The answer's head, without the empty line after it, and its body."""
        begun, request = time.perf_counter(), str(new_id())
        try:
            status, extra = 201, _JSON
            answer = msgspec.json.encode(await self._redeem(headers, body))
        except Exception as error:
            structlog.contextvars.bind_contextvars(request_id=request)
            language = preferred_language(headers.get(b"accept-language", b"").decode("latin-1"))
            problem, words = told(error, language=language, request=request)
            status, answer = problem.status, msgspec.json.encode(document(problem, words, language))
            named = {"content-type": PROBLEM_TYPE, "content-language": language, "vary": "Accept-Language"}
            extra = "".join(
                f"{name.lower()}: {value}\r\n" for name, value in (named | dict(problem.headers)).items()
            )
        ms = round((time.perf_counter() - begun) * 1000, 1)
        log_request(request_id=request, method="POST", route=PATH, status=status, ms=ms)
        head = f"{_STATUS_LINES[status]}{extra}x-request-id: {request}\r\ncontent-length: {len(answer)}\r\n"
        return head.encode("latin-1") + _STANDING[secure], answer

    async def _redeem(self, headers: Headers, body: bytes) -> dict[str, Any]:
        principal = await holder(token_in(headers[b"authorization"].decode("latin-1")), self._state)
        if principal.role != "resident":
            raise Refused("forbidden")
        refuse_nul(body)
        keys = [headers[b"idempotency-key"].decode("latin-1")]
        key = key_of(principal, keys, method="POST", path=PATH, template=PATH, body=body)
        wanted: Redeem = strictly(body, Redeem)
        return await redeem(
            resident=principal.id, offer=wanted.offer_id, key=key, eligibility=self._eligibility
        )


_JSON: Final = "content-type: application/json\r\n"
_STATUS_LINES: Final[dict[int, str]] = {
    status: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus
}
_STANDING: Final = {
    secure: b"".join(b"%s: %s\r\n" % header for header in standing_headers(PATH, secure=secure))
    for secure in (False, True)
}

__all__ = ["PATH", "HotProtocol", "served"]
