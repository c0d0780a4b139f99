"""Passkeys (W3C Web Authentication, level 3): a key pair on somebody's own device, which signs in by itself.

A passkey needs the device's holder to prove who they are, so that it is two factors at once. A challenge is good once,
for five minutes, and for what it was made for; a passkey is good at the site that it was made for.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
import webauthn
from webauthn.helpers import (
    options_to_json,
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from marketplace import clock, db
from marketplace.errors import FieldError, Invalid, NotFound, Refused
from marketplace.identity.holders import Holder, codes_with_first_factor, forget_codes_without_factor
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import Principal, Session, begin_session
from marketplace.ids import new_id

MAX_PASSKEYS: Final = 20
MAX_NAME_LENGTH: Final = 40
TRIES_PER_ADDRESS: Final = 60
_TRIES_SECONDS: Final = 900
_CHALLENGE_SECONDS: Final = 300
_MALFORMED: Final = (WebAuthnException, ValueError, KeyError, TypeError, RecursionError)


class Passkey(msgspec.Struct, frozen=True):
    """One of a holder's passkeys."""

    id: UUID
    name: str
    created_at: datetime
    last_used_at: datetime | None


class Site(msgspec.Struct, frozen=True):
    """Where passkeys are used: the host's name and the whole origin (`https://example.org`)."""

    host: str
    origin: str


async def passkeys_of(holder: Holder) -> list[Passkey]:
    """The passkeys of `holder`, oldest first."""
    rows = await db.fetch(
        "SELECT id, name, created_at, last_used_at FROM passkey WHERE holder = $1 ORDER BY id", holder.id
    )
    return [Passkey(**row) for row in rows]


async def registration_options(holder: Holder, *, login: str, site: Site, store: EphemeralStore) -> str:
    """What a browser needs to make a passkey, as JSON. Raises Unavailable."""
    known = await db.fetch("SELECT credential_id FROM passkey WHERE holder = $1", holder.id)
    options = webauthn.generate_registration_options(
        rp_id=site.host, rp_name="楚碳 chutan", user_id=holder.id.bytes, user_name=login,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, require_resident_key=True,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=row["credential_id"]) for row in known],
    )  # fmt: skip
    await store.set(_key(options.challenge), holder.id.bytes, ttl_seconds=_CHALLENGE_SECONDS)
    return options_to_json(options)


async def register(
    holder: Holder, credential: str, *, name: str, site: Site, store: EphemeralStore
) -> list[str]:
    """Keep the passkey that a browser has made; answers recovery codes if these are the first.

    Raises Invalid (`name`), Refused (passkey_refused, too_many), Unavailable.
    """
    name = _name(name)
    try:
        parsed = parse_registration_credential_json(credential)
        challenge = parse_client_data_json(parsed.response.client_data_json).challenge
        if await store.take(_key(challenge)) != holder.id.bytes:
            raise Refused("passkey_refused")
        made = webauthn.verify_registration_response(
            credential=parsed, expected_challenge=challenge, expected_rp_id=site.host,
            expected_origin=site.origin, require_user_verification=True,
        )  # fmt: skip
    except _MALFORMED as error:
        raise Refused("passkey_refused") from error
    async with db.transaction():
        kept = await db.execute(
            """INSERT INTO passkey (id, holder, role, credential_id, public_key, sign_count, site, name, created_at)
               SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
               WHERE (SELECT count(*) FROM passkey WHERE holder = $2) < $10
               ON CONFLICT (credential_id) DO NOTHING""",
            new_id(), holder.id, holder.role, made.credential_id, made.credential_public_key, made.sign_count,
            site.host, name, clock.now(), MAX_PASSKEYS,
        )  # fmt: skip
        if not kept:
            raise Refused("passkey_refused")
        return await codes_with_first_factor(holder)


