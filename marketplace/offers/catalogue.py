"""The catalogue: which offers residents see, and exactly why one of them cannot be taken."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from marketplace import chart, clock, db, ledger
from marketplace.errors import FieldError, Invalid, NotFound
from marketplace.offers import view
from marketplace.offers.benefits import KINDS
from marketplace.offers.eligibility import Eligibility, NoRules, Reason
from marketplace.offers.limits import Counter, counters, resets_at
from marketplace.offers.state import PUBLIC
from marketplace.offers.terms import face_value_fen, open_at
from marketplace.offers.view import OfferView, Record

MAX_LIMIT = 100
MAX_QUERY_LENGTH = 100
_UNSEARCHABLE = re.compile(
    r"[\x00-\x1f\ud800-\udfff]"
)  # what PostgreSQL's text cannot hold, and control characters


class OfferPage(msgspec.Struct, frozen=True):
    """Some of a list, newest first, and the cursor of what follows."""

    items: list[OfferView]
    next_cursor: str | None


# ------------------------------------------------------------------ lists
async def live_offers(
    *, city: str | None = None, kind: str | None = None, publisher: UUID | None = None, q: str | None = None,
    limit: int = 20, cursor: str | None = None, resident: UUID | None = None, affordable: bool = False,
    eligibility: Eligibility | None = None,
) -> OfferPage:  # fmt: skip
    """The offers that are live now (sold out ones among them), judged for `resident` where one is given.

    `q` is looked for in title, summary and publisher's name; `affordable` leaves those the resident has grams
    enough for (without a resident it has no effect). Raises Invalid.
    """
    if kind is not None and kind not in KINDS:
        raise Invalid(FieldError("kind", "unknown"))
    _check_text(city, field="city")
    _check_text(q, field="q")
    now = clock.now()
    conditions: list[tuple[str, Any]] = [
        (
            "o.status IN ('approved', 'live') AND p.status = 'active' AND (o.starts_at IS NULL OR o.starts_at <= ?)",
            now,
        ),
        ("(o.ends_at IS NULL OR o.ends_at > ?)", now),
        (
            """(c.id IS NULL OR (c.status = 'open' AND (c.starts_at IS NULL OR c.starts_at <= ?)
                                AND (c.ends_at IS NULL OR c.ends_at > ?)))""",
            now,
        ),
    ]
    if city is not None:
        conditions.append(("p.city = ?", city))
    if kind is not None:
        conditions.append(("o.kind = ?", kind))
    if publisher is not None:
        conditions.append(("o.publisher = ?", publisher))
    if q is not None and q.strip():
        conditions.append(
            ("(o.title ILIKE ? OR v.terms->>'summary' ILIKE ? OR p.name ILIKE ?)", _like(q.strip()))
        )
    if affordable and resident is not None:
        conditions.append(("(v.terms->>'price_g')::bigint <= ?::bigint", await _available_g(resident)))
    records, next_cursor = await _page(conditions, limit=limit, cursor=cursor)
    return OfferPage(await _judged(records, resident=resident, eligibility=eligibility), next_cursor)


async def publisher_offers(*, publisher: UUID, limit: int = 20, cursor: str | None = None) -> OfferPage:
    """All offers of `publisher`, whatever their state."""
    records, next_cursor = await _page([("o.publisher = ?", publisher)], limit=limit, cursor=cursor)
    return OfferPage(await view.views(records, inside=True), next_cursor)


async def submitted_offers(
    *, limit: int = 20, cursor: str | None = None, city: str | None = None
) -> OfferPage:
    """The offers that wait for the operator of `city`, or of the province."""
    conditions = [("o.status = ?", "submitted"), *([("p.city = ?", city)] if city else [])]
    records, next_cursor = await _page(conditions, limit=limit, cursor=cursor)
    return OfferPage(await view.views(records, inside=True), next_cursor)


# ------------------------------------------------------------------ one offer
async def public_offer(
    offer: UUID, *, resident: UUID | None = None, eligibility: Eligibility | None = None
) -> OfferView:
    """An offer that was approved once, whatever became of it. Raises NotFound for any other."""
    rows = await db.fetch(f"{view.SELECT_OFFERS} WHERE o.id = $1 AND o.status = ANY($2)", offer, PUBLIC)
    return (await _judged([_only(rows)], resident=resident, eligibility=eligibility))[0]


async def publisher_offer(*, publisher: UUID, offer: UUID) -> OfferView:
    """An offer of `publisher` in whatever state. Raises NotFound, for another's too."""
    rows = await db.fetch(f"{view.SELECT_OFFERS} WHERE o.id = $1 AND o.publisher = $2", offer, publisher)
    return (await view.views([_only(rows)], inside=True))[0]


async def require_of_city(offer: UUID, city: str | None) -> None:
    """Raises NotFound unless there is such an offer, of a publisher of `city` where one is given."""
    if not await db.fetch_value(
        """SELECT EXISTS (SELECT 1 FROM offer o JOIN publisher p ON p.id = o.publisher
                          WHERE o.id = $1 AND ($2::text IS NULL OR p.city = $2))""",
        offer, city,
    ):  # fmt: skip
        raise NotFound


def _only(rows: list[db.Row]) -> Record:
    if not rows:
        raise NotFound
    return view.record(rows[0])


