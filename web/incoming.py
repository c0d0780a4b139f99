"""What every request passes on its way in and every answer on its way out."""

from __future__ import annotations

import re
import time
from typing import Any, Final

import msgspec
import structlog
from litestar import Request
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.serialization import default_deserializer
from litestar.types import ASGIApp, Empty, Message, Receive, Scope, Send

from marketplace.errors import FieldError, Invalid
from marketplace.ids import new_id
from web.logs import log_request

BODY_LIMIT_BYTES: Final = 1024 * 1024
_NUL_IN_JSON: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_MACHINES: Final = ("/api/", "/oauth/", "/registry/", "/schema", "/healthz", "/readyz", "/metrics")
_SECURITY_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data: blob:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(self), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
}


_HEADERS: Final = [(name.encode(), value.encode()) for name, value in _SECURITY_HEADERS.items()]


def for_machines(path: str) -> bool:
    """Whether `path` is the API's and not a page."""
    return path.startswith(_MACHINES)


def request_id(scope: Scope) -> str:
    """The id of this request, in its problem document, its log lines and its `X-Request-Id`."""
    state = scope["state"]
    if "request_id" not in state:
        state["request_id"] = str(new_id())
        state["begun"] = time.perf_counter()
    known: str = state["request_id"]
    return known


class StrictRequest(Request[Any, Any, State]):
    """A request whose JSON is taken literally: `"5"` and `5.0` are no integers, an unknown field is an error."""

    async def body(self) -> bytes:
        """The body; raises Invalid when it holds a NUL character, which no text column takes."""
        body = await super().body()
        refuse_nul(body, form="form-urlencoded" in self.headers.get("content-type", ""))
        return body

    async def json(self) -> Any:
        """The body as the handler's `data` type, decoded strictly. Raises Invalid."""
        if self._json is Empty:
            handler: Any = self.scope.get("route_handler")
            field = getattr(handler, "parsed_data_field", None)
            decoded = strictly(await self.body(), Any if field is None else field.annotation)
            self._json = self._connection_state.json = decoded
        return self._json


def refuse_nul(body: bytes, *, form: bool = False) -> None:
    """Raises Invalid when `body`, a form or JSON, holds a NUL character."""
    if (b"%00" in body) if form else _NUL_IN_JSON.search(body) is not None:
        raise Invalid(FieldError("", "nul_character"))


def strictly(body: bytes, as_type: Any) -> Any:
    """JSON as a value of `as_type`, with nothing made to fit. Raises Invalid."""
    try:
        return msgspec.json.decode(body or b"null", type=as_type, dec_hook=default_deserializer)
    except RecursionError as error:
        raise Invalid(FieldError("", "too_deep")) from error
    except UnicodeDecodeError as error:
        raise Invalid(FieldError("", "not_utf8")) from error
    except msgspec.ValidationError as error:
        raise Invalid(field_error(str(error))) from error
    except (msgspec.DecodeError, ValueError) as error:
        raise Invalid(FieldError("", "not_json")) from error


_AT: Final = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_NAMED: Final = re.compile(r"(?:required|unknown) field `(?P<name>[^`]*)`")
_KINDS: Final = (
    (re.compile(r"missing required field|[Mm]issing required"), "required"),
    (re.compile(r"unknown field"), "unknown_field"),
    (re.compile(r"out of range|>=|<=|>|<|of length|multiple of"), "out_of_range"),
    (re.compile(r"Expected .*, got"), "wrong_type"),
)


def field_error(message: str, field: str = "") -> FieldError:
    """msgspec's `message` about a part of `field` as the field's path and a stable code."""
    at = _AT.search(message)
    named = _NAMED.search(message)
    path = [field, at["path"].replace("[...]", "") if at else "", named["name"] if named else ""]
    reason = message[: at.start()] if at else message
    code = next((code for pattern, code in _KINDS if pattern.search(reason)), "invalid")
    return FieldError(".".join(part for part in path if part), code)


def nul_refusing(app: ASGIApp) -> ASGIApp:
    """A middleware: a NUL character in a path or a query is an input error."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            raise Invalid(FieldError("", "nul_character"))
        await app(scope, receive, send)

    return middleware


def standing_headers(path: str, *, secure: bool) -> list[tuple[bytes, bytes]]:
    """The headers of every answer at `path`, over a `secure` connection or not, but for its request's id."""
    headers = list(_HEADERS)
    if secure:
        headers.append((b"strict-transport-security", b"max-age=31536000"))
    if for_machines(path):
        headers.append((b"cache-control", b"no-store"))
    return headers


async def finish(message: Message, scope: Scope) -> None:
    """Before an answer's first bytes: the headers that every one has, and one line in the log, without persons."""
    if message["type"] != "http.response.start" or scope["type"] != ScopeType.HTTP:
        return
    given = {name for name, _ in message["headers"]}
    added = [
        (b"x-request-id", request_id(scope).encode()),
        *standing_headers(scope["path"], secure=scope["scheme"] == "https"),
    ]
    message["headers"] = [*message["headers"], *(header for header in added if header[0] not in given)]
    log_request(
        request_id=request_id(scope),
        method=scope["method"],
        route=scope.get("path_template") or "",
        status=message["status"],
        ms=round((time.perf_counter() - scope["state"].get("begun", time.perf_counter())) * 1000, 1),
    )


def timed(app: ASGIApp) -> ASGIApp:
    """A middleware: the request gets its id, and its time starts to run."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            structlog.contextvars.bind_contextvars(request_id=request_id(scope))
        await app(scope, receive, send)

    return middleware


__all__ = [
    "BODY_LIMIT_BYTES",
    "StrictRequest",
    "field_error",
    "finish",
    "for_machines",
    "nul_refusing",
    "refuse_nul",
    "request_id",
    "standing_headers",
    "strictly",
    "timed",
]
