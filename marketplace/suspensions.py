"""Suspending a publisher, reinstating it, closing it for good: and what becomes of the coupons that are out.

| | active | suspended, coupons `kept` | suspended, coupons `given_back` | closed |
|---|---|---|---|---|
| residents redeem | yes | no, its offers are paused | no | no, its offers have ended |
| coupons out | good | good until they expire | cancelled, their grams released | there are none |
| tills, devices, registers | verify, undo | verify, undo | undo | are nobody |
| staff | all | all but submitting and resuming offers | the same | read what became of it |

Whoever is suspended with `kept` may be suspended with `given_back` later, never the other way round. Coupons are given
back behind the suspension, many at a time; whatever is done first to a coupon, a verification or that, counts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec

from marketplace import clock, db, ledger
from marketplace.deeds import record_deed, stated
from marketplace.errors import NotFound, Refused
from marketplace.ids import new_id
from marketplace.matters import open_matters
from marketplace.offers.lifecycle import end_all
from marketplace.redemptions import REVERSAL_WINDOW, released

CouponsOut = Literal["kept", "given_back"]
_BATCH: Final = 200
# So long a coupon may come back: by a till that undoes, or a redemption that was under way.
_STILL_COMING: Final = REVERSAL_WINDOW + timedelta(minutes=1)


# ------------------------------------------------------------------ the operator's verbs
async def suspend(
    *, publisher: UUID, coupons_out: CouponsOut, reason: str, actor: str, city: str | None = None
) -> None:
    """Take all of the publisher's offers off the shelf; `coupons_out` says what becomes of the coupons that are out.

    Raises Invalid without a reason; NotFound, for one that is not of `city` too; Refused `publisher_not_active`, and
    `publisher_suspended` when it is suspended so already.
    """
    reason = stated(reason)
    async with db.transaction():
        row = await _locked(publisher, city)
        if row["status"] not in ("active", "suspended"):
            raise Refused("publisher_not_active")
        if row["status"] == "suspended" and (row["coupons_out"] == "given_back" or coupons_out == "kept"):
            raise Refused("publisher_suspended")
        until = clock.now() + _STILL_COMING if coupons_out == "given_back" else None
        await _set(publisher, "suspended", coupons_out, until)
        await _keep(publisher, "suspended", coupons_out, reason, actor)
        await record_deed(actor=actor, deed=f"suspend_{coupons_out}", object_kind="publisher", object_id=publisher,
                          city=row["city"], reason=reason)  # fmt: skip


async def reinstate(*, publisher: UUID, reason: str, actor: str, city: str | None = None) -> None:
    """Let a suspended publisher publish again: its offers are as they were, and coupons not yet given back are good.

    Raises Invalid, NotFound, Refused `publisher_not_suspended`.
    """
    reason = stated(reason)
    async with db.transaction():
        row = await _locked(publisher, city)
        _require_suspended(row)
        await _set(publisher, "active", None, None)
        await _keep(publisher, "reinstated", None, reason, actor)
        await record_deed(actor=actor, deed="reinstate", object_kind="publisher", object_id=publisher, city=row["city"],
                          reason=reason)  # fmt: skip


async def close(*, publisher: UUID, reason: str, actor: str, city: str | None = None) -> None:
    """Close a suspended publisher for good, once nothing of it is open. Its offers end, its tills are nobody.

    Raises Invalid, NotFound, Refused `publisher_not_suspended`, `publisher_has_open_matters` with how much of what.
    """
    reason = stated(reason)
    async with db.transaction():
        row = await _locked(publisher, city)
        _require_suspended(row)
        matters = await open_matters(publisher)
        if matters.any:
            raise Refused("publisher_has_open_matters", coupons_out=matters.coupons_out, unsettled=matters.unsettled,
                          owed_fen=matters.owed_fen)  # fmt: skip
        await _set(publisher, "closed", "given_back", clock.now() + _STILL_COMING)
        await end_all(publisher=publisher, actor=actor)
        await _keep(publisher, "closed", None, reason, actor)
        await record_deed(actor=actor, deed="close", object_kind="publisher", object_id=publisher, city=row["city"],
                          reason=reason)  # fmt: skip


async def _locked(publisher: UUID, city: str | None) -> db.Row:
    row = await db.fetch_row(
        """SELECT status, city, coupons_out FROM publisher WHERE id = $1 AND ($2::text IS NULL OR city = $2)
           FOR UPDATE""",
        publisher, city,
    )  # fmt: skip
    if row is None:
        raise NotFound
    return row


def _require_suspended(row: db.Row) -> None:
    if row["status"] != "suspended":
        raise Refused("publisher_not_suspended")


async def _set(publisher: UUID, status: str, coupons_out: CouponsOut | None, until: object) -> None:
    await db.execute(
        "UPDATE publisher SET status = $2, coupons_out = $3, gives_back_until = $4 WHERE id = $1",
        publisher, status, coupons_out, until,
    )  # fmt: skip


async def _keep(publisher: UUID, event: str, coupons_out: CouponsOut | None, reason: str, actor: str) -> None:
    await db.execute(
        """INSERT INTO publisher_standing (id, publisher, event, coupons_out, reason, actor, created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7)""",
        new_id(), publisher, event, coupons_out, reason, actor, clock.now(),
    )  # fmt: skip


# ------------------------------------------------------------------ coupons that are given back
async def give_back_due() -> int:
    """Give back the coupons out of every publisher that was suspended so; answers how many. Again, it changes nothing.

    A publisher is done with when nothing was left after everything that was under way has come.
    """
    count = 0
    for row in await db.fetch(
        "SELECT id, gives_back_until FROM publisher WHERE gives_back_until IS NOT NULL ORDER BY id"
    ):
        began = clock.now()
        left, given_back = await _give_back(row["id"])
        count += given_back
        if not left and began > row["gives_back_until"]:
            await db.execute(
                "UPDATE publisher SET gives_back_until = NULL WHERE id = $1 AND gives_back_until = $2",
                row["id"], row["gives_back_until"],
            )  # fmt: skip
    return count


_STILL_GIVES_BACK: Final = """
    SELECT g.n FROM unnest($1::uuid[]) WITH ORDINALITY AS g (publisher, n)
    JOIN publisher p ON p.id = g.publisher AND p.coupons_out = 'given_back'"""
_NOTICE: Final = ledger.Relation(
    "holder_notice", ("redemption", "resident", "kind", "amount_g", "created_at"), rank=2
)


async def _give_back(publisher: UUID) -> tuple[int, int]:
    """How many coupons were out, and how many of them were given back."""
    found, count, after = 0, 0, UUID(int=0)
    while open_ones := await db.fetch(
        """SELECT id, resident, price_g FROM redemption
           WHERE publisher = $1 AND status IN ('issued', 'awaiting_payment') AND id > $2 ORDER BY id LIMIT $3""",
        publisher, after, _BATCH,
    ):  # fmt: skip
        after, found = open_ones[-1]["id"], found + len(open_ones)
        count += await _released(publisher, {row["id"]: row for row in open_ones})
    return found, count


async def _released(publisher: UUID, open_ones: dict[UUID, db.Row]) -> int:
    now = clock.now()
    groups = await released(list(open_ones), as_status="cancelled", at=now, refusal="coupon_already_used")
    outcomes = await ledger.submit_all([
        msgspec.structs.replace(
            group,
            requires=[ledger.Step(_STILL_GIVES_BACK, (publisher,), "publisher_not_suspended")],
            inserts=[notice(of["id"], of, "given_back", at=now)],
        )
        for group in groups
        for of in (open_ones[UUID(group.answer["id"])],)
    ])  # fmt: skip
    return sum(isinstance(outcome, ledger.Answered) for outcome in outcomes)


def notice(
    redemption: UUID, of: db.Row, kind: Literal["given_back", "clawed_back"], *, at: object
) -> ledger.Insert:
    """What the holder of `redemption` will read: its coupon was ended by somebody else, and what that gave back."""
    return ledger.Insert(_NOTICE, (redemption, of["resident"], kind, of["price_g"], at))


__all__ = ["CouponsOut", "close", "give_back_due", "notice", "reinstate", "suspend"]
