"""Why a resident could not take an offer, were it live: for an operator who says why they ask, and leaves a trail.

Publishers cannot ask about a resident: they try a rule with facts that they type.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from uuid import UUID

import msgspec

from marketplace import clock, db
from marketplace.errors import FieldError, Invalid, NotFound
from marketplace.ids import new_id
from marketplace.offers import catalogue, view
from marketplace.offers.eligibility import Eligibility, Reason

MAX_PURPOSE: Final = 200


class DryRun(msgspec.Struct, frozen=True):
    """Whether a resident could take the offer now, and if not, why."""

    eligible: bool
    reasons: list[Reason]


async def dry_run(
    offer: UUID, *, resident: UUID, operator: UUID, purpose: str, eligibility: Eligibility
) -> DryRun:
    """Judge `offer` for `resident` as if it were approved. Who asked, of whom and for what is written down first.

    Raises Invalid without a purpose; NotFound: no such offer, or no such resident (closed accounts are none).
    """
    purpose = purpose.strip()
    if not 1 <= len(purpose) <= MAX_PURPOSE or "\x00" in purpose:
        raise Invalid(FieldError("purpose", "invalid" if purpose else "required"))
    row = await db.fetch_row(f"{view.SELECT_OFFERS} WHERE o.id = $1", offer)
    if row is None:
        raise NotFound
    noted = await db.execute(
        """INSERT INTO dry_run (id, operator, resident, offer, purpose, created_at)
           SELECT $1, $2, id, $4, $5, $6 FROM resident WHERE id = $3 AND closed_at IS NULL""",
        new_id(), operator, resident, offer, purpose, clock.now(),
    )  # fmt: skip
    if not noted:
        raise NotFound
    record = view.record(row)
    if record.terms.price_g is None:
        raise Invalid(FieldError("price_g", "required"))
    if record.status in ("draft", "submitted", "rejected"):
        record = replace(record, status="live")
    (record,) = await view.with_shared_limits([record])
    left = await view.stock_left([record], now=clock.now())
    reasons = await catalogue.judge(
        [record], left={offer: left[offer].total}, resident=resident, eligibility=eligibility
    )
    return DryRun(not reasons[offer], reasons[offer])
