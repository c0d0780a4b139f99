"""The hot path: a redemption over HTTP without the framework around it.

`POST /api/v1/redemptions` is what a whole city calls in the same minute. Here it is answered by the same functions as
everywhere, in the same order, but without routing, injection and middleware, which cost several times what the
redemption itself does. `RedemptionController.create` describes it, and answers the same where this is not in front.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send

from marketplace.errors import FieldError, Invalid, Refused
from marketplace.offers.eligibility import Eligibility
from marketplace.redemptions import redeem
from web.access import holder, token_in
from web.api.residents import Redeem, RedemptionController
from web.idempotency import key_of
from web.incoming import BODY_LIMIT_BYTES, refuse_nul, request_id, strictly
from web.locale import preferred_language
from web.problems import PROBLEM_TYPE, document, told

PATH: Final = RedemptionController.path
_JSON: Final = (b"content-type", b"application/json")


class HungUp(Exception):
    """The client has gone before its request was whole."""


def install(app: Litestar, *, eligibility: Eligibility) -> None:
    """Put the hot path in front of `app`."""
    behind = app.asgi_handler

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and scope["path"] == PATH and scope["method"] == "POST":
            await _answer(app, eligibility, scope, receive, send)
        else:
            await behind(scope, receive, send)

    app.asgi_handler = handler


async def _answer(
    app: Litestar, eligibility: Eligibility, scope: Scope, receive: Receive, send: Send
) -> None:
    request = request_id(scope)
    scope["path_template"] = PATH
    headers = _headers(scope)
    try:
        redeemed = await _redeem(app, eligibility, headers, receive)
        status, extra, body = 201, [_JSON], msgspec.json.encode(redeemed)
    except HungUp:
        return
    except Exception as error:
        language = preferred_language(headers.get(b"accept-language", b"").decode("latin-1"))
        problem, words = told(error, language=language, request=request)
        status, body = problem.status, msgspec.json.encode(document(problem, words, language))
        said = {"content-type": PROBLEM_TYPE, "content-language": language, "vary": "Accept-Language"}
        extra = [
            (name.lower().encode(), value.encode()) for name, value in {**said, **problem.headers}.items()
        ]
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*extra, length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _headers(scope: Scope) -> dict[bytes, bytes]:
    """The headers by name. More than one key is told apart by what no key holds."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers[name] = headers[name] + b" " + value if name in headers else value
    return headers


async def _redeem(
    app: Litestar, eligibility: Eligibility, headers: dict[bytes, bytes], receive: Receive
) -> dict[str, Any]:
    if b"authorization" not in headers:
        raise Refused("unauthenticated")
    principal = await holder(token_in(headers[b"authorization"].decode("latin-1")), app.state)
    if principal.role != "resident":
        raise Refused("forbidden")
    body = await _body(receive)
    keys = [headers[b"idempotency-key"].decode("latin-1")] if b"idempotency-key" in headers else []
    key = key_of(principal, keys, method="POST", path=PATH, template=PATH, body=body)
    wanted: Redeem = strictly(body, Redeem)
    return await redeem(resident=principal.id, offer=wanted.offer_id, key=key, eligibility=eligibility)


async def _body(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise HungUp
        size += len(message["body"])
        if size > BODY_LIMIT_BYTES:
            raise Invalid(FieldError("", "too_large"))
        parts.append(message["body"])
        if not message["more_body"]:
            break
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    refuse_nul(body)
    return body


__all__ = ["PATH", "install"]