async def sign_in_options(*, site: Site, address: str, store: EphemeralStore) -> str:
    """What a browser needs to sign in by a passkey of whoever is there, as JSON.

    Raises Refused `rate_limited`, Unavailable.
    """
    await _count(f"passkey-options:{address}", store)
    options = webauthn.generate_authentication_options(
        rp_id=site.host, user_verification=UserVerificationRequirement.REQUIRED
    )
    await store.set(_key(options.challenge), b"sign-in", ttl_seconds=_CHALLENGE_SECONDS)
    return options_to_json(options)


async def holder_of(credential: str, *, role: str, site: Site, address: str, store: EphemeralStore) -> UUID:
    """Who signs in by what a browser has signed. Raises Refused (unauthenticated, rate_limited), Unavailable."""
    await _count(f"passkey-address:{address}", store)
    try:
        parsed = parse_authentication_credential_json(credential)
        challenge = parse_client_data_json(parsed.response.client_data_json).challenge
        if await store.take(_key(challenge)) != b"sign-in":
            raise Refused("unauthenticated")
        known = await db.fetch_row(
            """SELECT id, holder, public_key, sign_count FROM passkey
               WHERE credential_id = $1 AND role = $2 AND site = $3""",
            parsed.raw_id, role, site.host,
        )  # fmt: skip
        if known is None or parsed.response.user_handle != known["holder"].bytes:
            raise Refused("unauthenticated")
        signed = webauthn.verify_authentication_response(
            credential=parsed, expected_challenge=challenge, expected_rp_id=site.host,
            expected_origin=site.origin, credential_public_key=known["public_key"],
            credential_current_sign_count=known["sign_count"], require_user_verification=True,
        )  # fmt: skip
    except _MALFORMED as error:
        raise Refused("unauthenticated") from error
    return await _used(known, signed.new_sign_count)


async def operator_passkey_sign_in(
    credential: str, *, site: Site, address: str, store: EphemeralStore
) -> Session:
    """Begin the session of the operator who signed. Raises Refused (unauthenticated, rate_limited), Unavailable."""
    operator = await holder_of(credential, role="operator", site=site, address=address, store=store)
    return await begin_session(Principal("operator", str(operator)), store=store)


async def _used(known: db.Row, sign_count: int) -> UUID:
    """Count the use: a copy of the device would come with a count that was there already."""
    used = await db.execute(
        """UPDATE passkey SET sign_count = $2, last_used_at = $3
           WHERE id = $1 AND (sign_count < $2 OR (sign_count = 0 AND $2 = 0))""",
        known["id"], sign_count, clock.now(),
    )  # fmt: skip
    if not used:
        raise Refused("unauthenticated")
    return UUID(int=known["holder"].int)


async def rename(holder: Holder, *, passkey: UUID, name: str) -> None:
    """Call a passkey otherwise. Raises Invalid, NotFound."""
    changed = await db.execute(
        "UPDATE passkey SET name = $3 WHERE id = $2 AND holder = $1", holder.id, passkey, _name(name)
    )
    if not changed:
        raise NotFound


async def remove(holder: Holder, *, passkey: UUID) -> None:
    """From now on this passkey signs nobody in. Raises NotFound."""
    async with db.transaction():
        if not await db.execute("DELETE FROM passkey WHERE id = $2 AND holder = $1", holder.id, passkey):
            raise NotFound
        await forget_codes_without_factor(holder)


async def _count(key: str, store: EphemeralStore) -> None:
    if await store.count(key, ttl_seconds=_TRIES_SECONDS) > TRIES_PER_ADDRESS:
        raise Refused("rate_limited", retry_after=60)


def _name(given: str) -> str:
    name = given.strip()
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise Invalid(FieldError("name", "invalid" if name else "required"))
    return name


def _key(challenge: bytes) -> str:
    return f"webauthn:{challenge.hex()}"


__all__ = [
    "MAX_PASSKEYS",
    "Passkey",
    "Site",
    "holder_of",
    "operator_passkey_sign_in",
    "passkeys_of",
    "register",
    "registration_options",
    "remove",
    "rename",
    "sign_in_options",
]
