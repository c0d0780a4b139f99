"""Residents as people who sign in: the first sign-in with a phone makes the resident.

A phone that nobody signed in with for a long time may have been given to somebody else, so that it does not open a
verified account by itself: sign-in then answers with a proof, and the real-name check settles it (see `persons`).
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import msgspec

from marketplace import clock, db
from marketplace.errors import Refused
from marketplace.identity import otp
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import (
    RESIDENT_SESSION_TTL,
    Principal,
    Session,
    begin_session,
    session_epoch,
)
from marketplace.ids import new_id

SILENCE: Final = timedelta(days=90)  # numbers that were given up are given out again after this long
PROOF_TTL_SECONDS: Final = 900


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A resident's own data as their sign-in shows it."""

    id: UUID
    phone: str | None
    name: str | None
    city: str
    verified_at: datetime | None


class Proof(msgspec.Struct, frozen=True):
    """That somebody held `phone`, the one of `resident`, a moment ago."""

    resident: UUID
    phone: str
    expires_at: datetime


async def sign_in(phone: str, code: str, *, address: str, store: EphemeralStore) -> tuple[Session, Person]:
    """Begin a session for the resident of `phone`, who proves to hold it by `code`; a new phone is a new resident.

    Raises Refused (unauthenticated, rate_limited; identity_check_required with a `proof` for a verified account that
    nobody signed in to for 90 days), Invalid, Unavailable.
    """
    await otp.require_code(phone, code, address=address, store=store)
    person = await resident_by_phone(phone)
    # The epoch is read before the account is found to have the phone still: a recovery in between ends the session.
    epoch = await session_epoch(person.id, store=store)
    now = clock.now()
    opened = await db.execute(
        """UPDATE resident SET last_sign_in_at = $3,
               woken_at = CASE WHEN coalesce(last_sign_in_at, created_at) <= $4 THEN $3 ELSE woken_at END
           WHERE id = $1 AND phone = $2 AND (person_hash IS NULL OR coalesce(last_sign_in_at, created_at) > $4)""",
        person.id, phone, now, now - SILENCE,
    )  # fmt: skip
    if not opened:
        if (
            await db.fetch_row("SELECT 1 FROM resident WHERE id = $1 AND phone = $2", person.id, phone)
            is None
        ):
            raise Refused("unauthenticated")
        proof = await keep_proof(
            Proof(person.id, phone, now + timedelta(seconds=PROOF_TTL_SECONDS)), store=store
        )
        raise Refused("identity_check_required", proof=proof, expires_in_seconds=PROOF_TTL_SECONDS)
    return await resident_session(person.id, epoch=epoch, store=store), person


async def resident_session(resident: UUID, *, epoch: bytes | None, store: EphemeralStore) -> Session:
    """A new session of `resident` in the `epoch` that was read before it was settled that it is theirs."""
    principal = Principal("resident", str(resident))
    return await begin_session(principal, store=store, ttl=RESIDENT_SESSION_TTL, epoch=epoch)


async def resident_by_phone(phone: str) -> Person:
    """The resident with `phone`, made now if there is none; of two at the same time one makes it."""
    while True:
        await db.execute(
            "INSERT INTO resident (id, phone, registry_account, created_at) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (phone) DO NOTHING",
            new_id(), phone, uuid4(), clock.now(),
        )  # fmt: skip
        row = await db.fetch_row(f"{_PERSON} WHERE phone = $1", phone)
        if row is not None:  # else a recovery took the phone in between
            return _person(row)


async def person_of(resident: UUID) -> Person:
    """The resident's own data. Raises Refused `unauthenticated` when there is no such resident (any more)."""
    row = await db.fetch_row(f"{_PERSON} WHERE id = $1 AND closed_at IS NULL", resident)
    if row is None:
        raise Refused("unauthenticated")
    return _person(row)


async def keep_proof(proof: Proof, *, store: EphemeralStore, token: str | None = None) -> str:
    """Keep `proof` for as long as it is good; answers the token that stands for it."""
    token = token or secrets.token_urlsafe(32)
    left = (proof.expires_at - clock.now()).total_seconds()
    if left > 0:
        await store.set(_proof_key(token), msgspec.msgpack.encode(proof), ttl_seconds=left)
    return token


async def take_proof(token: str, *, store: EphemeralStore) -> Proof:
    """The proof that `token` stands for, which is used up. Raises Refused `unauthenticated`, Unavailable."""
    raw = await store.take(_proof_key(token))
    proof = msgspec.msgpack.decode(raw, type=Proof) if raw is not None else None
    if proof is None or proof.expires_at <= clock.now():
        raise Refused("unauthenticated")
    return proof


_PERSON: Final = "SELECT id, phone, name, city, verified_at FROM resident"


def _person(row: db.Row) -> Person:
    return Person(**dict(row) | {"id": UUID(int=row["id"].int)})


def _proof_key(token: str) -> str:
    return "identity-proof:" + hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


__all__ = [
    "PROOF_TTL_SECONDS",
    "SILENCE",
    "Person",
    "Proof",
    "keep_proof",
    "person_of",
    "resident_by_phone",
    "resident_session",
    "sign_in",
    "take_proof",
]
