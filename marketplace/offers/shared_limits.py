"""Limits on what a resident takes of several offers together: a publisher's over its own, or a campaign's over its own.

An offer may stand under several; all of them hold. What was taken before an offer came under a limit does not count,
and what counted goes on counting when the offer has left it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from marketplace import clock, db
from marketplace.errors import FieldError, Invalid, NotFound, Refused
from marketplace.ids import new_id
from marketplace.offers.benefits import LINE
from marketplace.offers.terms import Units

MAX_OFFERS: Final = 100
MAX_LISTED: Final = 1_000
MAX_PER_OFFER: Final = 8  # of one owner's: each of them is a counter more that a redemption moves

Name = Annotated[str, Meta(max_length=60, pattern=LINE)]
Offers = Annotated[tuple[UUID, ...], Meta(max_length=MAX_OFFERS)]


class SharedLimit(msgspec.Struct, frozen=True, kw_only=True):
    """How much of its offers a resident may take: in all, in a Shanghai day, in a week from Monday. None is unlimited.

    It is its campaign's where one is named, else the offers' publisher's.
    """

    id: UUID
    name: str
    campaign: UUID | None
    per_resident: int | None
    per_resident_per_day: int | None
    per_resident_per_week: int | None


class OwnLimit(SharedLimit, frozen=True, kw_only=True):
    """A limit as its owner sees it. No `offers` are all that its campaign pays for, those to come too."""

    offers: list[UUID] | None
    ended_at: datetime | None


class NewLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A limit to be set. `offers` may be left out for a campaign's: all of its offers."""

    name: Name
    offers: Offers | None = None
    per_resident: Units | None = None
    per_resident_per_day: Units | None = None
    per_resident_per_week: Units | None = None


class LimitChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fields to set, each whole; null lifts a cap."""

    name: Name | UnsetType = UNSET
    offers: Offers | None | UnsetType = UNSET
    per_resident: Units | None | UnsetType = UNSET
    per_resident_per_day: Units | None | UnsetType = UNSET
    per_resident_per_week: Units | None | UnsetType = UNSET


class Owner(NamedTuple):
    """Whose limits are meant: a publisher's or a campaign's."""

    publisher: UUID | None = None
    campaign: UUID | None = None


# ------------------------------------------------------------------ their owner's verbs
async def create_limit(owner: Owner, given: NewLimit, *, actor: str) -> OwnLimit:
    """Set a limit; it holds for whatever is redeemed from now on. Raises Invalid, NotFound (no such campaign)."""
    limit = new_id()
    async with db.transaction():
        await _lock_owner(owner)
        await _check(owner, limit, given)
        await db.execute(
            """INSERT INTO shared_limit (id, publisher, campaign, whole_campaign, name, per_resident,
                                         per_resident_per_day, per_resident_per_week, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
            limit, owner.publisher, owner.campaign, given.offers is None, given.name, given.per_resident,
            given.per_resident_per_day, given.per_resident_per_week, clock.now(),
        )  # fmt: skip
        await _put_under(limit, given.offers or ())
        await _trail(limit, "limit_set", actor=actor)
        return await _own(owner, limit)


async def edit_limit(owner: Owner, limit: UUID, change: LimitChange, *, actor: str) -> OwnLimit:
    """Set what `change` gives: from now on redemptions are judged by it. Raises Invalid, NotFound, Refused
    `limit_has_ended`."""
    async with db.transaction():
        await _lock_owner(owner)
        before = await _open(owner, limit)
        given = {
            name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET
        }
        kept = {name: getattr(before, name) for name in NewLimit.__struct_fields__}
        after = NewLimit(**(kept | given))
        await _check(owner, limit, after)
        await db.execute("DELETE FROM shared_limit_offer WHERE shared_limit = $1 AND offer <> ALL ($2)",
                         limit, list(after.offers or ()))  # fmt: skip
        await _put_under(limit, after.offers or ())
        await db.execute(
            """UPDATE shared_limit SET whole_campaign = $2, name = $3, per_resident = $4, per_resident_per_day = $5,
                                       per_resident_per_week = $6 WHERE id = $1""",
            limit, after.offers is None, after.name, after.per_resident, after.per_resident_per_day,
            after.per_resident_per_week,
        )  # fmt: skip
        await _trail(limit, "limit_changed", actor=actor)
        return await _own(owner, limit)