# ------------------------------------------------------------------ judging
async def _judged(
    records: Sequence[Record], *, resident: UUID | None, eligibility: Eligibility | None
) -> list[OfferView]:
    shown = await view.views(records)
    if resident is None:
        return shown
    left = {offer.id: offer.stock_left for offer in shown}
    limited = [
        replace(r, shared_limits=tuple(offer.shared_limits)) for r, offer in zip(records, shown, strict=True)
    ]
    found = await judge(limited, left=left, resident=resident, eligibility=eligibility)
    now = clock.now()
    return [_with_reasons(offer, r, found[r.id], at=now) for r, offer in zip(limited, shown, strict=True)]


def _with_reasons(offer: OfferView, record: Record, reasons: list[Reason], *, at: datetime) -> OfferView:
    codes = list(dict.fromkeys(reason.code for reason in reasons))
    resets = {code: until for code in codes if (until := resets_at(code, record.terms, at=at))}
    details = [
        msgspec.structs.replace(reason, facts={"resets_at": resets[reason.code]})
        if reason.code in resets
        else reason
        for reason in reasons
    ]
    return msgspec.structs.replace(
        offer, eligible=not reasons, reasons=codes, reason_details=details, resets=resets
    )


async def judge(
    records: Sequence[Record], *, left: Mapping[UUID, int | None], resident: UUID,
    eligibility: Eligibility | None = None,
) -> dict[UUID, list[Reason]]:  # fmt: skip
    """Why `resident` could not redeem each of `records` now, by the codes that a redemption would be refused with.

    `left` is each offer's stock; `records` carry their shared limits. Shape: offer id → reasons, empty where nothing
    stands in the way. Holds count as used, as they do in a redemption.
    """
    now, accounts = clock.now(), [chart.wallet(resident).id]
    against = {r.id: counters(r.id, r.terms, r.shared_limits, resident=resident, at=now) for r in records}
    for r in records:
        accounts += [counter.account.id for counter in against[r.id]]
        if r.terms.funding.campaign is not None:
            accounts.append(chart.budget(r.terms.funding.campaign).id)
    balances = await ledger.balances(accounts)
    rules = {r.terms.eligibility for r in records if r.terms.eligibility is not None}
    verdicts = await (eligibility or NoRules()).verdicts(resident=resident, rules=rules) if rules else {}
    return {
        r.id: [
            Reason(code=code)
            for code in _reasons(
                r, against[r.id], resident=resident, balances=balances, left=left[r.id], now=now
            )
        ]
        + (verdicts[r.terms.eligibility].reasons if r.terms.eligibility is not None else [])
        for r in records
    }


def _reasons(
    r: Record, against: Sequence[Counter], *, resident: UUID, balances: dict[UUID, ledger.Balance],
    left: int | None, now: datetime,
) -> list[str]:  # fmt: skip
    terms, reasons = r.terms, []
    shown = r.shown(now)
    if shown != "live":
        reasons.append({"approved": "offer_not_started", "ended": "offer_ended"}.get(shown, "offer_not_live"))
    if not open_at(terms.redeem_windows, now):
        reasons.append("outside_redeem_hours")
    if left == 0:
        reasons.append("sold_out")
    reasons += [
        counter.refusal
        for counter in against
        if balances[counter.account.id].counted + counter.amount > counter.cap
    ]
    if balances[chart.wallet(resident).id].available < (terms.price_g or 0):
        reasons.append("insufficient_reductions")
    campaign, value_fen = terms.funding.campaign, face_value_fen(terms) or 0
    if campaign is not None and balances[chart.budget(campaign).id].available < value_fen:
        reasons.append("budget_exhausted")
    return list(dict.fromkeys(reasons))


async def _available_g(resident: UUID) -> int:
    account = chart.wallet(resident).id
    return (await ledger.balances([account]))[account].available


# ------------------------------------------------------------------ paging
async def _page(
    conditions: list[tuple[str, Any]], *, limit: int, cursor: str | None
) -> tuple[list[Record], str | None]:
    """The records that meet all conditions, newest first: one statement, ids as the key, so that ties cannot be."""
    if not 1 <= limit <= MAX_LIMIT:
        raise Invalid(FieldError("limit", "out_of_range"))
    if cursor is not None:
        conditions = [*conditions, ("o.id < ?", _read_cursor(cursor))]
    where = " AND ".join(sql.replace("?", f"${n}") for n, (sql, _) in enumerate(conditions, start=1))
    rows = await db.fetch(
        f"{view.SELECT_OFFERS} WHERE {where} ORDER BY o.id DESC LIMIT {limit + 1}",
        *(value for _, value in conditions),
    )
    records = [view.record(row) for row in rows[:limit]]
    return records, _write_cursor(records[-1].id) if len(rows) > limit else None


def _write_cursor(after: UUID) -> str:
    return base64.urlsafe_b64encode(after.bytes).decode().rstrip("=")


def _read_cursor(cursor: str) -> UUID:
    try:
        after = UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise Invalid(FieldError("cursor", "cursor_invalid")) from error
    if _write_cursor(after) != cursor:
        raise Invalid(FieldError("cursor", "cursor_invalid"))
    return after


def _check_text(given: str | None, *, field: str) -> None:
    if given is not None and (len(given) > MAX_QUERY_LENGTH or _UNSEARCHABLE.search(given)):
        raise Invalid(FieldError(field, "invalid"))


def _like(words: str) -> str:
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
