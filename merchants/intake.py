"""What somebody who applies has shown already: that the phone is theirs, and a good password, kept as its hash.

It is kept for an hour under a token of theirs, so that nothing has to be typed again while they mend the rest.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

import msgspec

from marketplace.errors import FieldError, Invalid, Refused
from marketplace.identity.otp import require_code
from marketplace.identity.passwords import hash_password, password_fault
from marketplace.identity.stores import EphemeralStore

KEPT_SECONDS: Final = 3600


class Intake(msgspec.Struct, frozen=True):
    """A phone that was confirmed, and perhaps the hash of the password that is to be."""

    phone: str
    password_hash: str | None = None


async def require_phone(phone: str, code: str, *, address: str, store: EphemeralStore) -> None:
    """Use up the code of `phone`. Raises Invalid (`phone`, `code`), Refused `rate_limited`, Unavailable."""
    try:
        await require_code(phone, code, address=address, store=store)
    except Refused as refused:
        if refused.code != "unauthenticated":
            raise
        raise Invalid(FieldError("code", "wrong_code")) from refused


async def begin(phone: str, code: str, *, address: str, store: EphemeralStore) -> str:
    """The token of an application whose contact holds `phone`. Raises as `require_phone`."""
    await require_phone(phone, code, address=address, store=store)
    token = secrets.token_urlsafe(32)
    await _keep(token, Intake(phone), store)
    return token


async def kept(token: str, *, store: EphemeralStore) -> Intake | None:
    """What is kept under `token`; None when its hour is over. Raises Unavailable."""
    raw = await store.get(_key(token))
    return msgspec.msgpack.decode(raw, type=Intake) if raw is not None else None


async def with_password(token: str, intake: Intake, password: str, *, store: EphemeralStore) -> Intake:
    """`intake` with the password that was typed, if it is a good one; without, as it was. Raises Unavailable."""
    if password_fault(password) is not None:
        return intake
    changed = Intake(intake.phone, await hash_password(password))
    await _keep(token, changed, store)
    return changed


async def forget(token: str, *, store: EphemeralStore) -> None:
    """The application was sent."""
    await store.delete(_key(token))


async def _keep(token: str, intake: Intake, store: EphemeralStore) -> None:
    await store.set(_key(token), msgspec.msgpack.encode(intake), ttl_seconds=KEPT_SECONDS)


def _key(token: str) -> str:
    return "intake:" + hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


__all__ = ["Intake", "begin", "forget", "kept", "require_phone", "with_password"]
