"""Codes of an authenticator app: time-based one-time passwords (RFC 6238), six digits every 30 seconds.

A code is good in its own 30 seconds and those beside, and once: the step whose code was used only goes on.
"""

from __future__ import annotations

import hmac
from typing import Final

import msgspec
import pyotp

from marketplace import clock, db
from marketplace.errors import FieldError, Invalid, Refused
from marketplace.identity.holders import Holder, codes_with_first_factor, forget_codes_without_factor
from marketplace.identity.sealing import Seal
from marketplace.identity.stores import EphemeralStore

STEP_SECONDS: Final = 30
ISSUER: Final = "楚碳"
_SETUP_SECONDS: Final = 1800
_WINDOW: Final = (0, -1, 1)


class Setup(msgspec.Struct, frozen=True):
    """A secret that an app is to learn, as text to type and as the address in a QR code."""

    secret: str
    uri: str


async def begin_setup(holder: Holder, *, login: str, seal: Seal, store: EphemeralStore) -> Setup:
    """The secret that `confirm` will turn on; for half an hour the same, however often it is asked for."""
    sealed = await store.get(_setup_key(holder))
    if sealed is None:
        sealed = seal.closed(pyotp.random_base32().encode(), of=holder.id)
        if not await store.add(_setup_key(holder), sealed, ttl_seconds=_SETUP_SECONDS):
            sealed = await store.get(_setup_key(holder)) or sealed
    secret = seal.opened(sealed, of=holder.id).decode()
    return Setup(secret, pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER))


async def confirm(holder: Holder, code: str, *, seal: Seal, store: EphemeralStore) -> list[str]:
    """Turn the app on, whose code this is; answers recovery codes if these are the first.

    Raises Invalid (a wrong code), Refused `conflict` when it is on already.
    """
    sealed = await store.get(_setup_key(holder))
    step = _step_of(code, seal.opened(sealed, of=holder.id)) if sealed is not None else None
    if sealed is None or step is None:
        raise Invalid(FieldError("code", "wrong_code"))
    async with db.transaction():
        made = await db.execute(
            """INSERT INTO totp (holder, role, sealed_secret, last_step, confirmed_at) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (holder) DO NOTHING""",
            holder.id, holder.role, sealed, step, clock.now(),
        )  # fmt: skip
        if not made:
            raise Refused("conflict")
        codes = await codes_with_first_factor(holder)
    await store.delete(_setup_key(holder))
    return codes


async def use_totp(holder: Holder, code: str, *, seal: Seal) -> bool:
    """Use up the code of an app that is on; whether it was one. Of two at the same time one is."""
    row = await db.fetch_row("SELECT sealed_secret FROM totp WHERE holder = $1", holder.id)
    step = _step_of(code, seal.opened(row["sealed_secret"], of=holder.id)) if row is not None else None
    if step is None:
        return False
    return bool(
        await db.execute(
            "UPDATE totp SET last_step = $2 WHERE holder = $1 AND last_step < $2", holder.id, step
        )
    )


async def turn_off(holder: Holder) -> None:
    """From now on no code of an app is asked for."""
    async with db.transaction():
        await db.execute("DELETE FROM totp WHERE holder = $1", holder.id)
        await forget_codes_without_factor(holder)


def _step_of(code: str, secret: bytes) -> int | None:
    """The step whose code this is, of those that are good now."""
    if not (code.isascii() and code.isdigit()):
        return None
    generator = pyotp.TOTP(secret.decode(), interval=STEP_SECONDS)
    present = int(clock.now().timestamp()) // STEP_SECONDS
    steps = (present + away for away in _WINDOW)
    return next((step for step in steps if hmac.compare_digest(generator.generate_otp(step), code)), None)


def _setup_key(holder: Holder) -> str:
    return f"totp-setup:{holder.id}"


__all__ = ["ISSUER", "STEP_SECONDS", "Setup", "begin_setup", "confirm", "turn_off", "use_totp"]
