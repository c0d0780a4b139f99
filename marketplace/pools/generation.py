"""Codes of our own making, for shops that have none: not to be guessed, not to be misread, and handed over once.

A code is its prefix, letters by chance, and a check letter, all of an alphabet without what looks alike (0 O, 1 I L).
The alphabet has 31 letters, a prime: the check letter makes the sum of all letters, each times its place, divisible by
31, so that one wrong letter and two swapped ones are always found out.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import date
from typing import Final
from uuid import UUID

from marketplace import clock, db, ledger
from marketplace.errors import FieldError, Invalid, NotFound, Refused
from marketplace.pools.lines import MAX_LINES, Line
from marketplace.pools.opening import open_pool
from marketplace.pools.sealing import unsealed_code
from marketplace.pools.uploads import LINES_IN_A_PART, Upload, expires_at_of, open_upload, upload_of

ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_VALUE: Final = {letter: value for value, letter in enumerate(ALPHABET)}
MAX_PREFIX: Final = 8
# With the fewest, a guess meets one of a hundred thousand codes once in 8,000 million.
LENGTHS: Final = range(11, 21)  # letters after the prefix, the check letter among them
assert len(ALPHABET) == 31
assert MAX_PREFIX + LENGTHS[-1] < len(ALPHABET), "places repeat modulo 31, and swapped letters with them"


async def generate(
    *, publisher: UUID, offer: UUID, prefix: str, length: int, count: int, expires_on: date | None, actor: str,
    key: ledger.IdempotencyKey | None = None,
) -> Upload:  # fmt: skip
    """Make `count` codes of `prefix` and `length` further letters, once per `key`; they are loaded by and by.

    Raises NotFound, Refused (`offer_has_no_pool`, `too_many_uploads`), Invalid.
    """
    prefix = prefix.strip().upper()
    wrong = []
    if len(prefix) > MAX_PREFIX or not set(prefix) <= set(ALPHABET):
        wrong.append(
            FieldError("prefix", "out_of_range" if len(prefix) > MAX_PREFIX else "ambiguous_letters")
        )
    if length not in LENGTHS:
        wrong.append(FieldError("length", "out_of_range"))
    if not 1 <= count <= MAX_LINES:
        wrong.append(FieldError("count", "out_of_range"))
    if wrong:
        raise Invalid(*wrong)
    expires_at = expires_at_of(expires_on)
    earlier = None if key is None else await ledger.answered(key)
    if earlier is not None:
        return await upload_of(publisher=publisher, upload=UUID(earlier.answer["id"]))
    async with db.transaction():
        await open_pool(publisher=publisher, offer=offer)
        upload = await open_upload(
            publisher=publisher, offer=offer, source="generated", state="loading", prefix=prefix, length=length,
            lines=count, expires_at=expires_at, actor=actor,
        )  # fmt: skip
        if key is not None and not await ledger.remember(key, {"id": str(upload)}, at=clock.now()):
            raise Refused("idempotency_in_flight")
        return await upload_of(publisher=publisher, upload=upload)


def next_batch(*, made: int, lines: int, prefix: str, length: int) -> list[Line]:
    """The next of the codes of a generated upload, of which so many are `made`."""
    return [
        Line(number, a_code(prefix, length))
        for number in range(made + 1, min(made + LINES_IN_A_PART, lines) + 1)
    ]


def a_code(prefix: str, length: int) -> str:
    """A code that nobody can guess."""
    stem = prefix + "".join(secrets.choice(ALPHABET) for _ in range(length - 1))
    return stem + _check_letter(stem)


def _check_letter(stem: str) -> str:
    weighed = sum(place * _VALUE[letter] for place, letter in enumerate(stem, start=2))
    return ALPHABET[-weighed % len(ALPHABET)]  # at place 1


def is_well_formed(code: str) -> bool:
    """Whether `code` could be one of ours: its letters, and their sum."""
    return set(code) <= set(ALPHABET) and code[-1:] == _check_letter(code[:-1])


async def export(*, publisher: UUID, upload: UUID, actor: str) -> list[str]:
    """The codes of a generated upload, for the shop's own system: all of them, and once.

    Raises NotFound, Refused (`codes_not_ready` until all are made, `codes_exported_already`).
    """
    async with db.transaction():
        row = await db.fetch_row(
            """SELECT state, exported_at FROM code_upload
               WHERE id = $1 AND publisher = $2 AND source = 'generated' FOR NO KEY UPDATE""",
            upload, publisher,
        )  # fmt: skip
        if row is None:
            raise NotFound
        if row["exported_at"] is not None:
            raise Refused("codes_exported_already")
        if row["state"] != "loaded":
            raise Refused("codes_not_ready")
        await db.execute(
            "UPDATE code_upload SET exported_at = $2, exported_by = $3 WHERE id = $1",
            upload,
            clock.now(),
            actor,
        )
        rows = await db.fetch("SELECT id, sealed FROM pool_code WHERE upload = $1 ORDER BY id", upload)
    return await asyncio.to_thread(lambda: [unsealed_code(row["id"], row["sealed"]) for row in rows])
