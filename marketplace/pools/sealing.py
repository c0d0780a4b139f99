"""Codes at rest: sealed under this installation's own key, and told apart by a keyed hash.

Sealing is AES-256-GCM (NIST SP 800-38D) with a random nonce, bound to the row that it stands in; the hash is
HMAC-SHA-256. Both keys are derived from one secret by HKDF (RFC 5869). The secret is no part of the database, which
knows a digest of it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Final, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from marketplace import db
from marketplace.errors import Unavailable

_VERSION: Final = b"\x01"  # of the form, so that another can follow it
_NONCE_BYTES: Final = 12


class _Keys(NamedTuple):
    sealing: AESGCM
    hashing: bytes
    digest: bytes


class _Port:
    """Where the secret comes from: asked when it is first needed, so that who needs no codes makes no key."""

    def __init__(self) -> None:
        self.secret: Callable[[], str] | None = None
        self.keys: _Keys | None = None


_port = _Port()


def use_key(secret: Callable[[], str]) -> None:
    """Codes are sealed under what `secret` answers: `app.py` says where it is kept."""
    _port.secret, _port.keys = secret, None


def _keys() -> _Keys:
    if _port.keys is None:
        if _port.secret is None:
            raise RuntimeError("no key for codes was set: app.py does")
        secret = _port.secret().encode()
        derived = HKDF(SHA256(), length=96, salt=None, info=b"chutan codes").derive(secret)
        _port.keys = _Keys(AESGCM(derived[:32]), derived[32:64], derived[64:])
    return _port.keys


def key_digest() -> bytes:
    """What the database knows of the key."""
    return _keys().digest


async def is_the_key() -> bool:
    """Whether what is sealed in this database is sealed under our key; while nothing is, any key will do."""
    known: bytes | None = await db.fetch_value("SELECT pool_key_digest FROM installation")
    return known is None or hmac.compare_digest(known, key_digest())


async def require_the_key() -> None:
    """Before something is sealed, in the same transaction: ours is the database's key from now on, or Unavailable."""
    await db.execute(
        "UPDATE installation SET pool_key_digest = $1 WHERE pool_key_digest IS NULL", key_digest()
    )
    if not await is_the_key():
        raise Unavailable(what="pool-key")


# ---------------------------------------------------------------- sealing
def sealed(plain: bytes, *, about: bytes) -> bytes:
    """`plain` so that only who has the key can read it, and only as what it is `about`."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _VERSION + nonce + _keys().sealing.encrypt(nonce, plain, about)


def unsealed(box: bytes, *, about: bytes) -> bytes:
    """What was sealed. Raises Unavailable under another key, or where the database was tampered with."""
    nonce, text = box[1 : 1 + _NONCE_BYTES], box[1 + _NONCE_BYTES :]
    try:
        if box[:1] != _VERSION:
            raise InvalidTag
        return _keys().sealing.decrypt(nonce, text, about)
    except InvalidTag as error:
        raise Unavailable(what="pool-key") from error


def sealed_code(row: UUID, code: str) -> bytes:
    """The code of the pool's row `row`."""
    return sealed(code.encode(), about=b"code" + row.bytes)


def unsealed_code(row: UUID, box: bytes) -> str:
    """What `sealed_code` sealed. Raises Unavailable."""
    return unsealed(box, about=b"code" + row.bytes).decode()


def fingerprint(offer: UUID, code: str) -> bytes:
    """What tells a code of an offer from every other, and says nothing of it to who has no key."""
    return hmac.digest(_keys().hashing, b"code" + offer.bytes + code.encode(), hashlib.sha256)


def content_digest(offer: UUID, content: bytes) -> bytes:
    """The same for a whole file."""
    return hmac.digest(_keys().hashing, b"file" + offer.bytes + content, hashlib.sha256)
