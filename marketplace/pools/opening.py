"""An offer's pool, for whoever fills, counts or watches it: locked, and known to be its publisher's."""

from __future__ import annotations

from uuid import UUID

from marketplace import chart, db
from marketplace.errors import NotFound, Refused


async def open_pool(*, publisher: UUID, offer: UUID) -> None:
    """Lock the offer, for one filling at a time, and make its pool if there is none; in the open transaction.

    Redemptions do not wait for this lock. Raises NotFound, Refused `offer_has_no_pool`.
    """
    kind = await db.fetch_value(
        "SELECT kind FROM offer WHERE id = $1 AND publisher = $2 FOR NO KEY UPDATE", offer, publisher
    )
    if kind is None:
        raise NotFound
    if kind != "code":
        raise Refused("offer_has_no_pool")
    await db.execute(
        "INSERT INTO code_pool (offer, publisher, account) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        offer, publisher, chart.pool(offer).id,
    )  # fmt: skip


async def lock_offer(offer: UUID) -> None:
    """The lock that comes before the pool's account and before uploads, for who knows the pool."""
    await db.fetch("SELECT 1 FROM offer WHERE id = $1 FOR NO KEY UPDATE", offer)
