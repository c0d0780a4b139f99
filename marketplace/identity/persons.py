"""Accounts and the persons behind them: verifying, recovering with a new phone, giving back a recycled number.

Each verb asks the real-name check first and is then one transaction: it locks the accounts by id, changes them and
leaves a trail. `person_hash` is UNIQUE, so that of two accounts one is the person's whatever happens at once.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID, uuid4

import asyncpg

from marketplace import clock, db
from marketplace.errors import Refused, Unavailable
from marketplace.identity.realname import Identified, RealNames, claim, identified
from marketplace.identity.residents import (
    Person,
    keep_proof,
    person_of,
    resident_session,
    take_proof,
)
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import (
    Principal,
    Session,
    end_sessions_of,
    revoke_tokens_of,
    session_epoch,
)
from marketplace.ids import new_id

Event = Literal["verified", "confirmed", "recovered", "disowned", "closed"]
# For how long after a silence an account that was never verified can be disowned by who woke it.
WOKEN_DAYS: Final = 7
_TRIES: Final = 3


class _Account(NamedTuple):
    id: UUID
    phone: str | None
    person: str | None
    woken_at: datetime | None


class _Outcome(NamedTuple):
    """What a verb settled: whose account is opened, and the accounts whose sessions end."""

    opened: UUID
    ended: Collection[UUID]


# ---------------------------------------------------------------- verbs
async def verify(
    *, resident: UUID, name: str, id_number: str, real_names: RealNames, store: EphemeralStore
) -> Person:
    """Make `resident` the account of the person with `name` and `id_number`; again by the same person it is no mistake.

    Raises Invalid, Refused (`identity_mismatch`, `guardian_needed`, `already_verified` as somebody else,
    `person_has_account` elsewhere, `rate_limited`), Unavailable.
    """
    found = await identified(claim(name, id_number), resident=resident, real_names=real_names, store=store)
    try:
        async with db.transaction():
            account, other = await _locked(resident, found.person)
            if account.person not in (None, found.person):
                raise Refused("already_verified")
            if other is not None:
                raise Refused("person_has_account")
            if account.person is None:
                now = clock.now()
                await db.execute(
                    "UPDATE resident SET person_hash = $2, name = $3, verified_at = $4, birth_year = $5 WHERE id = $1",
                    resident, found.person, found.name, now, found.birth_year,
                )  # fmt: skip
                await _trail(resident, "verified", at=now)
    except asyncpg.UniqueViolationError as clash:
        raise Refused("person_has_account") from clash
    return await person_of(resident)


async def recover(
    *, resident: UUID, name: str, id_number: str, real_names: RealNames, store: EphemeralStore
) -> tuple[Session, Person]:
    """Bring the phone of `resident`, an unused account, to the older account of the same person, and open that.

    The older account's phone, sessions and tokens are void; `resident` is closed. Raises as `verify`, and Refused
    (`no_account_to_recover`, `account_in_use`).
    """
    found = await identified(claim(name, id_number), resident=resident, real_names=real_names, store=store)
    await _end_sessions_of_person(found.person, store=store)
    async with db.transaction():
        outcome = await _recovered(resident, found)
    return await _opened(outcome, store=store)


async def disown(
    *, resident: UUID, name: str, id_number: str, real_names: RealNames, store: EphemeralStore
) -> tuple[Session, Person]:
    """Take the phone from `resident`, a stranger's account that came with a recycled number, to the caller's own.

    The caller proves to be another person than the account's. An account that was never verified is given up only by
    who woke it after 90 days without a sign-in. Raises as `verify`, and Refused (`account_is_yours`,
    `account_unverified`).
    """
    claimed = claim(name, id_number)
    account = await _account(resident)
    if account.person is None:
        _require_woken(account)
    found = await identified(claimed, resident=resident, real_names=real_names, store=store)
    if account.person == found.person:
        raise Refused("account_is_yours")
    outcome = await _settled(resident, account.phone, found, store=store)
    return await _opened(outcome, store=store)


async def settle(
    *, proof: str, name: str, id_number: str, real_names: RealNames, store: EphemeralStore
) -> tuple[Session, Person]:
    """Open the account that sign-in asked a real-name check for: to its own person, or as `disown` to another.

    `proof` is used up when the person is known; a mismatch leaves it good. Raises as `verify`, and Refused
    `unauthenticated` for a proof that is unknown, used or too old.
    """
    claimed = claim(name, id_number)
    held = await take_proof(proof, store=store)
    try:
        found = await identified(claimed, resident=held.resident, real_names=real_names, store=store)
    except (Refused, Unavailable):
        await keep_proof(held, token=proof, store=store)
        raise
    outcome = await _settled(held.resident, held.phone, found, store=store)
    return await _opened(outcome, store=store)


# ---------------------------------------------------------------- inside the transactions
async def _recovered(resident: UUID, found: Identified) -> _Outcome:
    new, old = await _locked(resident, found.person)
    if new.person == found.person:
        raise Refused("already_verified")
    if old is None:
        raise Refused("no_account_to_recover")
    if new.phone is None or new.person is not None or await _is_used(new.id):
        raise Refused("account_in_use")
    now = clock.now()
    await db.execute("UPDATE resident SET phone = NULL, closed_at = $2 WHERE id = $1", new.id, now)
    await _trail(new.id, "closed", at=now)
    await revoke_tokens_of(Principal("resident", str(new.id)))
    await _bring_phone(old.id, new.phone, at=now)
    return _Outcome(old.id, (new.id, old.id))


async def _settled(
    resident: UUID, phone: str | None, found: Identified, *, store: EphemeralStore
) -> _Outcome:
    """Who has `phone`, so far the one of `resident`, now that its holder is known; each try is a transaction."""
    await end_sessions_of(resident, store=store)
    await _end_sessions_of_person(found.person, store=store)
    for _ in range(_TRIES):
        try:
            async with db.transaction():
                return await _given(resident, phone, found)
        except asyncpg.UniqueViolationError as clash:
            if clash.constraint_name != "resident_person_hash_key":
                raise  # else the person got an account just now, which the next try finds
    raise Unavailable(what="resident")


async def _given(resident: UUID, phone: str | None, found: Identified) -> _Outcome:
    account, own = await _locked(resident, found.person)
    now = clock.now()
    if account.phone is None or account.phone != phone:
        raise Refused("unauthenticated")
    if account.person == found.person:
        await db.execute("UPDATE resident SET last_sign_in_at = $2 WHERE id = $1", account.id, now)
        await _trail(account.id, "confirmed", at=now)
        return _Outcome(account.id, (account.id,))
    if account.person is None:
        _require_woken(account)
    await db.execute("UPDATE resident SET phone = NULL WHERE id = $1", account.id)
    await _trail(account.id, "disowned", at=now)
    await revoke_tokens_of(Principal("resident", str(account.id)))
    if own is not None:
        await _bring_phone(own.id, account.phone, at=now)
        return _Outcome(own.id, (account.id, own.id))
    made = new_id()
    await db.execute(
        """INSERT INTO resident
           (id, phone, person_hash, name, registry_account, created_at, verified_at, last_sign_in_at, birth_year)
           VALUES ($1, $2, $3, $4, $5, $6, $6, $6, $7)""",
        made, account.phone, found.person, found.name, uuid4(), now, found.birth_year,
    )  # fmt: skip
    await _trail(made, "verified", at=now)
    return _Outcome(made, (account.id,))


async def _bring_phone(resident: UUID, phone: str, *, at: datetime) -> None:
    await db.execute(
        "UPDATE resident SET phone = $2, last_sign_in_at = $3 WHERE id = $1", resident, phone, at
    )
    await _trail(resident, "recovered", at=at)
    await revoke_tokens_of(Principal("resident", str(resident)))


async def _locked(resident: UUID, person: str) -> tuple[_Account, _Account | None]:
    """The account `resident` and the other one that is `person`'s, locked by id. Raises Refused `unauthenticated`."""
    rows = await db.fetch(
        "SELECT id, phone, person_hash, woken_at FROM resident"
        " WHERE (id = $1 AND closed_at IS NULL) OR person_hash = $2 ORDER BY id FOR UPDATE",
        resident, person,
    )  # fmt: skip
    accounts = {account.id: account for account in map(_account_of, rows)}
    own = accounts.pop(resident, None)
    if own is None:
        raise Refused("unauthenticated")
    return own, next(iter(accounts.values()), None)


