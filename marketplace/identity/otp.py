"""One-time codes by text message: six digits, good once, for five minutes and five tries."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

import msgspec

from marketplace.errors import FieldError, Invalid, Refused, Unavailable
from marketplace.identity.phones import is_phone
from marketplace.identity.sms import SmsSender
from marketplace.identity.stores import EphemeralStore

CODE_TTL_SECONDS: Final = 300
TRIES: Final = 5
RESEND_SECONDS: Final = 30
CODES_PER_PHONE_HOUR: Final = 5
# Many people share one address (a mobile operator's gateway, a school), so that the address's limit is a wide one.
CODES_PER_ADDRESS_HOUR: Final = 200
TRIES_PER_ADDRESS_HOUR: Final = 600


class _Kept(msgspec.Struct, frozen=True):
    key: bytes
    digest: bytes


async def send_code(phone: str, *, address: str, store: EphemeralStore, sms: SmsSender) -> None:
    """Send a new code to `phone`, which makes the one before it void; whether the phone is known does not matter.

    `address` is the caller's network address. Raises Invalid, Refused (rate_limited, with `retry_after`), Unavailable.
    """
    _require_phone(phone)
    await _limit(f"otp-address:{address}", CODES_PER_ADDRESS_HOUR, 3600, store)
    if not await store.add(f"otp-pause:{_alias(phone)}", b"1", ttl_seconds=RESEND_SECONDS):
        raise Refused("rate_limited", retry_after=RESEND_SECONDS)
    await _limit(f"otp-phone:{_alias(phone)}", CODES_PER_PHONE_HOUR, 3600, store)
    code = f"{secrets.randbelow(1_000_000):06d}"
    key = secrets.token_bytes(32)
    kept = msgspec.msgpack.encode(_Kept(key, _digest(key, phone, code)))
    await store.delete(f"otp-tries:{_alias(phone)}")
    await store.set(f"otp:{_alias(phone)}", kept, ttl_seconds=CODE_TTL_SECONDS)
    try:
        await sms.send_code(phone, code)
    except Unavailable:
        # Nothing arrived, so that asking again at once is fair.
        await store.delete(f"otp-pause:{_alias(phone)}")
        raise


async def require_code(phone: str, code: str, *, address: str, store: EphemeralStore) -> None:
    """Use up the code of `phone`. Raises Refused (unauthenticated, rate_limited), Invalid, Unavailable.

    A wrong code and a phone without one are refused alike. The try is counted before the code is looked at, so that
    guesses at the same time do not pass the limit together.
    """
    _require_phone(phone)
    await _limit(f"otp-guess:{address}", TRIES_PER_ADDRESS_HOUR, 3600, store)
    tries = await store.count(f"otp-tries:{_alias(phone)}", ttl_seconds=CODE_TTL_SECONDS)
    raw = await store.get(f"otp:{_alias(phone)}")
    kept = msgspec.msgpack.decode(raw, type=_Kept) if raw is not None else _Kept(b"\0" * 32, b"\0" * 32)
    right = hmac.compare_digest(_digest(kept.key, phone, code), kept.digest)
    if tries > TRIES or not right or await store.take(f"otp:{_alias(phone)}") != raw:
        raise Refused("unauthenticated")
    await store.delete(f"otp-tries:{_alias(phone)}")


def _require_phone(phone: str) -> None:
    if not is_phone(phone):
        raise Invalid(FieldError("phone", "not_a_phone"))


async def _limit(key: str, most: int, seconds: int, store: EphemeralStore) -> None:
    if await store.count(key, ttl_seconds=seconds) > most:
        raise Refused("rate_limited", retry_after=min(seconds, 60))


def _digest(key: bytes, phone: str, code: str) -> bytes:
    return hmac.digest(key, f"{phone}:{code}".encode("utf-8", "surrogatepass"), hashlib.sha256)


def _alias(phone: str) -> str:
    """What the store knows the phone as; a dump of its keys is no list of phones at a glance."""
    return hashlib.sha256(phone.encode()).hexdigest()[:32]


__all__ = ["CODES_PER_PHONE_HOUR", "CODE_TTL_SECONDS", "RESEND_SECONDS", "TRIES", "require_code", "send_code"]
