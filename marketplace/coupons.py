"""What a resident shows at the till: a typed code with a check digit, or a token that changes every 30 seconds.

A code is eleven random digits and a check digit (ISO/IEC 7064, MOD 11,10), which catches every single wrong digit and
every swap of neighbours. A token is `CT.<redemption>.<step>.<mac>`, where step counts half minutes since 1970 and mac
is the first 16 bytes of HMAC-SHA-256(key, "<redemption>.<step>"), in base64url: the page that holds the coupon's key
derives it without a network, as an authenticator does by RFC 6238.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
from base64 import urlsafe_b64encode
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_11_10

STEP_SECONDS: Final = 30
_STEPS_APART: Final = 1  # a till whose clock is up to half a minute off


def new_code() -> str:
    """A code that nobody can guess: 12 digits, the last of them the check digit."""
    digits = f"{int.from_bytes(_random(16)) % 10**11:011d}"  # of 2**128: every code is as likely
    return digits + mod_11_10.calc_check_digit(digits)


def normal_code(typed: str) -> str | None:
    """The code that somebody typed, whatever the spaces, dashes and widths of its digits; None if it is none."""
    digits = "".join(c for c in unicodedata.normalize("NFKC", typed) if not _is_between(c))
    if len(digits) != 12 or not (digits.isascii() and digits.isdigit()):
        return None
    try:
        return str(mod_11_10.validate(digits))
    except ValidationError:
        return None


def _is_between(character: str) -> bool:
    """Whether it only parts digits: a space, a dash, or a mark that nobody sees."""
    return character.isspace() or unicodedata.category(character) in ("Pd", "Cf")


def new_token_key() -> bytes:
    """The key that a coupon's tokens are derived from."""
    return _random(32)


def _random(size: int) -> bytes:
    """Bytes of the system's generator, which is asked for many at a time: each asking is a call of the kernel."""
    global _unused  # noqa: PLW0603
    if len(_unused) < size:
        _unused = os.urandom(1_024)
    taken, _unused = _unused[:size], _unused[size:]
    return taken


_unused = b""


def base64url(content: bytes) -> str:
    """Bytes as text, by RFC 4648 (5), without padding."""
    return urlsafe_b64encode(content).decode().rstrip("=")


class Token(NamedTuple):
    """A rotating token, and the seconds after which the next one is due."""

    token: str
    refresh_after: int


def token_at(redemption: UUID, key: bytes, instant: datetime) -> Token:
    """The token of `redemption` at `instant`."""
    seconds = int(instant.timestamp())
    step = seconds // STEP_SECONDS
    return Token(
        f"CT.{redemption.hex}.{step}.{_mac(redemption, key, step)}", STEP_SECONDS - seconds % STEP_SECONDS
    )


class ShownToken(NamedTuple):
    """A token as it was shown, not checked yet."""

    redemption: UUID
    step: int
    mac: str


def looks_like_token(shown: str) -> bool:
    """Whether what a scanner typed is meant as a token, and not as a code."""
    return _unwidened(shown).startswith("CT.")


def _unwidened(shown: str) -> str:
    """A scanner types through the input method of its device, which may widen its characters."""
    return unicodedata.normalize("NFKC", shown).strip()


def parse_token(shown: str) -> ShownToken | None:
    """The parts of a token, or None if it is no token at all."""
    parts = _unwidened(shown).split(".")
    if (
        len(parts) != 4
        or parts[0] != "CT"
        or len(parts[1]) != 32
        or not (parts[2].isascii() and parts[2].isdigit())
    ):
        return None
    try:
        return ShownToken(UUID(hex=parts[1]), int(parts[2][:12]), parts[3])
    except ValueError:
        return None


def is_fresh(shown: ShownToken, key: bytes, *, at: datetime) -> bool:
    """Whether the token is the coupon's own and of the half minute of `at`, or of a neighbouring one."""
    step = int(at.timestamp()) // STEP_SECONDS
    genuine = hmac.compare_digest(shown.mac.encode(), _mac(shown.redemption, key, shown.step).encode())
    return genuine and abs(shown.step - step) <= _STEPS_APART


def _mac(redemption: UUID, key: bytes, step: int) -> str:
    digest = hmac.digest(key, f"{redemption.hex}.{step}".encode(), hashlib.sha256)
    return base64url(digest[:16])
