"""How a publisher comes to publish: it applies, an operator decides, and what is sent back is mended and sent again.

From its application on a publisher is there, `applied`, with an owner and a store; until it is active it does nothing.
"""

from __future__ import annotations

from typing import Final, get_args
from uuid import UUID

import asyncpg
import msgspec

from marketplace import clock, db
from marketplace.cities import CITIES
from marketplace.errors import FieldError, Invalid, Refused
from marketplace.licences import licence_number
from marketplace.publishers import MAX_NAME_LENGTH, Kind, create_publisher
from merchants.applications import record
from merchants.staff import MAX_NAME_LENGTH as MAX_PERSON_LENGTH
from merchants.staff import account_faults, insert_membership, insert_person
from merchants.stores import store_with_till


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a publisher tells of itself, as it was typed."""

    licence: str
    name: str
    kind: str
    city: str
    contact_name: str
    store_name: str
    store_address: str


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """The account that the first owner is to have; the contact's name is theirs."""

    login: str
    password_hash: str


def checked(told: Told) -> Told:
    """`told` as it is kept. Raises Invalid with everything that is wrong with it."""
    clean = Told(**{name: value.strip() for name, value in msgspec.structs.asdict(told).items()})
    faults: list[FieldError] = []
    try:
        clean = msgspec.structs.replace(clean, licence=licence_number(clean.licence))
    except Invalid as wrong:
        faults += wrong.errors
    for field, most in _LONGEST.items():
        value = getattr(clean, field)
        if not value or len(value) > most or not value.isprintable():
            faults.append(FieldError(_PATHS.get(field, field), "invalid" if value else "required"))
    for field, known in (("kind", get_args(Kind)), ("city", CITIES)):
        value = getattr(clean, field)
        if value not in known:
            faults.append(FieldError(field, "unknown" if value else "required"))
    if faults:
        raise Invalid(*faults)
    return clean


_LONGEST: Final = {"name": MAX_NAME_LENGTH, "contact_name": MAX_PERSON_LENGTH, "store_name": MAX_NAME_LENGTH,
                   "store_address": MAX_NAME_LENGTH}  # fmt: skip
_PATHS: Final = {"store_name": "store.name", "store_address": "store.address"}


async def apply(told: Told, *, phone: str, owner: Owner | UUID) -> UUID:
    """Apply for a new publisher, whose contact holds `phone`; answers the owner's membership.

    `owner` is a new account, or a person who has one. Raises Invalid: what is wrong, and `taken` for the licence of
    another publisher and the login of another person.
    """
    clean = checked_with_account(told, owner)
    async with db.transaction():
        publisher = await create_publisher(
            kind=clean.kind, name=clean.name, city=clean.city,  # type: ignore[arg-type]
            licence=clean.licence, status="applied",
        )  # fmt: skip
        store = await store_with_till(publisher=publisher, name=clean.store_name, address=clean.store_address)
        membership = await _owned(publisher, owner, clean.contact_name)
        await db.execute(
            """INSERT INTO application (publisher, state, store, contact_name, contact_phone, submitted_at)
               VALUES ($1, 'submitted', $2, $3, $4, $5)""",
            publisher, store, clean.contact_name, phone, clock.now(),
        )  # fmt: skip
        await record(publisher, "submitted", actor=f"staff:{membership}")
    return membership


def checked_with_account(told: Told, owner: Owner | UUID, fault: FieldError | None = None) -> Told:
    """`told` as it is kept. Raises Invalid with everything that is wrong, in the account's login and a `fault` too."""
    faults: list[FieldError] = [fault] if fault is not None else []
    try:
        clean = checked(told)
    except Invalid as wrong:
        clean, faults = told, [*wrong.errors, *faults]
    if isinstance(owner, Owner):
        faults += [f for f in account_faults(login=owner.login, name="-") if f.field == "login"]
    if faults:
        raise Invalid(*faults)
    return clean


async def _owned(publisher: UUID, owner: Owner | UUID, name: str) -> UUID:
    if not isinstance(owner, Owner):
        membership = await insert_membership(person=owner, publisher=publisher, role="owner")
        assert membership is not None, "a new publisher has no members"
        return membership
    made = await insert_person(
        publisher=publisher, login=owner.login, name=name, password_hash=owner.password_hash, role="owner"
    )
    if made is None:
        raise Invalid(FieldError("login", "taken"))
    return made


async def mend(told: Told, *, publisher: UUID, actor: str) -> None:
    """Change what an application that was sent back says, and send it again.

    Raises Invalid, Refused `application_decided` when it is not with its applicant.
    """
    clean = checked(told)
    async with db.transaction():
        found = await db.fetch_row(
            "SELECT state, store FROM application WHERE publisher = $1 FOR UPDATE", publisher
        )
        if found is None or found["state"] != "returned":
            raise Refused("application_decided")
        await _rewrite(publisher, clean)
        await db.execute(
            "UPDATE store SET name = $2, address = $3 WHERE id = $1",
            found["store"],
            clean.store_name,
            clean.store_address,
        )
        await db.execute(
            """UPDATE application SET state = 'submitted', revision = revision + 1, contact_name = $2, reason = NULL,
                   decided_at = NULL, submitted_at = $3 WHERE publisher = $1""",
            publisher, clean.contact_name, clock.now(),
        )  # fmt: skip
        await record(publisher, "submitted", actor=actor)


async def _rewrite(publisher: UUID, clean: Told) -> None:
    """The publisher's own row; of two who want one licence the later one is told, at its index."""
    try:
        await db.execute(
            "UPDATE publisher SET licence = $2, name = $3, kind = $4, city = $5 WHERE id = $1",
            publisher, clean.licence, clean.name, clean.kind, clean.city,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise Invalid(FieldError("licence", "taken")) from error


__all__ = ["Owner", "Told", "apply", "checked", "checked_with_account", "mend"]
