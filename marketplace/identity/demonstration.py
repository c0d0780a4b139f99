"""The sign-ins of a demonstration: secrets that follow from the seed of its database, and work in no other."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from marketplace.identity.tokens import Principal, Role, issue_token


def secret_of(seed: bytes, *what: object) -> str:
    """The secret of `what`: the same for the same seed, and not to be guessed without it."""
    digest = hmac.digest(seed, "/".join(map(str, what)).encode(), hashlib.sha256)
    return urlsafe_b64encode(digest).decode().rstrip("=")


def token_of(seed: bytes, role: Role, subject: object) -> str:
    """The token of a principal."""
    return "ct_" + secret_of(seed, role, subject)


async def issue(seed: bytes, role: Role, subject: object) -> None:
    """Make the token of a principal good."""
    principal = Principal(role, str(subject))
    await issue_token(principal, demonstration=True, token=token_of(seed, role, subject))


def bank_client(bank: UUID) -> str:
    """The OAuth client of a bank."""
    return f"bank-{bank}"


def bank_key(seed: bytes, bank: UUID) -> OKPKey:
    """The Ed25519 key by which a bank signs its assertions."""
    raw = hmac.digest(seed, f"bank/{bank}".encode(), hashlib.sha256)
    return OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(raw), {"use": "sig"})
