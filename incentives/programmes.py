"""Programmes 场景平台: cities, employers and industry platforms, and the residents who are their members.

An operator enrols members by the phones that a programme names; a phone that nobody has signed in with is kept nowhere.
A resident sees every membership and can end it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import asyncpg
import msgspec

from marketplace import clock, db
from marketplace.errors import FieldError, Invalid, NotFound, Refused
from marketplace.identity.phones import is_phone
from marketplace.ids import new_id
from marketplace.offers.benefits import LINE

Kind = Literal["city", "employer", "industry"]
MAX_PHONES: Final = 1_000


class NewProgramme(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A programme to be made; its key is what rules name."""

    key: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{1,39}$")]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=60, pattern=LINE)]
    kind: Kind


class Programme(msgspec.Struct, frozen=True):
    """A programme, and how many members it has."""

    key: str
    name: str
    kind: Kind
    members: int


class Membership(msgspec.Struct, frozen=True):
    """A programme that a resident is a member of."""

    programme: str
    name: str
    kind: Kind
    joined_at: datetime


class Enrolled(msgspec.Struct, frozen=True):
    """What became of the phones: new members, those who were already, and phones of nobody here."""

    enrolled: int
    already: int
    unknown: int


async def create_programme(new: NewProgramme) -> Programme:
    """A programme without members. Raises Refused `programme_exists`."""
    try:
        await db.execute(
            "INSERT INTO programme (key, name, kind, created_at) VALUES ($1, $2, $3, $4)",
            new.key, new.name, new.kind, clock.now(),
        )  # fmt: skip
    except asyncpg.UniqueViolationError as clash:
        raise Refused("programme_exists") from clash
    return Programme(new.key, new.name, new.kind, 0)


async def programmes() -> list[Programme]:
    """Every programme, by key."""
    rows = await db.fetch(
        """SELECT p.key, p.name, p.kind, count(m.id) FILTER (WHERE m.ended_at IS NULL) AS members
           FROM programme p LEFT JOIN programme_member m ON m.programme = p.key GROUP BY p.key ORDER BY p.key"""
    )
    return [Programme(**dict(row)) for row in rows]


async def programme_names() -> dict[str, str]:
    """What each programme is called."""
    return {row["key"]: row["name"] for row in await db.fetch("SELECT key, name FROM programme ORDER BY key")}


async def enrol(programme: str, phones: Collection[str]) -> Enrolled:
    """Make who has one of `phones` (at most 1,000) a member; again, it changes nothing. Raises NotFound, Invalid."""
    wanted = set(_phones(phones))
    async with db.transaction():
        await _require(programme)
        residents = [
            row["id"]
            for row in await db.fetch(
                "SELECT id FROM resident WHERE phone = ANY($1) AND closed_at IS NULL ORDER BY id FOR KEY SHARE",
                sorted(wanted),
            )
        ]
        made = await db.fetch(
            """INSERT INTO programme_member (id, programme, resident, joined_at)
               SELECT id, $2, resident, $4 FROM unnest($1::uuid[], $3::uuid[]) AS new (id, resident)
               ON CONFLICT (resident, programme) WHERE ended_at IS NULL DO NOTHING RETURNING 1""",
            [new_id() for _ in residents], programme, residents, clock.now(),
        )  # fmt: skip
    return Enrolled(len(made), len(residents) - len(made), len(wanted) - len(residents))


async def dismiss(programme: str, phones: Collection[str]) -> int:
    """End the memberships of who has one of `phones`; answers how many. Raises NotFound, Invalid."""
    wanted = _phones(phones)
    await _require(programme)
    return await db.execute(
        """UPDATE programme_member m SET ended_at = greatest($3, m.joined_at), ended_by = 'operator'
           FROM resident r WHERE r.id = m.resident AND r.phone = ANY($2) AND m.programme = $1 AND m.ended_at IS NULL""",
        programme, wanted, clock.now(),
    )  # fmt: skip


async def memberships_of(resident: UUID) -> list[Membership]:
    """The programmes that `resident` is a member of."""
    rows = await db.fetch(
        """SELECT p.key AS programme, p.name, p.kind, m.joined_at
           FROM programme_member m JOIN programme p ON p.key = m.programme
           WHERE m.resident = $1 AND m.ended_at IS NULL ORDER BY p.key""",
        resident,
    )
    return [Membership(**dict(row)) for row in rows]


async def leave(*, resident: UUID, programme: str) -> None:
    """End a membership of `resident`. Raises NotFound."""
    ended = await db.execute(
        """UPDATE programme_member SET ended_at = greatest($3, joined_at), ended_by = 'resident'
           WHERE resident = $1 AND programme = $2 AND ended_at IS NULL""",
        resident, programme, clock.now(),
    )  # fmt: skip
    if not ended:
        raise NotFound


async def _require(programme: str) -> None:
    if await db.fetch_row("SELECT 1 FROM programme WHERE key = $1", programme) is None:
        raise NotFound


def _phones(phones: Collection[str]) -> list[str]:
    """The phones without the spaces around them. Raises Invalid with the places of those that are none."""
    read = [phone.strip() for phone in phones]
    wrong = [
        FieldError(f"phones.{place}", "not_a_phone") for place, one in enumerate(read) if not is_phone(one)
    ]
    if wrong:
        raise Invalid(*wrong)
    return read
