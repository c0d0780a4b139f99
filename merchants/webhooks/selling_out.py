"""That an offer is sold out stands in no row: it is looked for, and noted once, until it has something left again."""

from __future__ import annotations

from typing import Final

from marketplace import clock, db
from marketplace.ids import new_id
from marketplace.offers import view

_BY_THOSE_WHO_ASK: Final = """
    WHERE o.status = 'live' AND o.publisher IN (
        SELECT publisher FROM webhook_endpoint WHERE enabled AND 'offer.sold_out' = ANY(events))"""


async def watch_stock() -> None:
    """Tell the publishers who asked for it of the offers that have nothing left since the last time."""
    rows = await db.fetch(view.SELECT_OFFERS + _BY_THOSE_WHO_ASK)
    records = [view.record(row) for row in rows]
    left = await view.stock_left(records, now=clock.now())
    out = [record.id for record in records if left[record.id].total == 0]
    async with db.transaction():
        await db.execute(
            "DELETE FROM webhook_sold_out WHERE offer = ANY($1) AND NOT offer = ANY($2)",
            [record.id for record in records], out,
        )  # fmt: skip
        told = await db.fetch(
            """INSERT INTO webhook_sold_out (offer) SELECT * FROM unnest($1::uuid[])
               ON CONFLICT DO NOTHING RETURNING offer""",
            sorted(out),
        )
        await db.execute(
            """INSERT INTO publisher_event (id, publisher, kind, subject, facts, created_at)
               SELECT t.id, o.publisher, 'offer.sold_out', o.id, jsonb_build_object('offer_id', o.id), $3
               FROM unnest($1::uuid[], $2::uuid[]) AS t (id, offer) JOIN offer o ON o.id = t.offer""",
            [new_id() for _ in told], [row["offer"] for row in told], clock.now(),
        )  # fmt: skip
