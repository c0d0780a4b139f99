"""Those who have a password and may have second factors, and the recovery codes that stand in for these.

A recovery code is shown once, kept as a digest, and good once. They come with the first factor and go with the last.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from marketplace import clock, db

CODES: Final = 8
_CODE_BYTES: Final = 10  # 80 bits: too many to guess, which is why a plain digest is enough


class Holder(msgspec.Struct, frozen=True):
    """A person of a publisher's staff, or an operator."""

    role: Literal["staff", "operator"]
    id: UUID


class Factors(msgspec.Struct, frozen=True):
    """What a holder has beside the password."""

    totp_since: datetime | None
    passkeys: int
    recovery_codes: int

    @property
    def any(self) -> bool:
        """Whether the password alone is not enough."""
        return self.totp_since is not None or self.passkeys > 0


async def factors_of(holder: Holder) -> Factors:
    """The second factors of `holder`."""
    row = await db.fetch_row(
        """SELECT (SELECT confirmed_at FROM totp WHERE holder = $1) AS totp_since,
                  (SELECT count(*) FROM passkey WHERE holder = $1) AS passkeys,
                  (SELECT count(*) FROM recovery_code WHERE holder = $1 AND used_at IS NULL) AS recovery_codes""",
        holder.id,
    )
    assert row is not None
    return Factors(**row)


async def renew_codes(holder: Holder) -> list[str]:
    """New recovery codes in place of the old ones; none without a factor, since there is nothing to recover."""
    async with db.transaction():
        return await _made(holder) if (await factors_of(holder)).any else []


async def codes_with_first_factor(holder: Holder) -> list[str]:
    """Inside the transaction that adds a factor: recovery codes, when there were none."""
    return [] if (await factors_of(holder)).recovery_codes else await _made(holder)


async def forget_codes_without_factor(holder: Holder) -> None:
    """Inside the transaction that removes a factor: no codes when it was the last."""
    if not (await factors_of(holder)).any:
        await db.execute("DELETE FROM recovery_code WHERE holder = $1", holder.id)


async def use_recovery_code(holder: Holder, typed: str) -> bool:
    """Use up the code that was typed; whether it was one."""
    used = await db.execute(
        "UPDATE recovery_code SET used_at = $3 WHERE hash = $2 AND holder = $1 AND used_at IS NULL",
        holder.id, _digest(holder, typed), clock.now(),
    )  # fmt: skip
    return used == 1


async def _made(holder: Holder) -> list[str]:
    codes = [_code() for _ in range(CODES)]
    await db.execute("DELETE FROM recovery_code WHERE holder = $1", holder.id)
    now = clock.now()
    await db.insert_many(
        "recovery_code", ("hash", "holder", "role", "created_at"),
        [(_digest(holder, code), holder.id, holder.role, now) for code in codes],
    )  # fmt: skip
    return codes


def _code() -> str:
    letters = base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode().lower()
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def _digest(holder: Holder, typed: str) -> bytes:
    letters = "".join(letter for letter in typed.lower() if letter.isalnum())
    return hashlib.sha256(holder.id.bytes + letters.encode("utf-8", "surrogatepass")).digest()


__all__ = [
    "CODES",
    "Factors",
    "Holder",
    "codes_with_first_factor",
    "factors_of",
    "forget_codes_without_factor",
    "renew_codes",
    "use_recovery_code",
]
