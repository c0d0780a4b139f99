"""The second step of signing in: whoever has a second factor is asked for it after the password.

Between the steps a proof stands for the password. It is good for ten minutes and signs in once.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

import msgspec

from marketplace.errors import Refused
from marketplace.identity.holders import Holder, factors_of, use_recovery_code
from marketplace.identity.sealing import Seal
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import Principal, Session, begin_session
from marketplace.identity.totp import use_totp

PROOF_TTL_SECONDS: Final = 600
TRIES_PER_HOLDER: Final = 10
_TRIES_SECONDS: Final = 900


class _Kept(msgspec.Struct, frozen=True):
    holder: Holder
    principal: Principal


async def begin_or_ask(holder: Holder, principal: Principal, *, store: EphemeralStore) -> Session:
    """Begin the session of `principal`, whose password was right, unless there is a second factor.

    Raises Refused `second_factor_required` with a `proof` for `finish` then; Unavailable.
    """
    if not (await factors_of(holder)).any:
        return await begin_session(principal, store=store)
    proof = secrets.token_urlsafe(32)
    kept = msgspec.msgpack.encode(_Kept(holder, principal))
    await store.set(_proof_key(proof), kept, ttl_seconds=PROOF_TTL_SECONDS)
    raise Refused("second_factor_required", proof=proof, expires_in_seconds=PROOF_TTL_SECONDS)


async def finish(proof: str, code: str, *, seal: Seal, store: EphemeralStore) -> Session:
    """Begin the session that `proof` stands for, by an app's code or a recovery code.

    The try is counted before the code is looked at. Raises Refused (unauthenticated: begin anew; second_factor_wrong,
    rate_limited), Unavailable.
    """
    raw = await store.get(_proof_key(proof))
    if raw is None:
        raise Refused("unauthenticated")
    kept = msgspec.msgpack.decode(raw, type=_Kept)
    await require_factor(kept.holder, code, seal=seal, store=store)
    if await store.take(_proof_key(proof)) != raw:
        raise Refused("unauthenticated")
    return await begin_session(kept.principal, store=store)


async def require_factor(holder: Holder, code: str, *, seal: Seal, store: EphemeralStore) -> None:
    """Use up an app's code or a recovery code. Raises Refused (second_factor_wrong, rate_limited), Unavailable."""
    tries_key = f"second-step-tries:{holder.id}"
    if await store.count(tries_key, ttl_seconds=_TRIES_SECONDS) > TRIES_PER_HOLDER:
        raise Refused("rate_limited", retry_after=60)
    typed = code.replace(" ", "")
    if not (await use_totp(holder, typed, seal=seal) or await use_recovery_code(holder, typed)):
        raise Refused("second_factor_wrong")
    await store.delete(tries_key)


def _proof_key(proof: str) -> str:
    return "second-step:" + hashlib.sha256(proof.encode("utf-8", "surrogatepass")).hexdigest()


__all__ = ["PROOF_TTL_SECONDS", "TRIES_PER_HOLDER", "begin_or_ask", "finish", "require_factor"]
