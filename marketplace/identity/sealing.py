"""Small secrets at rest: what has to be read again, and so cannot be kept as a digest, is kept encrypted."""

from __future__ import annotations

import secrets
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES: Final = 12


class Seal:
    """AES-256-GCM under a key that follows from an installation's secret: a dump of the database opens nothing."""

    def __init__(self, secret: str) -> None:
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"chutan sealed secrets")
        self._cipher = AESGCM(derived.derive(secret.encode()))

    def closed(self, secret: bytes, *, of: UUID) -> bytes:
        """`secret` of `of`, encrypted; it opens for nobody else."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, of.bytes)

    def opened(self, sealed: bytes, *, of: UUID) -> bytes:
        """What `closed` was given."""
        return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], of.bytes)


__all__ = ["Seal"]
