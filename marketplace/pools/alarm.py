"""The alarm of a pool: its publisher is told, once, that no more codes are left than they said.

A pool is `low` from that moment until it has more again; the change to `low` and the event are in the transaction that
took the code.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from marketplace import chart, clock, db, ledger
from marketplace.errors import FieldError, Invalid
from marketplace.ids import new_id
from marketplace.pools.counting import Pool, pool_of
from marketplace.pools.opening import open_pool

MAX_ALARM_AT: Final = 1_000_000

# One event an offer, however many redemptions of a batch it went down by. It refuses nobody.
_TELL: Final = """
    WITH offers AS (
        SELECT DISTINCT ON (g.offer) g.offer, g.event, g.at
        FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS g (offer, event, at)),
    crossed AS (
        UPDATE code_pool p SET low = true
        FROM offers o, ledger_account a
        WHERE p.offer = o.offer AND a.id = p.account AND NOT p.low AND a.credits_posted - a.debits_posted <= p.alarm_at
        RETURNING p.offer, p.publisher, p.alarm_at, o.event, o.at, a.credits_posted - a.debits_posted AS remaining),
    told AS (
        INSERT INTO publisher_event (id, publisher, kind, subject, facts, created_at)
        SELECT event, publisher, 'pool.low', offer,
               jsonb_build_object('offer', offer, 'left', remaining, 'alarm_at', alarm_at), at
        FROM crossed)
    SELECT g.n FROM unnest($1::uuid[]) WITH ORDINALITY AS g (offer, n)"""


def alarms(offer: UUID, *, at: datetime) -> ledger.Step:
    """The step of a group that takes a code of `offer`: its publisher is told if that was one of the last."""
    return ledger.Step(_TELL, (offer, new_id(), at), "unavailable")


async def settle_alarm(offer: UUID) -> None:
    """After codes were added or taken out, in the same transaction: `low` is what the count says, told if it became so.

    The pool's account is locked by whoever moved it.
    """
    await db.execute(
        """UPDATE code_pool p SET low = false FROM ledger_account a
           WHERE p.offer = $1 AND p.low AND a.id = p.account AND a.credits_posted - a.debits_posted > p.alarm_at""",
        offer,
    )
    await db.fetch(_TELL, [offer], [new_id()], [clock.now()])


async def set_alarm(*, publisher: UUID, offer: UUID, alarm_at: int) -> Pool:
    """Tell the publisher when no more than `alarm_at` codes are left; at once, if it is so already.

    Raises NotFound, Refused `offer_has_no_pool`, Invalid.
    """
    if not 0 <= alarm_at <= MAX_ALARM_AT:
        raise Invalid(FieldError("alarm_at", "out_of_range"))
    async with db.transaction():
        await open_pool(publisher=publisher, offer=offer)
        await ledger.open_and_lock([chart.pool(offer)])
        await db.execute("UPDATE code_pool SET alarm_at = $2 WHERE offer = $1", offer, alarm_at)
        await settle_alarm(offer)
        return await pool_of(offer)


async def low_pools(offers: Sequence[UUID]) -> set[UUID]:
    """Those of `offers` whose pool was filled once and is low."""
    rows = await db.fetch(
        """SELECT p.offer FROM code_pool p WHERE p.offer = ANY($1) AND p.low
             AND EXISTS (SELECT 1 FROM code_upload u WHERE u.offer = p.offer AND u.added > 0)""",
        list(offers),
    )
    return {row["offer"] for row in rows}
