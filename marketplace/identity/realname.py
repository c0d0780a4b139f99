"""Who somebody is by law: the check of a name against a resident identity number, and what is kept of the number.

A number is never kept, only a hash of it under this installation's own key, which tells persons apart and nothing else,
and the year of birth, for offers that are meant for an age.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple, Protocol, runtime_checkable
from uuid import UUID

import httpx
import msgspec
from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from marketplace import clock, db
from marketplace.errors import FieldError, Invalid, Refused, Unavailable
from marketplace.identity.stores import EphemeralStore

CHECKS_PER_DAY: Final = 5
OLD_ENOUGH_YEARS: Final = 14  # below, a guardian must consent: Personal Information Protection Law, Art. 31
LONGEST_NAME: Final = 50
NEVER_MATCHES: Final = "张不符"
_NUMBER: Final = re.compile(r"[0-9]{17}[0-9X]", re.ASCII)
_DAY_SECONDS: Final = 86_400


@runtime_checkable  # the web framework checks what it injects
class IdentityCheck(Protocol):
    """Asks whoever knows (the police, through a licensed provider) whether name and number are one person's."""

    async def check(self, name: str, id_number: str) -> bool:
        """Whether the person with `id_number` (GB 11643, normalised) is called `name`. Raises Unavailable."""


class _Answer(msgspec.Struct):
    match: bool


class HttpIdentityCheck:
    """A provider that takes `{"name", "id_number"}` as JSON at one address and answers `{"match": bool}`."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url
        self._client = client

    async def check(self, name: str, id_number: str) -> bool:
        """One attempt of at most five seconds; an answer that is no plain yes or no is none."""
        try:
            answer = await self._client.post(
                self._url, json={"name": name, "id_number": id_number}, timeout=5.0
            )
            answer.raise_for_status()
            return msgspec.json.decode(answer.content, type=_Answer).match
        except (httpx.HTTPError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unavailable(what="identity") from error


class SandboxIdentityCheck:
    """Asks nobody: every well-formed number matches every name, except the name 张不符, which never does."""

    demonstration = True  # outside one nobody is taken at their word

    async def check(self, name: str, id_number: str) -> bool:
        """Whether `name` is another than 张不符. Raises Unavailable."""
        if not self.demonstration:
            raise Unavailable(what="identity")
        return name != NEVER_MATCHES


@dataclass(frozen=True, slots=True)
class RealNames:
    """The real-name check and the key under which persons are hashed: the same for as long as the database lives."""

    check: IdentityCheck
    key: str = field(repr=False)


class Claim(NamedTuple):
    """Who somebody says they are, well-formed and old enough."""

    name: str
    id_number: str


class Identified(NamedTuple):
    """A person whose name and number were found to belong together. Of the birth date only the year is told on."""

    person: str
    name: str
    birth_year: int


def claim(name: str, id_number: str) -> Claim:
    """What was typed, normalised. Raises Invalid, and Refused `guardian_needed` under 14 years."""
    name = " ".join(name.split())
    number = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", id_number)).upper()
    born = _born(number)
    wrong = []
    if not 0 < len(name) <= LONGEST_NAME:
        wrong.append(FieldError("name", "out_of_range" if name else "required"))
    if born is None:
        wrong.append(FieldError("id_number", "not_an_id_number" if number else "required"))
    if wrong:
        raise Invalid(*wrong)
    assert born is not None
    today = clock.local_day(clock.now())
    if today.year - born.year - ((today.month, today.day) < (born.month, born.day)) < OLD_ENOUGH_YEARS:
        raise Refused("guardian_needed")
    return Claim(name, number)


def _born(number: str) -> date | None:
    """The birth date in a number of GB 11643; None when its form, check digit (ISO 7064 MOD 11-2) or date is wrong.

    Its place is left to the check: stdnum's `validate` compares it with the places of the birth year, but it names the
    place of the first registration, so that it would refuse whoever was born before their county got its code.
    """
    if _NUMBER.fullmatch(number) is None or ric.calc_check_digit(number) != number[-1]:
        return None
    try:
        born = ric.get_birth_date(number)
    except ValidationError:
        return None
    return born if date(1880, 1, 1) <= born <= clock.local_day(clock.now()) else None


async def identified(
    claimed: Claim, *, resident: UUID, real_names: RealNames, store: EphemeralStore
) -> Identified:
    """The person that `claimed` is found to be, on behalf of the account `resident`.

    Five tries per account and day, counted before the check is asked, so that it is no oracle. Raises Refused
    (`identity_mismatch`, `rate_limited`), Unavailable.
    """
    if await store.count(f"real-name:{resident}", ttl_seconds=_DAY_SECONDS) > CHECKS_PER_DAY:
        raise Refused("rate_limited", retry_after=3600)
    if not await real_names.check.check(claimed.name, claimed.id_number):
        raise Refused("identity_mismatch")
    person = hmac.digest(real_names.key.encode(), f"person:{claimed.id_number}".encode(), hashlib.sha256)
    return Identified(person.hex(), claimed.name, int(claimed.id_number[6:10]))


async def is_the_key(key: str) -> bool:
    """Whether the persons of this database are hashed under `key`; while there are none, any key becomes theirs."""
    digest = hmac.digest(key.encode(), b"the key of this installation", hashlib.sha256)
    await db.execute(
        """UPDATE installation SET person_key_digest = $1
           WHERE NOT EXISTS (SELECT 1 FROM resident WHERE person_hash IS NOT NULL)""",
        digest,
    )
    known: bytes | None = await db.fetch_value("SELECT person_key_digest FROM installation")
    return digest == known


def masked_name(name: str | None) -> str | None:
    """`张三` as `张*`."""
    return name[:1] + "*" * max(1, len(name) - 1) if name else None


__all__ = [
    "CHECKS_PER_DAY",
    "NEVER_MATCHES",
    "Claim",
    "HttpIdentityCheck",
    "Identified",
    "IdentityCheck",
    "RealNames",
    "SandboxIdentityCheck",
    "claim",
    "identified",
    "is_the_key",
    "masked_name",
]
