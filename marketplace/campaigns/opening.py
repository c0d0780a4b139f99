"""A campaign is opened, changed, paused and put on again: the operator's verbs. Ending one is in `ending`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from marketplace import chart, clock, db, ledger
from marketplace.campaigns import trail
from marketplace.campaigns.shares import MAX_FUNDERS, WHOLE_BP
from marketplace.campaigns.state import lock_offers, lock_open
from marketplace.cities import CITIES
from marketplace.errors import FieldError, Invalid, Refused
from marketplace.ids import new_id
from marketplace.offers.benefits import LINE

MAX_NAMED = 100

Name = Annotated[str, Meta(max_length=60, pattern=LINE)]
FunderKind = Literal["province", "city", "merchant", "bank", "other"]
PublisherKind = Literal["merchant", "venue", "bank"]


class NewFunder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who pays `share_bp` of each discount, in basis points."""

    name: Name
    kind: FunderKind = "other"
    share_bp: Annotated[int, Meta(ge=1, le=WHOLE_BP)]


class Audience(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who may put offers under a campaign: those named, else publishers of these kinds and cities; none are all."""

    kinds: Annotated[tuple[PublisherKind, ...], Meta(max_length=3)] = ()
    cities: Annotated[tuple[str, ...], Meta(max_length=len(CITIES))] = ()
    publishers: Annotated[tuple[UUID, ...], Meta(max_length=MAX_NAMED)] = ()


class NewCampaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A campaign to be opened: its `funders`, or `funder` for one who pays all."""

    name: Name
    funder: Name | None = None
    funders: Annotated[tuple[NewFunder, ...], Meta(max_length=MAX_FUNDERS)] | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    open_to: Audience = Audience()


class CampaignChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fields to set, each whole."""

    name: Name | UnsetType = UNSET
    funders: Annotated[tuple[NewFunder, ...], Meta(max_length=MAX_FUNDERS)] | UnsetType = UNSET
    starts_at: datetime | None | UnsetType = UNSET
    ends_at: datetime | None | UnsetType = UNSET
    open_to: Audience | UnsetType = UNSET


async def create_campaign(*, name: str, funder: str, actor: str = "system") -> UUID:
    """A campaign of one funder, without a period, that every publisher may join. Raises Invalid."""
    return await open_campaign(NewCampaign(name=name, funder=funder), actor=actor)


async def open_campaign(given: NewCampaign, *, actor: str) -> UUID:
    """A new campaign with an empty budget, open at once if its period has begun. Raises Invalid."""
    campaign, funders = new_id(), given.funders
    if funders is None and given.funder is not None:
        funders = (NewFunder(name=given.funder, share_bp=WHOLE_BP),)
    budget = chart.budget(campaign)
    async with db.transaction():
        errors = _faults(given.starts_at, given.ends_at, funders or ())
        if given.funder is not None and given.funders is not None:
            errors.append(FieldError("funder", "cannot_change"))
        errors += await _faults_of_audience(given.open_to)
        if errors:
            raise Invalid(*errors)
        await ledger.open_and_lock([budget])
        await db.execute(
            """INSERT INTO campaign (id, name, budget_account, created_at, starts_at, ends_at, kinds, cities)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
            campaign, given.name.strip(), budget.id, clock.now(), given.starts_at, given.ends_at,
            list(given.open_to.kinds), list(given.open_to.cities),
        )  # fmt: skip
        await _name_publishers(campaign, given.open_to.publishers)
        await _set_funders(campaign, funders or ())
        await trail.keep(campaign, "created", actor=actor)
    return campaign


async def edit_campaign(campaign: UUID, change: CampaignChange, *, actor: str) -> None:
    """Set what `change` gives. Coupons that are out stay as they are; so do the funders' shares once money came in.

    Raises NotFound, Invalid, Refused `campaign_has_ended`.
    """
    async with db.transaction():
        before = await lock_open(campaign)
        starts_at = before.starts_at if change.starts_at is UNSET else change.starts_at
        ends_at = before.ends_at if change.ends_at is UNSET else change.ends_at
        errors = _faults(starts_at, ends_at, None if change.funders is UNSET else change.funders)
        if change.funders is not UNSET and await _is_other(campaign, change.funders):
            funded = await db.fetch_value("SELECT funded_at FROM campaign WHERE id = $1", campaign)
            if funded is not None:
                errors.append(FieldError("funders", "cannot_change"))
        if change.open_to is not UNSET:
            errors += await _faults_of_audience(change.open_to)
        if errors:
            raise Invalid(*errors)
        await lock_offers(campaign)
        name = before.name if change.name is UNSET else change.name.strip()
        await db.execute("UPDATE campaign SET name = $2, starts_at = $3, ends_at = $4 WHERE id = $1",
                         campaign, name, starts_at, ends_at)  # fmt: skip
        if change.open_to is not UNSET:
            await _open_to(campaign, change.open_to)
        if change.funders is not UNSET and await _is_other(campaign, change.funders):
            await db.execute("DELETE FROM campaign_funder WHERE campaign = $1", campaign)
            await _set_funders(campaign, change.funders)
        await trail.keep(campaign, "changed", actor=actor)


