"""The life of an offer: draft, submitted, approved, live, paused, ended. Each verb is one transaction and one event.

A publisher's verbs take `publisher`: an offer of another does not exist for them. Every write happens under the lock
of the offer's row, so that of two who act at once the second sees what the first did.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from marketplace import clock, db, pools
from marketplace.campaigns.joining import fault_of
from marketplace.deeds import record_deed, stated
from marketplace.errors import FieldError, Invalid, NotFound, Refused
from marketplace.ids import new_id
from marketplace.offers import view
from marketplace.offers.differences import differences
from marketplace.offers.eligibility import Eligibility, NoRules
from marketplace.offers.shared_limits import SharedLimit, limits_over
from marketplace.offers.state import PUBLIC, Shown, Status
from marketplace.offers.terms import Change, Terms, capture, changed, check_whole, new_terms, terms_from
from marketplace.offers.view import OfferView, Record

MAX_KEPT_TERMS = 10_000


@dataclass(frozen=True, slots=True)
class LiveOffer:
    """An offer that can be redeemed now, and the version of its terms that a redemption is taken under."""

    id: UUID
    version: UUID
    publisher: UUID
    terms: Terms
    status: Shown
    limits_revision: int
    shared_limits: tuple[SharedLimit, ...]


# ------------------------------------------------------------------ the publisher's verbs
async def create_draft(
    *, publisher: UUID, change: Change, actor: str, offer: UUID | None = None
) -> OfferView:
    """A new draft of what `change` gives; only the kind is required. Raises Invalid, NotFound.

    Its id may have been given out before, as `offer`: then whoever comes second with it finds a draft that is there.
    """
    terms, offer = new_terms(change), offer or new_id()
    async with db.transaction():
        if await db.fetch_row("SELECT 1 FROM publisher WHERE id = $1", publisher) is None:
            raise NotFound
        made = await db.execute(
            """INSERT INTO offer (id, publisher, status, version, title, kind, starts_at, ends_at, created_at)
               VALUES ($1, $2, 'draft', 1, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING""",
            offer, publisher, terms.title or "", terms.kind, terms.starts_at, terms.ends_at, clock.now(),
        )  # fmt: skip
        if not made:
            raise Refused("offer_edited_meanwhile")
        await _keep_version(offer, terms, actor=actor)
        await _keep_event(offer, "created", actor=actor)
        return await _shown(offer)


async def edit(
    *, publisher: UUID, offer: UUID, change: Change, actor: str,
    eligibility: Eligibility | None = None, cash_allowed: bool = False, seen: int | None = None,
) -> OfferView:  # fmt: skip
    """Set the fields that `change` gives: a new version of the terms; coupons already out keep theirs.

    Once approved the terms must stay whole, and what was approved to be paid stays: the kind, who funds it, and the
    benefit where a campaign does. Who has `seen` an older version undoes nothing that was set since then. Raises
    Invalid, NotFound, Refused `offer_not_in_state` (submitted or ended), `offer_edited_meanwhile` (with the fields).
    """
    async with db.transaction():
        before = await _locked(offer, publisher=publisher)
        after = await _after(before, change, eligibility=eligibility, cash_allowed=cash_allowed)
        await _require_seen(before, after, seen)
        if after != before.terms:
            await _set_terms(offer, after, actor=actor)
            await _keep_event(offer, "edited", actor=actor)
        return await _shown(offer)


async def proposed(
    *, publisher: UUID, offer: UUID, change: Change, eligibility: Eligibility | None = None
) -> tuple[Terms, Terms]:
    """The terms in force, and what `change` would make of them; nothing is changed. Raises as `edit`."""
    async with db.transaction():
        before = await _locked(offer, publisher=publisher)
        return before.terms, await _after(before, change, eligibility=eligibility)


async def submit(
    *,
    publisher: UUID,
    offer: UUID,
    actor: str,
    eligibility: Eligibility | None = None,
    cash_allowed: bool = False,
) -> OfferView:
    """Hand a draft (or a rejected offer) to the operator. Raises Invalid with all that is missing or wrong."""
    async with db.transaction():
        before = await _locked(offer, publisher=publisher)
        _require_active(before)
        _require(before, {"draft", "rejected"})
        whole = await _whole(
            offer, before.terms, publisher=publisher, eligibility=eligibility, cash_allowed=cash_allowed,
            joining=before.terms.funding.campaign,
        )  # fmt: skip
        if whole != before.terms:
            await _set_terms(offer, whole, actor=actor)
        return await _move(offer, "submitted", event="submitted", actor=actor)


async def pause(*, publisher: UUID, offer: UUID, actor: str) -> OfferView:
    """Take a live offer off the shelf for a while; coupons already out are good."""
    async with db.transaction():
        _require(await _locked(offer, publisher=publisher), {"live"})
        return await _move(offer, "paused", event="paused", actor=actor)


async def resume(*, publisher: UUID, offer: UUID, actor: str) -> OfferView:
    """Put a paused offer back."""
    async with db.transaction():
        before = await _locked(offer, publisher=publisher)
        _require_active(before)
        _require(before, {"paused"})
        return await _move(offer, "live", event="resumed", actor=actor)


async def end(*, publisher: UUID, offer: UUID, actor: str) -> OfferView:
    """End an approved, live or paused offer for good; coupons already out are good."""
    async with db.transaction():
        _require(await _locked(offer, publisher=publisher), {"approved", "live", "paused"})
        return await _move(offer, "ended", event="ended", actor=actor)


# ------------------------------------------------------------------ the operator's verbs
async def approve(*, offer: UUID, actor: str, city: str | None = None) -> OfferView:
    """Admit a submitted offer: it is live at once if its window has begun. Another city's than `city` is not found."""
    async with db.transaction():
        before = await _locked(offer, city=city)
        _require(before, {"submitted"})
        _require_active(before)
        begun = before.terms.starts_at is None or before.terms.starts_at <= clock.now()
        await _record_deed(before, "approve_offer", actor=actor)
        return await _move(offer, "live" if begun else "approved", event="approved", actor=actor)


async def reject(*, offer: UUID, reason: str, actor: str, city: str | None = None) -> OfferView:
    """Send a submitted offer back with a reason, 1 to 500 characters, that the publisher reads. `city` as above."""
    reason = stated(reason)
    async with db.transaction():
        before = await _locked(offer, city=city)
        _require(before, {"submitted"})
        await _record_deed(before, "reject_offer", actor=actor, reason=reason)
        return await _move(offer, "rejected", event="rejected", actor=actor, reason=reason)


async def end_all(*, publisher: UUID, actor: str) -> None:
    """Inside the transaction that closes a publisher: its offers end, and what waits for the operator waits no more."""
    now = clock.now()
    for before, to in ((("approved", "live", "paused"), "ended"), (("submitted",), "rejected")):
        rows = await db.fetch(
            "UPDATE offer SET status = $3 WHERE publisher = $1 AND status = ANY($2) RETURNING id",
            publisher,
            before,
            to,
        )
        await db.insert_many("offer_event", ("id", "offer", "event", "actor", "created_at"),
                             [(new_id(), row["id"], to, actor, now) for row in rows])  # fmt: skip


# ------------------------------------------------------------------ what a redemption asks
async def live_terms(offer: UUID) -> LiveOffer:
    """The terms in force of an offer that can be redeemed now; its stock is the ledger's to judge.

    They may be a moment old: a redemption requires that they still are in force, and forgets them if they are not.
    Raises NotFound for what residents never saw; Refused `offer_not_started`, `offer_ended`, `offer_not_live`.
    """
    record = _in_force.get(offer)
    if record is None or record.shown(clock.now()) != "live":
        record = _in_force[offer] = await _public(offer)
        if len(_in_force) > MAX_KEPT_TERMS:
            del _in_force[next(iter(_in_force))]
    shown = record.shown(clock.now())
    refusal = {"approved": "offer_not_started", "ended": "offer_ended", "paused": "offer_not_live"}.get(shown)
    if refusal is not None:
        raise Refused(refusal, starts_at=record.starts_at(), ends_at=record.ends_at())
    return LiveOffer(record.id, record.version, record.publisher.id, record.terms, shown, record.limits_revision,
                     record.shared_limits)  # fmt: skip


_in_force: dict[UUID, Record] = {}


def forget_terms(offer: UUID) -> None:
    """They turned out to be in force no more: the next one asks afresh."""
    _in_force.pop(offer, None)


async def _public(offer: UUID) -> Record:
    row = await db.fetch_row(f"{view.SELECT_OFFERS} WHERE o.id = $1 AND o.status = ANY($2)", offer, PUBLIC)
    if row is None:
        raise NotFound
    record = view.record(row)
    # After the revision that they are of: if they change in between, the redemption finds out, and asks again.
    over = await limits_over({offer: record.terms.funding.campaign})
    return replace(record, shared_limits=tuple(over[offer]))


# ------------------------------------------------------------------ inside the transaction
async def _locked(offer: UUID, *, publisher: UUID | None = None, city: str | None = None) -> Record:
    # The lock comes first and the reading in a statement of its own: after a wait, a join in the locking statement
    # would look for the new version number on the old snapshot, and find nothing.
    locked = await db.fetch_row(
        """SELECT 1 FROM offer WHERE id = $1 AND ($2::uuid IS NULL OR publisher = $2)
             AND ($3::text IS NULL OR publisher IN (SELECT id FROM publisher WHERE city = $3)) FOR NO KEY UPDATE""",
        offer, publisher, city,
    )  # fmt: skip
    if locked is None:
        raise NotFound
    return await _read(offer)


def _require(record: Record, allowed: Collection[Shown]) -> Shown:
    shown = record.own(clock.now())
    if shown not in allowed:
        raise Refused("offer_not_in_state", status=shown)
    return shown


async def _after(
    before: Record, change: Change, *, eligibility: Eligibility | None, cash_allowed: bool = False
) -> Terms:
    shown = _require(before, {"draft", "rejected", "approved", "live", "paused"})
    after = changed(before.terms, change)
    if shown != "draft" and after.kind != before.terms.kind:
        raise Invalid(FieldError("kind", "cannot_change"))
    if shown in {"draft", "rejected"}:
        return after
    _require_same_payer(before.terms, after)
    return await _whole(
        before.id, after, publisher=before.publisher.id, eligibility=eligibility, cash_allowed=cash_allowed
    )


async def _require_seen(before: Record, after: Terms, seen: int | None) -> None:
    if seen is None or seen == before.number:
        return
    stored = await db.fetch_value(
        "SELECT terms FROM offer_version WHERE offer = $1 AND number = $2", before.id, seen
    )
    if stored is None:
        raise Invalid(FieldError("version", "unknown"))
    meanwhile = {one.field for one in differences(terms_from(stored), before.terms)}
    undone = [one.field for one in differences(before.terms, after) if one.field in meanwhile]
    if undone:
        raise Refused("offer_edited_meanwhile", fields=undone)


def _require_active(record: Record) -> None:
    # For a kind answer: nothing is redeemed of a publisher that is not active, whatever its offers say.
    if record.publisher_status == "suspended":
        raise Refused("publisher_suspended")


async def _record_deed(before: Record, deed: str, *, actor: str, reason: str | None = None) -> None:
    await record_deed(actor=actor, deed=deed, object_kind="offer", object_id=before.id, city=before.publisher_city,
                      reason=reason)  # fmt: skip


def _require_same_payer(before: Terms, after: Terms) -> None:
    # The operator approved whose money it is; where that is a campaign's, how much of it one coupon may cost, too.
    errors = []
    if after.funding != before.funding:
        errors.append(FieldError("funding", "cannot_change"))
    if before.funding.campaign is not None:
        if after.benefit != before.benefit:
            errors.append(FieldError("benefit", "cannot_change"))
        if _raised(before.budget_fen, after.budget_fen):
            errors.append(FieldError("budget_fen", "cannot_raise"))
        if _raised(before.budget_per_day_fen, after.budget_per_day_fen):
            errors.append(FieldError("budget_per_day_fen", "cannot_raise"))
    if errors:
        raise Invalid(*errors)


def _raised(before: int | None, after: int | None) -> bool:
    return before is not None and (after is None or after > before)


async def _whole(
    offer: UUID, terms: Terms, *, publisher: UUID, eligibility: Eligibility | None, cash_allowed: bool,
    joining: UUID | None = None,
) -> Terms:  # fmt: skip
    """`terms` with its stores settled, if nothing keeps it from being offered, nor from `joining` a campaign.

    Raises Invalid with all that does.
    """
    own = [
        row["id"]
        for row in await db.fetch("SELECT id FROM store WHERE publisher = $1 ORDER BY id", publisher)
    ]
    whole = terms
    if terms.stores is None and capture(terms) == "on_verification":
        whole = changed(terms, Change(stores=tuple(own)))
    errors = check_whole(whole, cash_allowed=cash_allowed)
    if not set(whole.stores or ()) <= set(own):
        errors.append(FieldError("stores", "unknown"))
    if joining is not None and (fault := await fault_of(joining, publisher=publisher)):
        errors.append(FieldError("funding.campaign", fault))
    if whole.kind == "code" and not await pools.has_codes(offer):
        errors.append(FieldError("codes", "required"))
    if whole.eligibility is not None:
        errors += (eligibility or NoRules()).check(whole.eligibility)
    if errors:
        raise Invalid(*errors)
    return whole


async def _set_terms(offer: UUID, terms: Terms, *, actor: str) -> None:
    forget_terms(offer)
    await db.execute(
        """UPDATE offer SET version = version + 1, title = $2, kind = $3, starts_at = $4, ends_at = $5
           WHERE id = $1""",
        offer, terms.title or "", terms.kind, terms.starts_at, terms.ends_at,
    )  # fmt: skip
    await _keep_version(offer, terms, actor=actor)


async def _keep_version(offer: UUID, terms: Terms, *, actor: str) -> None:
    await db.execute(
        """INSERT INTO offer_version (id, offer, publisher, number, terms, created_at, created_by)
           SELECT $1, id, publisher, version, $3, $4, $5 FROM offer WHERE id = $2""",
        new_id(), offer, terms, clock.now(), actor,
    )  # fmt: skip


async def _move(offer: UUID, to: Status, *, event: str, actor: str, reason: str | None = None) -> OfferView:
    forget_terms(offer)
    await db.execute("UPDATE offer SET status = $2, reason = $3 WHERE id = $1", offer, to, reason)
    await _keep_event(offer, event, actor=actor, reason=reason)
    return await _shown(offer)


async def _keep_event(offer: UUID, event: str, *, actor: str, reason: str | None = None) -> None:
    at: datetime = clock.now()
    await db.execute(
        "INSERT INTO offer_event (id, offer, event, actor, reason, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        new_id(), offer, event, actor, reason, at,
    )  # fmt: skip


async def _shown(offer: UUID) -> OfferView:
    return (await view.views([await _read(offer)], inside=True))[0]


async def _read(offer: UUID) -> Record:
    rows = await db.fetch(f"{view.SELECT_OFFERS} WHERE o.id = $1", offer)
    return view.record(rows[0])
