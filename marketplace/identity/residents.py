"""Residents as people who sign in: the first sign-in with a phone makes the resident."""

from __future__ import annotations

from uuid import UUID, uuid4

import msgspec

from marketplace import clock, db
from marketplace.identity import otp
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import RESIDENT_SESSION_TTL, Principal, Session, begin_session
from marketplace.ids import new_id


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A resident's own data as their sign-in shows it."""

    id: UUID
    phone: str | None
    name: str | None
    city: str


async def sign_in(phone: str, code: str, *, address: str, store: EphemeralStore) -> tuple[Session, Person]:
    """Begin a session for the resident of `phone`, who proves to hold it by `code`; a new phone is a new resident.

    Raises Refused (unauthenticated, rate_limited), Invalid, Unavailable.
    """
    await otp.require_code(phone, code, address=address, store=store)
    person = await resident_by_phone(phone)
    principal = Principal("resident", str(person.id))
    return await begin_session(principal, store=store, ttl=RESIDENT_SESSION_TTL), person


async def resident_by_phone(phone: str) -> Person:
    """The resident with `phone`, made now if there is none; of two at the same time one makes it."""
    await db.execute(
        "INSERT INTO resident (id, phone, registry_account, created_at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (phone) DO NOTHING",
        new_id(), phone, uuid4(), clock.now(),
    )  # fmt: skip
    row = await db.fetch_row("SELECT id, phone, name, city FROM resident WHERE phone = $1", phone)
    assert row is not None, "a phone is taken from a resident only by recovery, which ends sign-ins first"
    return Person(id=UUID(int=row["id"].int), phone=row["phone"], name=row["name"], city=row["city"])


__all__ = ["Person", "resident_by_phone", "sign_in"]
