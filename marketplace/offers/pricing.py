"""What an offer might cost: what live offers ask for a yuan of their face value."""

from __future__ import annotations

from typing import Final, NamedTuple

from marketplace import clock, db
from marketplace.offers.benefits import Kind
from marketplace.offers.terms import MAX_PRICE_G

# The newest are enough: more of them would not move the middle one by much.
_ASKED: Final = """
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY price_g * 100 / value_fen) AS g_per_yuan, count(*) AS offers
    FROM (
        SELECT (v.terms->>'price_g')::bigint AS price_g,
               coalesce(v.terms#>>'{benefit,amount_fen}', v.terms#>>'{benefit,value_fen}',
                        v.terms#>>'{benefit,cap_fen}', v.terms#>>'{benefit,voucher_fen}')::bigint AS value_fen
        FROM offer o
        JOIN offer_version v ON v.offer = o.id AND v.number = o.version
        JOIN publisher p ON p.id = o.publisher
        WHERE o.status IN ('approved', 'live') AND p.status = 'active' AND (o.kind = $1 OR NOT $3)
          AND (o.starts_at IS NULL OR o.starts_at <= $2) AND (o.ends_at IS NULL OR o.ends_at > $2)
        ORDER BY o.id DESC LIMIT 1000
    ) AS live WHERE value_fen > 0
"""


class Suggestion(NamedTuple):
    """A price, what it comes to for a yuan of face value, and of how many live offers that is the middle one.

    `of_kind`: they are of the same kind; else there is none of it, and they are of all kinds.
    """

    price_g: int
    g_per_yuan: int
    offers: int
    of_kind: bool


async def suggested_price(*, kind: Kind, face_value_fen: int | None) -> Suggestion | None:
    """What live offers ask for as much; None where there is no face value, or nothing to compare with."""
    if not face_value_fen:
        return None
    for of_kind in (True, False):
        asked = await db.fetch_row(_ASKED, kind, clock.now(), of_kind)
        assert asked is not None
        if asked["offers"]:
            price_g = rounded(asked["g_per_yuan"] * face_value_fen // 100)
            return Suggestion(min(price_g, MAX_PRICE_G), asked["g_per_yuan"], asked["offers"], of_kind)
    return None


def rounded(amount: int) -> int:
    """`amount` to two digits that count, as people set prices: 1,247 is 1,200. Never below 1."""
    unit: int = 10 ** max(0, len(str(amount)) - 2)
    return max(1, (amount + unit // 2) // unit * unit)


__all__ = ["Suggestion", "rounded", "suggested_price"]