async def pause_campaign(campaign: UUID, *, actor: str) -> None:
    """Nothing of it can be redeemed for a while; coupons that are out are good. Raises NotFound, Refused."""
    await _turn(campaign, "open", "paused", what="paused", actor=actor)


async def resume_campaign(campaign: UUID, *, actor: str) -> None:
    """Put it on again. Raises NotFound, Refused."""
    await _turn(campaign, "paused", "open", what="resumed", actor=actor)


async def _turn(campaign: UUID, before: str, after: str, *, what: str, actor: str) -> None:
    async with db.transaction():
        state = await lock_open(campaign)
        if state.status != before:
            raise Refused("campaign_not_in_state", status=state.status)
        await lock_offers(campaign)
        await db.execute("UPDATE campaign SET status = $2 WHERE id = $1", campaign, after)
        await trail.keep(campaign, what, actor=actor)


def _faults(
    starts_at: datetime | None, ends_at: datetime | None, funders: Sequence[NewFunder] | None
) -> list[FieldError]:
    errors = []
    for field, instant in (("starts_at", starts_at), ("ends_at", ends_at)):
        if instant is not None and instant.tzinfo is None:
            return [FieldError(field, "invalid")]
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        errors.append(FieldError("ends_at", "not_after_start"))
    if funders is not None:
        if not funders:
            errors.append(FieldError("funders", "required"))
        elif sum(funder.share_bp for funder in funders) != WHOLE_BP:
            errors.append(FieldError("funders", "shares_not_whole"))
        elif len({funder.name.strip() for funder in funders}) != len(funders):
            errors.append(FieldError("funders", "repeated"))
    return errors


async def _faults_of_audience(audience: Audience) -> list[FieldError]:
    errors = []
    if not set(audience.cities) <= set(CITIES):
        errors.append(FieldError("open_to.cities", "unknown"))
    known = await db.fetch_value(
        "SELECT count(*) FROM publisher WHERE id = ANY($1)", list(audience.publishers)
    )
    if known != len(set(audience.publishers)):
        errors.append(FieldError("open_to.publishers", "unknown"))
    return errors


async def _open_to(campaign: UUID, audience: Audience) -> None:
    await db.execute("UPDATE campaign SET kinds = $2, cities = $3 WHERE id = $1",
                     campaign, list(audience.kinds), list(audience.cities))  # fmt: skip
    await db.execute("DELETE FROM campaign_publisher WHERE campaign = $1", campaign)
    await _name_publishers(campaign, audience.publishers)


async def _name_publishers(campaign: UUID, publishers: Collection[UUID]) -> None:
    rows = [(campaign, publisher) for publisher in set(publishers)]
    await db.insert_many("campaign_publisher", ("campaign", "publisher"), rows)


async def _is_other(campaign: UUID, funders: Sequence[NewFunder]) -> bool:
    rows = await db.fetch(
        "SELECT name, kind, share_bp FROM campaign_funder WHERE campaign = $1 ORDER BY position", campaign
    )
    return [tuple(row) for row in rows] != [(f.name.strip(), f.kind, f.share_bp) for f in funders]


async def _set_funders(campaign: UUID, funders: Sequence[NewFunder]) -> None:
    rows: list[tuple[Any, ...]] = [
        (new_id(), campaign, position, funder.name.strip(), funder.kind, funder.share_bp)
        for position, funder in enumerate(funders, start=1)
    ]
    await db.insert_many("campaign_funder", ("id", "campaign", "position", "name", "kind", "share_bp"), rows)
    await ledger.open_and_lock([chart.contribution(row[0]) for row in rows])
