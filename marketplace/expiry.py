"""What runs out by time: coupons with their holds, and lots."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec

from marketplace import clock, db, ledger
from marketplace.chart import EXPIRED, wallet
from marketplace.ids import new_id
from marketplace.lots import OpenLot, Slice, lock_open_lots, lock_wallets, record_slices, registry_accounts
from marketplace.redemptions import released
from marketplace.registry import Registry, Retirement

GRACE: Final = timedelta(days=30)  # for grams that a coupon gave back after their lot had lapsed
_BATCH: Final = 200


class Expired(msgspec.Struct, frozen=True):
    """What a run ended: coupons, lots of which something lapsed, and the grams that lapsed."""

    coupons: int
    lots: int
    lapsed_g: int


async def expire(registry: Registry) -> Expired:
    """Expire every coupon that is due, giving back what it held; then let due lots lapse, of what is available."""
    coupons = await _expire_coupons()
    lots = lapsed_g = 0
    after = UUID(int=0)
    while residents := await _residents_with_due_lots(after):
        slices = await _lapse(residents, registry)
        lots += len({piece.lot for piece in slices})
        lapsed_g += sum(_grams(piece) for piece in slices)
        after = residents[-1]
    return Expired(coupons, lots, lapsed_g)


async def _expire_coupons() -> int:
    """Many coupons at once: one that is verified or cancelled at the same moment is left to that."""
    count = 0
    now = clock.now()
    after = (now - timedelta(days=36_500), UUID(int=0))
    while due := await db.fetch(
        """SELECT redemption, expires_at FROM coupon WHERE open AND expires_at <= $1
             AND (expires_at, redemption) > ($2, $3) ORDER BY expires_at, redemption LIMIT $4""",
        now, *after, _BATCH,
    ):  # fmt: skip
        groups = await released(
            [row["redemption"] for row in due], as_status="expired", at=now, refusal="coupon_already_used"
        )
        outcomes = await ledger.submit_all(groups)
        count += sum(isinstance(outcome, ledger.Answered) for outcome in outcomes)
        after = (due[-1]["expires_at"], due[-1]["redemption"])
    return count


async def _residents_with_due_lots(after: UUID) -> list[UUID]:
    rows = await db.fetch(
        """SELECT DISTINCT resident FROM lot WHERE expires_at <= $1 AND assigned_g < amount_g AND resident > $2
           ORDER BY resident LIMIT $3""",
        clock.now(), after, _BATCH,
    )  # fmt: skip
    return [row["resident"] for row in rows]


async def _lapse(residents: Sequence[UUID], registry: Registry) -> list[Slice]:
    """Let the due lots of `residents` lapse, in one transaction; wallets are locked before lots."""
    now = clock.now()
    async with db.transaction():
        await lock_wallets(residents)
        lots = await lock_open_lots(residents)
        spoken_for = await _spoken_for(residents)
        slices = {
            resident: lapsing([lot for lot in lots[resident] if lot.expires_at <= now], spoken_for[resident])
            for resident in residents
        }
        slices = {resident: pieces for resident, pieces in slices.items() if pieces}
        await record_slices([piece for pieces in slices.values() for piece in pieces])
        outcomes = await ledger.apply([
            ledger.Group(
                legs=[ledger.Transfer(debit=wallet(resident), credit=EXPIRED, amount=sum(map(_grams, pieces)),
                                      kind="lapse", refusal="insufficient_reductions")],
                at=now,
            )
            for resident, pieces in slices.items()
        ])  # fmt: skip
        assert all(isinstance(outcome, ledger.Answered) for outcome in outcomes), "what lapses is available"
        accounts = await registry_accounts(slices.keys())
        await registry.retire([
            Retirement(id=new_id(), account=accounts[resident], counterparty=None, purpose="expiry",
                       serials=tuple(piece.serials for piece in pieces))
            for resident, pieces in slices.items()
        ])  # fmt: skip
    return [piece for pieces in slices.values() for piece in pieces]


def lapsing(due: Sequence[OpenLot], spoken_for_g: int) -> list[Slice]:
    """What lapses of the lots `due` when `spoken_for_g` grams must stay: everything above that, oldest first."""
    lapse_g = sum(lot.left_g for lot in due) - spoken_for_g
    slices = []
    for lot in due:
        taken = min(lot.left_g, lapse_g)
        if taken > 0:
            slices.append(Slice(lot.id, lot.cut(taken), None))
            lapse_g -= taken
    return slices


async def _spoken_for(residents: Sequence[UUID]) -> dict[UUID, int]:
    """Grams of each resident that do not lapse: held, captured without serials yet, or given back within the grace.

    The grace belongs to what was taken while its lot was good: taking and cancelling again does not renew it.
    """
    rows = await db.fetch(
        """SELECT r.id,
                  coalesce((SELECT debits_pending FROM ledger_account WHERE id = r.wallet), 0)
                + coalesce((SELECT sum(amount_g) FROM consumption_record c
                            WHERE c.resident = r.id AND c.state = 'pending'), 0)
                + coalesce((SELECT sum(price_g) FROM redemption d WHERE d.resident = r.id AND d.closed_at > $2
                              AND d.status IN ('cancelled', 'expired')
                              AND EXISTS (SELECT 1 FROM lot l WHERE l.resident = r.id AND l.assigned_g < l.amount_g
                                          AND l.expires_at > d.created_at AND l.expires_at <= d.closed_at)), 0) AS grams
           FROM unnest($1::uuid[], $3::uuid[]) AS r (id, wallet)""",
        list(residents), clock.now() - GRACE, [wallet(resident).id for resident in residents],
    )  # fmt: skip
    return {row["id"]: int(row["grams"]) for row in rows}


def _grams(piece: Slice) -> int:
    return piece.serials[1] - piece.serials[0]
