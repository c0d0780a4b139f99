"""The `Idempotency-Key` header, with who calls and what for, as the ledger wants it."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import msgspec
from litestar import Request

from marketplace.errors import FieldError, Invalid, Refused
from marketplace.identity.tokens import Principal
from marketplace.ledger import IdempotencyKey
from web.access import required

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


async def idempotency_key(request: Request[Any, Any, Any]) -> IdempotencyKey:
    """The key of this call, scoped to its principal and route.

    Raises Refused (idempotency_key_missing; unauthenticated comes first), Invalid.
    """
    principal = await required(request)
    return key_of(
        principal, request.headers.getall("idempotency-key", []), method=request.method, path=request.scope["path"],
        template=request.scope.get("path_template") or request.scope["path"], body=await request.body(),
    )  # fmt: skip


def key_of(
    principal: Principal, keys: list[str], *, method: str, path: str, template: str, body: bytes
) -> IdempotencyKey:
    """The key of a call to the route `template`, out of the headers' `keys`. Raises as `idempotency_key`."""
    if not keys:
        raise Refused("idempotency_key_missing")
    if len(keys) > 1 or _KEY.fullmatch(keys[0]) is None:
        raise Invalid(FieldError("Idempotency-Key", "invalid"))
    return IdempotencyKey(
        principal=str(principal), operation=f"{method} {template}", key=keys[0],
        request_hash=request_hash(method, path, body),
    )  # fmt: skip


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


__all__ = ["idempotency_key", "key_of", "request_hash"]
