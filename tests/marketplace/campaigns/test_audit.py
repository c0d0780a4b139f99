"""What somebody did to a campaign's books behind our back is found."""

from __future__ import annotations

import asyncpg
import pytest

from marketplace.audit import audit
from tests.builders import a_resident, an_offer, redeem
from tests.marketplace.campaigns.test_campaigns import of_three


async def broken() -> set[str]:
    return {check.name for check in (await audit()).checks if not check.ok}


@pytest.mark.parametrize(
    ("tampering", "named"),
    [
        ("DELETE FROM campaign_funder WHERE position = 2", "campaign_shares_are_of_the_whole"),
        ("UPDATE campaign_funder SET share_bp = share_bp - 1 WHERE position = 1", "campaign_shares_are_of_the_whole"),
        ("UPDATE campaign_funder SET share_bp = CASE position WHEN 1 THEN 4000 WHEN 2 THEN 4000 ELSE 2000 END",
         "funders_paid_their_shares"),
        ("UPDATE ledger_transfer SET amount = amount + 2 WHERE kind = 'fund' AND amount = 3000",
         "funders_paid_their_shares"),
        ("UPDATE ledger_transfer SET kind = 'gift' WHERE kind = 'fund'", "budgets_pay_coupons_and_nothing_else"),
        ("UPDATE ledger_transfer SET kind = 'gift' WHERE kind = 'redeem'", "budgets_pay_coupons_and_nothing_else"),
    ],
)  # fmt: skip
async def test_tampering_with_a_campaign_is_found_and_named(
    tampered: asyncpg.Connection, tampering: str, named: str
) -> None:
    campaign = await of_three(10_000)
    await redeem(await a_resident(), await an_offer(kind="cash_coupon", campaign=campaign))
    assert await broken() == set()
    assert await tampered.execute(tampering) not in ("UPDATE 0", "DELETE 0")
    assert named in await broken()
