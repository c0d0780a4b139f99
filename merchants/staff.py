"""The people who act for publishers: who they are, for whom they act, and how they sign in.

A person is a member of any number of publishers, with a role in each. A session or token of the role `staff` names the
membership that it acts by, and is over when that has ended; a person without any has sessions by their own id.
"""

from __future__ import annotations

import re
from typing import Final, Literal
from uuid import UUID

import msgspec

from marketplace import clock, db
from marketplace.errors import FieldError, NotFound, Refused
from marketplace.identity.holders import Holder
from marketplace.identity.passkeys import Site, holder_of
from marketplace.identity.passwords import hash_password, require_password
from marketplace.identity.second_step import begin_or_ask
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import Principal, Session, begin_session
from marketplace.ids import new_id

StaffRole = Literal["owner", "manager", "cashier"]
MAX_NAME_LENGTH: Final = 50
_LOGIN: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{2,63}")


class StaffMember(msgspec.Struct, frozen=True, kw_only=True):
    """A person's membership of `publisher`; `id` is the membership's, `person` whose it is."""

    id: UUID
    person: UUID
    name: str
    role: StaffRole
    publisher: UUID
    publisher_name: str
    publisher_status: str


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with a login, and what they act by at the moment; None when they are a member of nothing."""

    id: UUID
    login: str
    name: str
    acting: StaffMember | None


async def add_staff(*, publisher: UUID, login: str, name: str, password: str, role: StaffRole) -> StaffMember:
    """Let a new person act for `publisher`. Raises Refused `conflict` when somebody has this login."""
    membership = await insert_person(
        publisher=publisher, login=login, name=name, password_hash=await hash_password(password), role=role
    )
    if membership is None:
        raise Refused("conflict")
    member = await staff_member(membership)
    assert member is not None
    return member


async def insert_person(
    *, publisher: UUID, login: str, name: str, password_hash: str, role: StaffRole
) -> UUID | None:
    """A new person with a membership, whose id is answered; None when somebody has this login. One statement."""
    person, membership, now = new_id(), new_id(), clock.now()
    made: UUID | None = await db.fetch_value(
        """WITH person AS (
               INSERT INTO staff (id, login, name, password_hash, created_at) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (login) DO NOTHING RETURNING id)
           INSERT INTO membership (id, staff, publisher, role, created_at) SELECT $6, id, $7, $8, $5 FROM person
           RETURNING id""",
        person, login, name, password_hash, now, membership, publisher, role,
    )  # fmt: skip
    return made


async def insert_membership(*, person: UUID, publisher: UUID, role: StaffRole) -> UUID | None:
    """A membership of somebody who is known; None when they have one already."""
    made: UUID | None = await db.fetch_value(
        """INSERT INTO membership (id, staff, publisher, role, created_at) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (staff, publisher) WHERE ended_at IS NULL DO NOTHING RETURNING id""",
        new_id(), person, publisher, role, clock.now(),
    )  # fmt: skip
    return made


def account_faults(*, login: str, name: str, name_field: str = "name") -> list[FieldError]:
    """What is wrong with a login and a name that somebody wants to have."""
    faults = []
    if _LOGIN.fullmatch(login) is None:
        faults.append(FieldError("login", "not_a_login" if login else "required"))
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        faults.append(FieldError(name_field, "invalid" if name else "required"))
    return faults


# ------------------------------------------------------------------ signing in
async def staff_sign_in(login: str, password: str, *, address: str, store: EphemeralStore) -> Session:
    """Begin a session, for the publisher that the person acted for last.

    Raises Refused (unauthenticated, rate_limited, second_factor_required), Unavailable.
    """
    known = await require_staff_password(login, password, address=address, store=store)
    return await begin_or_ask(Holder("staff", known), await _principal_of(known), store=store)


async def require_staff_password(login: str, password: str, *, address: str, store: EphemeralStore) -> UUID:
    """The person who has `login`, in small letters if not as typed, and `password`.

    Raises Refused (unauthenticated, rate_limited), Unavailable.
    """
    found = await db.fetch_row(
        "SELECT id, login, password_hash FROM staff WHERE login IN ($1, lower($1)) ORDER BY login = $1 DESC LIMIT 1",
        login,
    )
    counted = found["login"] if found is not None else login.lower()
    known = await require_password("staff", counted, password, known=found, address=address, store=store)
    return UUID(int=known["id"].int)


async def staff_passkey_sign_in(
    credential: str, *, site: Site, address: str, store: EphemeralStore
) -> Session:
    """Begin the session of whoever signed by a passkey. Raises Refused (unauthenticated, rate_limited), Unavailable."""
    person = await holder_of(credential, role="staff", site=site, address=address, store=store)
    return await begin_session(await _principal_of(person), store=store)


async def act_for(*, person: UUID, membership: UUID, store: EphemeralStore) -> Session:
    """A session of `person` by another of their memberships. Raises NotFound, Unavailable."""
    chosen = await db.execute(
        "UPDATE membership SET chosen_at = $3 WHERE id = $2 AND staff = $1 AND ended_at IS NULL",
        person, membership, clock.now(),
    )  # fmt: skip
    if not chosen:
        raise NotFound
    return await begin_session(Principal("staff", str(membership)), store=store)


async def _principal_of(person: UUID) -> Principal:
    """Who a person is when they sign in: the membership that they chose last, closed publishers' after the others."""
    subject = await db.fetch_value(
        """SELECT m.id FROM membership m JOIN publisher p ON p.id = m.publisher
           WHERE m.staff = $1 AND m.ended_at IS NULL
           ORDER BY p.status = 'closed', m.chosen_at DESC NULLS LAST, m.id LIMIT 1""",
        person,
    )
    return Principal("staff", str(subject or person))


# ------------------------------------------------------------------ who it is
_MEMBER: Final = """SELECT m.id, m.staff AS person, s.name, m.role, m.publisher, p.name AS publisher_name,
                           p.status AS publisher_status
                    FROM membership m JOIN staff s ON s.id = m.staff JOIN publisher p ON p.id = m.publisher
                    WHERE m.ended_at IS NULL"""


async def staff_member(membership: UUID) -> StaffMember | None:
    """The membership with its publisher, however that stands; None when it has ended."""
    row = await db.fetch_row(f"{_MEMBER} AND m.id = $1", membership)
    return _member(row) if row is not None else None


async def memberships_of(person: UUID) -> list[StaffMember]:
    """For whom a person may act: what they chose last first."""
    rows = await db.fetch(f"{_MEMBER} AND m.staff = $1 ORDER BY m.chosen_at DESC NULLS LAST, m.id", person)
    return [_member(row) for row in rows]


async def person_of(subject: UUID) -> Person | None:
    """Whose session it is: `subject` is a membership, or a person. None when the membership has ended."""
    acting = await staff_member(subject)
    person = acting.person if acting is not None else subject
    row = await db.fetch_row("SELECT id, login, name FROM staff WHERE id = $1", person)
    if row is None:
        return None
    return Person(id=UUID(int=row["id"].int), login=row["login"], name=row["name"], acting=acting)


def _member(row: db.Row) -> StaffMember:
    ids = {name: UUID(int=row[name].int) for name in ("id", "person", "publisher")}
    return StaffMember(**dict(row) | ids)


__all__ = [
    "Person",
    "StaffMember",
    "StaffRole",
    "account_faults",
    "act_for",
    "add_staff",
    "insert_membership",
    "insert_person",
    "memberships_of",
    "person_of",
    "require_staff_password",
    "staff_member",
    "staff_passkey_sign_in",
    "staff_sign_in",
]
