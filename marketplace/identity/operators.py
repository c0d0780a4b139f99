"""Operators: who they are, and whether they have the whole province or one city. Somebody always has the province."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from marketplace import clock, db
from marketplace.cities import CITIES
from marketplace.deeds import record_deed
from marketplace.errors import FieldError, Invalid, NotFound, Refused
from marketplace.identity.passwords import hash_password, password_fault
from marketplace.identity.tokens import Principal, revoke_tokens_of
from marketplace.ids import new_id

MAX_LENGTH = 64


class OperatorView(msgspec.Struct, frozen=True):
    """An operator; `city` is None for the province's."""

    id: UUID
    login: str
    name: str
    city: str | None
    created_at: datetime


async def operators() -> list[OperatorView]:
    """Those who were not removed, oldest first."""
    rows = await db.fetch(
        "SELECT id, login, name, city, created_at FROM operator WHERE ended_at IS NULL ORDER BY id"
    )
    return [OperatorView(**row) for row in rows]


async def city_of(operator: UUID) -> str | None:
    """The city that `operator` has, None for the province. Raises Refused `unauthenticated` for nobody, and for who was
    removed: their sessions are over with that."""
    row = await db.fetch_row("SELECT city FROM operator WHERE id = $1 AND ended_at IS NULL", operator)
    if row is None:
        raise Refused("unauthenticated")
    city: str | None = row["city"]
    return city


async def add_operator(
    *, login: str, name: str, password: str, city: str | None = None, actor: str = "command"
) -> UUID:
    """Let a person run this installation, or of it what is of `city`.

    Raises Invalid (a password under 11 characters, an unknown city, a login that somebody has or had).
    """
    login, name = login.strip(), name.strip()
    faults = [
        FieldError(field, "invalid" if value else "required")
        for field, value in (("login", login), ("name", name))
        if not value or len(value) > MAX_LENGTH or not value.isprintable()
    ]
    if (fault := password_fault(password)) is not None:
        faults.append(fault)
    faults += _city_faults(city)
    if faults:
        raise Invalid(*faults)
    operator, hashed = new_id(), await hash_password(password)
    async with db.transaction():
        made = await db.execute(
            """INSERT INTO operator (id, login, name, password_hash, city, created_at) VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (login) DO NOTHING""",
            operator, login, name, hashed, city, clock.now(),
        )  # fmt: skip
        if not made:
            raise Invalid(FieldError("login", "taken"))
        await record_deed(actor=actor, deed="add_operator", object_kind="operator", object_id=operator)
    return operator


async def change_city(*, operator: UUID, city: str | None, actor: str) -> None:
    """Give an operator a city, or the province. Raises Invalid, NotFound, Refused `last_operator`."""
    if faults := _city_faults(city):
        raise Invalid(*faults)
    async with db.transaction():
        await _locked(operator, keeps_province=city is None)
        await db.execute("UPDATE operator SET city = $2 WHERE id = $1", operator, city)
        await record_deed(actor=actor, deed="change_operator", object_kind="operator", object_id=operator)


async def remove_operator(*, operator: UUID, actor: str) -> None:
    """From now on this is nobody: sessions and tokens end. Raises NotFound, Refused `last_operator`."""
    async with db.transaction():
        await _locked(operator, keeps_province=False)
        await db.execute(
            "UPDATE operator SET ended_at = greatest($2, created_at) WHERE id = $1", operator, clock.now()
        )
        await revoke_tokens_of(Principal("operator", str(operator)))
        await record_deed(actor=actor, deed="remove_operator", object_kind="operator", object_id=operator)


async def _locked(operator: UUID, *, keeps_province: bool) -> None:
    """Nobody else changes operators meanwhile; this one has to be there, and not be the last with the province."""
    await db.execute("LOCK TABLE operator IN SHARE ROW EXCLUSIVE MODE")
    rows = await db.fetch("SELECT id, city FROM operator WHERE ended_at IS NULL")
    cities = {row["id"]: row["city"] for row in rows}
    if operator not in cities:
        raise NotFound
    whole = [one for one, city in cities.items() if city is None]
    if whole == [operator] and not keeps_province:
        raise Refused("last_operator")


def _city_faults(city: str | None) -> list[FieldError]:
    return [] if city is None or city in CITIES else [FieldError("city", "unknown")]


__all__ = ["OperatorView", "add_operator", "change_city", "city_of", "operators", "remove_operator"]
