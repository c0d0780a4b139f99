"""The `Idempotency-Key` header, with who calls and what for, as the ledger wants it."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import msgspec
from litestar import Request

from marketplace.errors import FieldError, Invalid, Refused
from marketplace.ledger import IdempotencyKey
from web.access import required

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


async def idempotency_key(request: Request[Any, Any, Any]) -> IdempotencyKey:
    """The key of this call, scoped to its principal and route.

    Raises Refused (idempotency_key_missing; unauthenticated comes first), Invalid.
    """
    principal = await required(request)
    keys = request.headers.getall("idempotency-key", [])
    if not keys:
        raise Refused("idempotency_key_missing")
    if len(keys) > 1 or _KEY.fullmatch(keys[0]) is None:
        raise Invalid(FieldError("Idempotency-Key", "invalid"))
    return IdempotencyKey(
        principal=str(principal),
        operation=f"{request.method} {request.scope.get('path_template') or request.scope['path']}",
        key=keys[0],
        request_hash=request_hash(request.method, request.scope["path"], await request.body()),
    )


def request_hash(method: str, path: str, body: bytes) -> bytes:
    """SHA-256 over what the call says: the order of fields and the space between them do not matter.

    A body that is no JSON is taken as it is; the handler refuses it.
    """
    try:
        canonical = msgspec.json.encode(msgspec.json.decode(body or b"null"), order="sorted")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        canonical = body
    return hashlib.sha256(
        b"\n".join((method.encode(), path.encode("utf-8", "surrogatepass"), canonical))
    ).digest()


__all__ = ["idempotency_key", "request_hash"]
