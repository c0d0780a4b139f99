"""Invitations to a publisher's team: a link that is shown once, good for a week and for one person."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from marketplace import clock, db
from marketplace.errors import FieldError, Invalid, NotFound, Refused
from marketplace.identity.passwords import hash_password, password_fault
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import Principal, Session, begin_session
from marketplace.ids import new_id
from merchants.staff import StaffRole, account_faults, insert_membership, insert_person

GOOD_FOR: Final = timedelta(days=7)
MOST_OPEN: Final = 50
MAX_NOTE_LENGTH: Final = 50


class Invitation(msgspec.Struct, frozen=True):
    """An invitation that is open."""

    id: UUID
    role: StaffRole
    note: str
    expires_at: datetime


class Invited(msgspec.Struct, frozen=True):
    """To what an invitation invites."""

    publisher_name: str
    role: StaffRole
    expires_at: datetime


class Account(msgspec.Struct, frozen=True):
    """What a new person gives to have an account."""

    login: str
    name: str
    password: str


async def invite(*, publisher: UUID, by: UUID, role: StaffRole, note: str = "") -> tuple[Invitation, str]:
    """An invitation by the membership `by`, and its token, which is known to nobody else from now on.

    Raises Invalid (`note`), Refused `too_many_invitations`.
    """
    note = note.strip()
    if len(note) > MAX_NOTE_LENGTH or not note.isprintable():
        raise Invalid(FieldError("note", "invalid"))
    token, now = secrets.token_urlsafe(32), clock.now()
    made = Invitation(new_id(), role, note, now + GOOD_FOR)
    async with db.transaction():
        await db.fetch("SELECT 1 FROM publisher WHERE id = $1 FOR NO KEY UPDATE", publisher)
        kept = await db.execute(
            """INSERT INTO invitation (id, publisher, role, hash, invited_by, note, created_at, expires_at)
               SELECT $1, $2, $3, $4, m.id, $6, $7, $8 FROM membership m
               WHERE m.id = $5 AND m.publisher = $2 AND m.role = 'owner' AND m.ended_at IS NULL
                 AND (SELECT count(*) FROM invitation
                      WHERE publisher = $2 AND closed_at IS NULL AND expires_at > $7) < $9""",
            made.id, publisher, role, _digest(token), by, note, now, made.expires_at, MOST_OPEN,
        )  # fmt: skip
    if not kept:
        raise Refused("too_many_invitations")
    return made, token


async def open_invitations(publisher: UUID) -> list[Invitation]:
    """The invitations that can still be accepted, oldest first."""
    rows = await db.fetch(
        """SELECT id, role, note, expires_at FROM invitation
           WHERE publisher = $1 AND closed_at IS NULL AND expires_at > $2 ORDER BY id""",
        publisher, clock.now(),
    )  # fmt: skip
    return [Invitation(**row) for row in rows]


async def withdraw(*, publisher: UUID, invitation: UUID) -> None:
    """From now on the link is good for nothing. Raises NotFound, when it was accepted or withdrawn too."""
    closed = await db.execute(
        "UPDATE invitation SET closed_at = $3 WHERE id = $2 AND publisher = $1 AND closed_at IS NULL",
        publisher, invitation, clock.now(),
    )  # fmt: skip
    if not closed:
        raise NotFound


async def invited_to(token: str) -> Invited:
    """To what the token invites. Raises Refused `invitation_over`: it is used, withdrawn, too old or none at all."""
    row = await db.fetch_row(_OPEN, _digest(token), clock.now())
    if row is None:
        raise Refused("invitation_over")
    return Invited(row["publisher_name"], row["role"], row["expires_at"])


async def join(token: str, *, person: UUID, store: EphemeralStore) -> Session:
    """Make a person who is signed in a member; the session acts for the publisher that they joined.

    Raises Refused (invitation_over; already_member, which leaves the invitation open), Unavailable.
    """
    async with db.transaction():
        found = await _taken(token)
        membership = await insert_membership(person=person, publisher=found["publisher"], role=found["role"])
        if membership is None:
            raise Refused("already_member")
        await _accepted(found["id"], membership)
    return await begin_session(Principal("staff", str(membership)), store=store)


async def join_as_new(token: str, account: Account, *, store: EphemeralStore) -> Session:
    """Make somebody new a member, with an account of their own. Raises Refused `invitation_over`, Invalid,
    Unavailable."""
    login, name = account.login.strip().lower(), account.name.strip()
    fault = password_fault(account.password)
    faults = [*account_faults(login=login, name=name), *([fault] if fault else [])]
    if faults:
        raise Invalid(*faults)
    await invited_to(token)  # before anything that takes long is done for whoever asks
    password_hash = await hash_password(account.password)
    async with db.transaction():
        found = await _taken(token)
        membership = await insert_person(
            publisher=found["publisher"],
            login=login,
            name=name,
            password_hash=password_hash,
            role=found["role"],
        )
        if membership is None:
            raise Invalid(FieldError("login", "taken"))
        await _accepted(found["id"], membership)
    return await begin_session(Principal("staff", str(membership)), store=store)


_OPEN: Final = """SELECT i.id, i.publisher, i.role, i.expires_at, p.name AS publisher_name
                  FROM invitation i JOIN publisher p ON p.id = i.publisher
                  WHERE i.hash = $1 AND i.closed_at IS NULL AND i.expires_at > $2 AND p.status <> 'closed'"""


async def _taken(token: str) -> db.Row:
    """The open invitation, locked: of two who accept it the second finds it closed."""
    row = await db.fetch_row(f"{_OPEN} FOR UPDATE OF i", _digest(token), clock.now())
    if row is None:
        raise Refused("invitation_over")
    return row


async def _accepted(invitation: UUID, membership: UUID) -> None:
    await db.execute(
        "UPDATE invitation SET membership = $2, closed_at = $3 WHERE id = $1",
        invitation,
        membership,
        clock.now(),
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


__all__ = [
    "GOOD_FOR",
    "Account",
    "Invitation",
    "Invited",
    "invite",
    "invited_to",
    "join",
    "join_as_new",
    "open_invitations",
    "withdraw",
]
