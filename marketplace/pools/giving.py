"""Giving a code out: the ledger says whether there is one, under the lock of the pool's account.

Whoever has taken a unit of the account holds its lock until the commit, so that there is a free code for each of them
and nobody else is after it: no code is ever reserved, and nobody is told `sold_out` for a code that comes back.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from marketplace import chart, db, ledger
from marketplace.pools.alarm import alarms
from marketplace.pools.sealing import unsealed_code

NO_CODE: Final = (
    "unavailable_pool"  # all that the ledger still counts have expired: they are to be taken out first
)

# The codes that run out first go first. As many of an offer's as are asked for, one for each.
_GIVE: Final = """
    WITH asked AS (
        SELECT g.offer, g.redemption, g.at, g.n, row_number() OVER (PARTITION BY g.offer ORDER BY g.n) AS place
        FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) WITH ORDINALITY AS g (offer, redemption, at, n)),
    wanted AS (SELECT offer, max(at) AS at, count(*) AS codes FROM asked GROUP BY offer),
    free AS (
        SELECT w.offer, f.id, row_number() OVER (PARTITION BY w.offer ORDER BY f.expires_at, f.id) AS place
        FROM wanted w CROSS JOIN LATERAL (
            SELECT p.id, p.expires_at FROM pool_code p
            WHERE p.offer = w.offer AND p.redemption IS NULL AND (p.expires_at IS NULL OR p.expires_at > w.at)
            ORDER BY p.expires_at, p.id LIMIT w.codes) AS f)
    UPDATE pool_code c SET redemption = a.redemption
    FROM asked a JOIN free f ON f.offer = a.offer AND f.place = a.place
    WHERE c.offer = a.offer AND c.id = f.id AND c.redemption IS NULL RETURNING a.n"""


def code_leg(redemption: UUID, offer: UUID) -> ledger.Transfer:
    """The leg of a redemption that takes a code: refused `sold_out` when there is none left."""
    return ledger.Transfer(
        debit=chart.pool(offer), credit=chart.UNITS, amount=1, kind="redeem", subject=redemption,
        refusal="sold_out",
    )  # fmt: skip


def code_steps(redemption: UUID, offer: UUID, *, at: datetime) -> list[ledger.Step]:
    """What the same group changes: the code is the redemption's, and its publisher is told if few are left."""
    return [ledger.Step(_GIVE, (offer, redemption, at), NO_CODE), alarms(offer, at=at)]


async def with_code(answer: dict[str, Any]) -> dict[str, Any]:
    """A redemption's answer with the code that it was given.

    Answers are stored without it, so that no code is at rest but sealed; other kinds' are left as they are.
    """
    if answer.get("offer", {}).get("kind") != "code":
        return answer
    row = await db.fetch_row(
        "SELECT id, sealed, expires_at FROM pool_code WHERE offer = $1 AND redemption = $2",
        UUID(answer["offer"]["id"]), UUID(answer["id"]),
    )  # fmt: skip
    assert row is not None, "a redemption of an offer of codes has a code"
    expires_at: str = answer["coupon"]["expires_at"]
    if row["expires_at"] is not None:
        expires_at = min(expires_at, instant(row["expires_at"]), key=datetime.fromisoformat)
    return {
        **answer,
        "coupon": {"code": unsealed_code(row["id"], row["sealed"]), "expires_at": expires_at},
    }


def instant(at: datetime) -> str:
    """As answers show it (RFC 3339)."""
    return at.isoformat().replace("+00:00", "Z")