async def end_limit(owner: Owner, limit: UUID, *, actor: str) -> OwnLimit:
    """Lift a limit for good. Raises NotFound, Refused `limit_has_ended`."""
    async with db.transaction():
        await _lock_owner(owner)
        await _open(owner, limit)
        await _trail(limit, "limit_ended", actor=actor)
        await db.execute("UPDATE shared_limit SET ended_at = $2 WHERE id = $1", limit, clock.now())
        return await _own(owner, limit)


async def own_limits(owner: Owner, *, before: UUID | None, count: int) -> list[OwnLimit]:
    """Up to `count` limits of `owner`, newest first, from those older than `before`; those that have ended too."""
    rows = await db.fetch(
        f"{_OWN} WHERE {_OWNED} AND ($3::uuid IS NULL OR s.id < $3) ORDER BY s.id DESC LIMIT $4",
        owner.publisher, owner.campaign, before, count,
    )  # fmt: skip
    return [OwnLimit(**row) for row in rows]


async def own_limit(owner: Owner, limit: UUID) -> OwnLimit:
    """One of them. Raises NotFound."""
    return await _own(owner, limit)


async def titles_of(owner: Owner) -> dict[UUID, str]:
    """The offers that may stand under a limit of `owner`, newest first, with their titles; those that ended too."""
    rows = await db.fetch(
        f"SELECT id, title FROM offer WHERE id IN ({_OFFERS_OF}) ORDER BY id DESC LIMIT {MAX_LISTED}",  # noqa: S608
        owner.publisher, owner.campaign,
    )  # fmt: skip
    return {row["id"]: row["title"] for row in rows}


# ------------------------------------------------------------------ what a redemption asks
async def limits_over(offers: Mapping[UUID, UUID | None]) -> dict[UUID, list[SharedLimit]]:
    """The limits in force over each of `offers` (with the campaign that pays for it), oldest first."""
    found: dict[UUID, list[SharedLimit]] = {offer: [] for offer in offers}
    if not found:
        return found
    rows = await db.fetch(
        """SELECT m.offer, s.id, s.name, s.campaign, s.per_resident, s.per_resident_per_day, s.per_resident_per_week
           FROM shared_limit_offer m JOIN shared_limit s ON s.id = m.shared_limit
           WHERE m.offer = ANY ($1) AND s.ended_at IS NULL AND NOT s.whole_campaign
           UNION ALL
           SELECT g.offer, s.id, s.name, s.campaign, s.per_resident, s.per_resident_per_day, s.per_resident_per_week
           FROM unnest($1::uuid[], $2::uuid[]) AS g (offer, campaign) JOIN shared_limit s ON s.campaign = g.campaign
           WHERE s.ended_at IS NULL AND s.whole_campaign ORDER BY 2""",
        list(offers), list(offers.values()),
    )  # fmt: skip
    for offer, *limit in rows:
        found[offer].append(SharedLimit(**dict(zip(SharedLimit.__struct_fields__, limit, strict=True))))
    return found


# ------------------------------------------------------------------ inside the transaction
_OWNED: Final = "s.publisher IS NOT DISTINCT FROM $1 AND s.campaign IS NOT DISTINCT FROM $2"
_OWN: Final = """
    SELECT s.id, s.name, s.campaign, s.per_resident, s.per_resident_per_day, s.per_resident_per_week, s.ended_at,
           CASE WHEN NOT s.whole_campaign THEN ARRAY(
               SELECT m.offer FROM shared_limit_offer m WHERE m.shared_limit = s.id ORDER BY m.offer) END AS offers
    FROM shared_limit s"""