async def _is_used(resident: UUID) -> bool:
    return bool(await db.fetch_value(
        """SELECT EXISTS (SELECT 1 FROM lot WHERE resident = $1)
               OR EXISTS (SELECT 1 FROM redemption WHERE resident = $1)
               OR EXISTS (SELECT 1 FROM channel_link WHERE resident = $1 AND ended_at IS NULL)""",
        resident,
    ))  # fmt: skip


async def _trail(resident: UUID, event: Event, *, at: datetime) -> None:
    await db.execute(
        "INSERT INTO identity_event (id, resident, event, created_at) VALUES ($1, $2, $3, $4)",
        new_id(), resident, event, at,
    )  # fmt: skip


# ---------------------------------------------------------------- around them
async def _account(resident: UUID) -> _Account:
    row = await db.fetch_row(
        "SELECT id, phone, person_hash, woken_at FROM resident WHERE id = $1 AND closed_at IS NULL", resident
    )
    if row is None:
        raise Refused("unauthenticated")
    return _account_of(row)


def _account_of(row: db.Row) -> _Account:
    return _Account(UUID(int=row["id"].int), row["phone"], row["person_hash"], row["woken_at"])


def _require_woken(account: _Account) -> None:
    if account.woken_at is None or account.woken_at <= clock.now() - timedelta(days=WOKEN_DAYS):
        raise Refused("account_unverified")


async def _end_sessions_of_person(person: str, *, store: EphemeralStore) -> None:
    """End the sessions of who has proved to be `person`: before the change, so that none outlives a crash after it."""
    resident = await db.fetch_value("SELECT id FROM resident WHERE person_hash = $1", person)
    if resident is not None:
        await end_sessions_of(resident, store=store)


async def _opened(outcome: _Outcome, *, store: EphemeralStore) -> tuple[Session, Person]:
    """End the sessions that began before the change was committed, and begin the one of who proved to be the person."""
    for resident in outcome.ended:
        await end_sessions_of(resident, store=store)
    epoch = await session_epoch(outcome.opened, store=store)
    session = await resident_session(outcome.opened, epoch=epoch, store=store)
    return session, await person_of(outcome.opened)


__all__ = ["disown", "recover", "settle", "verify"]
