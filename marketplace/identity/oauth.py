"""OAuth 2.0 client credentials (RFC 6749 section 4.4): channels and cash registers by secret, banks by a signed
assertion (RFC 7523)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import warnings
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Literal

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from marketplace import clock, db
from marketplace.errors import ChutanError
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import CLIENT_SESSION_TTL, Principal, Session, begin_session

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS: Final = ("ES256", "EdDSA", "Ed25519", "PS256")
LONGEST_ASSERTION: Final = timedelta(minutes=5)
_LEEWAY: Final = timedelta(seconds=30)
_SHORTEST_RSA_BITS: Final = 2048


class OauthRefused(ChutanError):
    """The token endpoint refuses; `code` is one of RFC 6749 section 5.2."""


class ClientSecret(msgspec.Struct, frozen=True):
    """A client that authenticates by its secret."""

    client_id: str
    secret: str


class ClientAssertion(msgspec.Struct, frozen=True):
    """A client that authenticates by a JWT that it signed; the id, if it is also sent by itself."""

    assertion: str
    client_id: str | None = None


async def register_client(
    *, client_id: str, role: Literal["channel", "bank", "till", "client"], subject: str,
    secret: str | None = None, public_jwk: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Make a client known; one of `secret` (kept as a digest, so it must be random) and `public_jwk` is given."""
    assert (secret is None) != (public_jwk is None), "a client has a secret or a key"
    assert public_jwk is None or "d" not in public_jwk, "a private key never comes here"
    await db.execute(
        "INSERT INTO oauth_client (client_id, role, subject, secret_hash, public_jwk, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (client_id) DO NOTHING",
        client_id, role, subject, secret_digest(secret) if secret else None,
        dict(public_jwk) if public_jwk else None, clock.now(),
    )  # fmt: skip


def new_secret() -> str:
    """A client secret of 256 bits: too many to guess, which is why a plain digest of it is enough."""
    return secrets.token_urlsafe(32)


def secret_digest(secret: str) -> str:
    """What is kept of a client secret."""
    return "sha256:" + hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def grant(
    credentials: ClientSecret | ClientAssertion, *, audiences: frozenset[str], store: EphemeralStore
) -> Session:
    """An access token for the client. `audiences` are the values of `aud` that mean this token endpoint.

    Raises OauthRefused (invalid_client), Unavailable.
    """
    if isinstance(credentials, ClientSecret):
        principal = await _by_secret(credentials)
    else:
        principal = await _by_assertion(credentials, audiences, store)
    return await begin_session(principal, store=store, ttl=CLIENT_SESSION_TTL)


async def _by_secret(credentials: ClientSecret) -> Principal:
    row = await _client(credentials.client_id)
    known = row["secret_hash"] if row is not None else None
    if not hmac.compare_digest(secret_digest(credentials.secret), known or secret_digest(new_secret())):
        raise OauthRefused("invalid_client")
    assert row is not None
    return Principal(row["role"], row["subject"])


async def _by_assertion(
    credentials: ClientAssertion, audiences: frozenset[str], store: EphemeralStore
) -> Principal:
    claimed = _claimed_client(credentials)
    row = await _client(claimed)
    if row is None or row["public_jwk"] is None:
        raise OauthRefused("invalid_client")
    claims = _verified(credentials.assertion, row["public_jwk"])
    expires = claims.get("exp")
    present = clock.now().timestamp()
    latest = present + (LONGEST_ASSERTION + _LEEWAY).total_seconds()
    jti = claims.get("jti")
    good = (
        claims.get("iss") == claims.get("sub") == claimed
        and bool(audiences & _audiences(claims.get("aud")))
        and isinstance(expires, int | float) and not isinstance(expires, bool) and present < expires <= latest
        and _reached(claims.get("nbf"), present) and _reached(claims.get("iat"), present)
        and isinstance(jti, str) and 0 < len(jti) <= 256
    )  # fmt: skip
    if not good:
        raise OauthRefused("invalid_client")
    used = hashlib.sha256(f"{claimed}\n{jti}".encode("utf-8", "surrogatepass")).hexdigest()
    if not await store.add(
        f"jti:{used}", b"1", ttl_seconds=(LONGEST_ASSERTION + 2 * _LEEWAY).total_seconds()
    ):
        raise OauthRefused("invalid_client")
    return Principal(row["role"], row["subject"])


async def _client(client_id: str) -> db.Row | None:
    if "\0" in client_id:
        return None
    return await db.fetch_row(
        "SELECT role, subject, secret_hash, public_jwk FROM oauth_client WHERE client_id = $1", client_id
    )


def _claimed_client(credentials: ClientAssertion) -> str:
    try:
        claims = msgspec.json.decode(jws.extract_compact(credentials.assertion.encode()).payload)
        claimed = claims["sub"]
    except (JoseError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise OauthRefused("invalid_client") from error
    if not isinstance(claimed, str) or credentials.client_id not in (None, claimed):
        raise OauthRefused("invalid_client")
    return claimed


def _verified(assertion: str, public_jwk: Any) -> dict[str, Any]:
    """The claims, when the key's own algorithm signed them: the header does not choose."""
    try:
        key = import_key(public_jwk if isinstance(public_jwk, dict) else msgspec.json.decode(public_jwk))
        with warnings.catch_warnings():
            # RFC 9864 renames EdDSA to Ed25519; both names are in use, and the key allows one curve only.
            warnings.simplefilter("ignore", SecurityWarning)
            signed = jws.deserialize_compact(assertion, key, algorithms=_algorithms(key))
        claims = msgspec.json.decode(signed.payload)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise OauthRefused("invalid_client") from error
    if not isinstance(claims, dict):
        raise OauthRefused("invalid_client")
    return claims


def _algorithms(key: object) -> list[str]:
    match key:
        case ECKey() if key.curve_name == "P-256":
            return ["ES256"]
        case OKPKey() if key.curve_name == "Ed25519":
            return ["EdDSA", "Ed25519"]
        case RSAKey() if key.raw_value.key_size >= _SHORTEST_RSA_BITS:
            return ["PS256"]
    raise ValueError("a key of this kind is not accepted")


def _audiences(claim: Any) -> frozenset[str]:
    values = claim if isinstance(claim, list) else [claim]
    return frozenset(value for value in values if isinstance(value, str))


def _reached(claim: Any, present: float) -> bool:
    if claim is None:
        return True
    number = isinstance(claim, int | float) and not isinstance(claim, bool)
    return bool(number and claim <= present + _LEEWAY.total_seconds())


__all__ = [
    "ALGORITHMS",
    "ASSERTION_TYPE",
    "ClientAssertion",
    "ClientSecret",
    "OauthRefused",
    "grant",
    "new_secret",
    "register_client",
    "secret_digest",
]