_OFFERS_OF: Final = """
    SELECT o.id FROM offer o JOIN offer_version v ON v.offer = o.id AND v.number = o.version
    WHERE o.publisher = $1 OR v.terms #>> '{funding,campaign}' = ($2::uuid)::text"""


async def _lock_owner(owner: Owner) -> None:
    """One who changes limits at a time, for each owner: and the owner's offers in the order of the house."""
    table, whose = ("campaign", owner.campaign) if owner.campaign else ("publisher", owner.publisher)
    locked = await db.fetch_row(f"SELECT 1 FROM {table} WHERE id = $1 FOR NO KEY UPDATE", whose)  # noqa: S608
    if locked is None:
        raise NotFound
    await db.fetch(
        f"SELECT 1 FROM offer WHERE id IN ({_OFFERS_OF}) ORDER BY id FOR NO KEY UPDATE",  # noqa: S608
        owner.publisher, owner.campaign,
    )  # fmt: skip


async def _open(owner: Owner, limit: UUID) -> OwnLimit:
    found = await _own(owner, limit)
    if found.ended_at is not None:
        raise Refused("limit_has_ended")
    return found


async def _own(owner: Owner, limit: UUID) -> OwnLimit:
    row = await db.fetch_row(f"{_OWN} WHERE {_OWNED} AND s.id = $3", owner.publisher, owner.campaign, limit)
    if row is None:
        raise NotFound
    return OwnLimit(**row)


async def _check(owner: Owner, limit: UUID, given: NewLimit) -> None:
    """Raises Invalid with all that is wrong with `given` as the owner's `limit`."""
    errors = []
    if (
        given.per_resident is None
        and given.per_resident_per_day is None
        and given.per_resident_per_week is None
    ):
        errors.append(FieldError("per_resident", "required"))
    errors += await _faults_of_offers(owner, limit, given.offers)
    if errors:
        raise Invalid(*errors)


async def _faults_of_offers(owner: Owner, limit: UUID, offers: Collection[UUID] | None) -> list[FieldError]:
    if not offers and (offers is not None or owner.campaign is None):
        return [FieldError("offers", "required")]
    if offers is not None and len(set(offers)) != len(offers):
        return [FieldError("offers", "repeated")]
    own = await db.fetch(
        f"SELECT 1 FROM offer WHERE id = ANY ($3) AND id IN ({_OFFERS_OF})",  # noqa: S608
        owner.publisher, owner.campaign, list(offers or ()),
    )  # fmt: skip
    if len(own) != len(offers or ()):
        return [FieldError("offers", "unknown")]
    others = await db.fetch(
        f"""SELECT 1 FROM shared_limit s LEFT JOIN shared_limit_offer m ON m.shared_limit = s.id
            WHERE {_OWNED} AND s.ended_at IS NULL AND s.id <> $4 AND (s.whole_campaign OR m.offer = ANY ($3))
            GROUP BY m.offer HAVING count(*) >= {MAX_PER_OFFER}""",  # noqa: S608
        owner.publisher, owner.campaign, list(offers or ()), limit,
    )  # fmt: skip
    return [FieldError("offers", "in_too_many_limits")] if others else []


async def _put_under(limit: UUID, offers: Iterable[UUID]) -> None:
    await db.execute(
        """INSERT INTO shared_limit_offer (shared_limit, offer) SELECT $1, o FROM unnest($2::uuid[]) AS o
           ON CONFLICT DO NOTHING""",
        limit, list(offers),
    )  # fmt: skip


async def _trail(limit: UUID, event: str, *, actor: str) -> None:
    """An event of every offer that the limit is over by name."""
    rows = await db.fetch(
        "SELECT offer FROM shared_limit_offer WHERE shared_limit = $1 ORDER BY offer", limit
    )
    await db.execute(
        """INSERT INTO offer_event (id, offer, event, actor, created_at)
           SELECT id, offer, $3, $4, $5 FROM unnest($1::uuid[], $2::uuid[]) AS e (id, offer)""",
        [new_id() for _ in rows], [row["offer"] for row in rows], event, actor, clock.now(),
    )  # fmt: skip
