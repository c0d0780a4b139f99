"""Code pools: a third party's codes, uploaded by the publisher and given out one by one."""

from __future__ import annotations

import secrets
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec

from marketplace import db
from marketplace.errors import NotFound, Refused
from marketplace.ids import new_id

LONGEST = 64


class Pool(msgspec.Struct, frozen=True):
    """How many codes an offer's pool has, and how many of them nobody has yet."""

    codes: int
    left: int


class PoolReport(msgspec.Struct, frozen=True):
    """What became of an upload: how many codes are new, and the lines (from 1) that were refused, with why."""

    added: int
    refused: list[tuple[int, str]]


async def add_codes(*, publisher: UUID, offer: UUID, codes: Sequence[str]) -> PoolReport:
    """Add `codes` to the pool of an offer of kind `code`; the same codes again add nothing.

    Blank, overlong and repeated lines are refused one by one. Raises NotFound, Refused `offer_has_no_pool`.
    """
    async with db.transaction():
        row = await db.fetch_row(
            "SELECT kind FROM offer WHERE id = $1 AND publisher = $2 FOR NO KEY UPDATE", offer, publisher
        )
        if row is None:
            raise NotFound
        if row["kind"] != "code":
            raise Refused("offer_has_no_pool")
        lines = [unicodedata.normalize("NFKC", code).strip() for code in codes]
        known = {r["code"] for r in await db.fetch("SELECT code FROM pool_code WHERE offer = $1", offer)}
        seen = Counter[str]()
        refused, new = [], []
        for number, code in enumerate(lines, start=1):
            seen[code] += 1
            fault = _fault(code, repeated=code in known or seen[code] > 1)
            if fault is None:
                new.append(code)
            else:
                refused.append((number, fault))
        await db.insert_many("pool_code", ("id", "offer", "code"), [(new_id(), offer, code) for code in new])
    return PoolReport(len(new), refused)


def _fault(code: str, *, repeated: bool) -> str | None:
    if not code:
        return "blank"
    if len(code) > LONGEST or not code.isprintable():
        return "invalid"
    return "repeated" if repeated else None


async def pool_of(offer: UUID) -> Pool:
    """How full the pool of an offer is."""
    row = await db.fetch_row(
        """SELECT count(*) AS codes, count(*) FILTER (WHERE redemption IS NULL) AS left_over
           FROM pool_code WHERE offer = $1""",
        offer,
    )
    return Pool(row["codes"], row["left_over"]) if row else Pool(0, 0)


async def has_codes(offer: UUID) -> bool:
    """Whether the offer's pool was ever filled."""
    return bool(await db.fetch_value("SELECT EXISTS (SELECT 1 FROM pool_code WHERE offer = $1)", offer))


async def free_codes(offers: Collection[UUID]) -> dict[UUID, int]:
    """How many codes nobody has yet, by offer: one query for all of them."""
    if not offers:
        return {}
    rows = await db.fetch(
        """SELECT offer, count(*) AS free FROM pool_code WHERE offer = ANY($1) AND redemption IS NULL
           GROUP BY offer""",
        list(offers),
    )
    return dict.fromkeys(offers, 0) | {row["offer"]: row["free"] for row in rows}


@asynccontextmanager
async def next_code(offer: UUID) -> AsyncIterator[tuple[UUID, str] | None]:
    """A code of the pool that nobody has yet, kept from others of this process while the block runs; None if none is.

    Another process may be quicker with it: whoever gives it out makes sure that nobody has it.
    """
    code = await _free_code(offer)
    if code is None:
        yield None
        return
    _handed_out.add(code[0])
    try:
        yield code
    finally:
        _handed_out.discard(code[0])


_handed_out: set[UUID] = set()


async def _free_code(offer: UUID) -> tuple[UUID, str] | None:
    rows = await db.fetch(
        """SELECT id, code FROM pool_code WHERE offer = $1 AND redemption IS NULL AND id <> ALL($2)
           ORDER BY id LIMIT 64""",
        offer, list(_handed_out),
    )  # fmt: skip
    free = [(row["id"], row["code"]) for row in rows if row["id"] not in _handed_out]
    return secrets.choice(free) if free else None
