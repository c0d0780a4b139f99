"""The audit finds what a superuser changes behind the triggers' backs, and names the invariant that broke."""

from __future__ import annotations

import asyncpg
import pytest

from marketplace.audit import INVARIANTS, audit
from marketplace.identity import persons
from marketplace.identity.stores import MemoryStore
from marketplace.offers.terms import Limits
from marketplace.registry import EmbeddedRegistry
from marketplace.settlement import settle
from tests.builders import (
    REAL_NAMES,
    a_campaign,
    a_person,
    a_resident,
    a_till,
    an_id_number,
    an_offer,
    cancel,
    redeem,
    redeemed,
    signed_in,
    verify,
)


async def a_busy_day() -> None:
    """Something of everything: issued, verified, cancelled, fulfilled, settled and waiting; a person come back."""
    campaign = await a_campaign(10_000)
    offer = await an_offer(kind="cash_coupon", campaign=campaign, stock=10, limit=5, stock_per_day=9,
                           budget_fen=9_000, budget_per_day_fen=8_000, limits=Limits(6, 7))  # fmt: skip
    resident, till = await a_resident(), await a_till(of=offer)
    await verify(till, (await redeemed(offer, resident))[1], bill_fen=700)
    await redeem(resident, await an_offer(kind="donation"))
    await redeem(resident, await an_offer(kind="code"))
    await settle(EmbeddedRegistry(), everything=True)
    await verify(till, (await redeemed(offer, resident))[1])
    await cancel(resident, (await redeemed(offer, resident))[0])
    await redeemed(offer, resident)
    store, number = MemoryStore(), an_id_number()
    await a_person("13800000001", number, store=store)
    _, new = await signed_in("13800000002", store=store)
    await persons.recover(resident=new.id, name="张三", id_number=number, real_names=REAL_NAMES, store=store)


async def broken() -> set[str]:
    result = await audit()
    assert result.ok == all(check.ok for check in result.checks)
    assert all(check.ok == (not check.detail) for check in result.checks)
    return {check.name for check in result.checks if not check.ok}


async def test_a_busy_day_is_sound_and_every_invariant_is_checked(database: str) -> None:
    await a_busy_day()
    result = await audit()
    assert result.ok, result
    assert [check.name for check in result.checks] == [name for name, _ in INVARIANTS]


async def test_an_empty_marketplace_is_sound(database: str) -> None:
    assert await broken() == set()


@pytest.mark.parametrize(("tampering", "named"), [
    ("UPDATE ledger_account SET credits_posted = credits_posted + 1 WHERE code = 'wallet'",
     "balances_are_the_sum_of_transfers"),
    ("UPDATE ledger_account SET debits_pending = debits_pending + 1 WHERE code = 'budget'",
     "balances_are_the_sum_of_transfers"),
    ("UPDATE ledger_account SET debits_posted = credits_posted + 9 WHERE code = 'wallet'", "no_account_is_overdrawn"),
    ("UPDATE ledger_account SET asset = 'UNIT' WHERE code = 'consumption'", "transfers_stay_within_an_asset"),
    ("UPDATE ledger_transfer SET amount = amount + 1 WHERE kind = 'credit'", "credits_are_lots"),
    ("UPDATE ledger_transfer SET amount = amount + 1 WHERE phase = 'void'", "transfers_resolve_their_holds"),
    ("UPDATE ledger_transfer SET amount = amount + 1 WHERE kind = 'settle'", "retired_grams_agree_with_the_registry"),
    ("DELETE FROM ledger_transfer WHERE kind = 'settle'", "retired_grams_agree_with_the_registry"),
    ("DELETE FROM ledger_transfer WHERE kind = 'credit'", "credits_are_lots"),
    ("DELETE FROM ledger_transfer WHERE phase = 'post'", "captured_grams_agree_with_the_ledger"),
    ("DELETE FROM ledger_transfer WHERE phase = 'void'", "redemptions_agree_with_their_holds"),
    ("DELETE FROM ledger_transfer WHERE kind = 'fund'", "balances_are_the_sum_of_transfers"),
    ("UPDATE ledger_transfer SET credit_limit = 1 WHERE credit_limit = 10", "limits_hold"),
    ("UPDATE ledger_transfer SET credit_limit = 1 WHERE seq = (SELECT max(seq) FROM ledger_transfer "  # noqa: ISC004
     "WHERE credit_limit = 10)",
     "limits_hold"),
    ("UPDATE ledger_transfer SET credit_limit = 999 WHERE credit_limit = 9000", "limits_hold"),
    ("UPDATE ledger_transfer SET credit_limit = 1 WHERE credit_limit = 6", "limits_hold"),
    *((f"DELETE FROM ledger_transfer WHERE credit_limit = {cap}", "redemptions_count_against_their_limits")
      for cap in (10, 9, 5, 6, 7, 9_000, 8_000)),
    ("UPDATE serial_range SET serials = int8range(lower(serials) + 500000, upper(serials) + 500000)",
     "lots_are_tiled_by_their_serials"),
    ("DELETE FROM serial_range", "lots_are_tiled_by_their_serials"),
    ("UPDATE lot SET assigned_g = assigned_g + 1", "lots_are_tiled_by_their_serials"),
    ("UPDATE lot SET amount_g = amount_g + 1", "credits_are_lots"),
    ("DELETE FROM lot", "the_registry_issued_every_lot"),
    ("UPDATE registry_entry SET amount_g = amount_g + 1 WHERE kind = 'retire'",
     "recorded_consumption_is_in_the_registry"),
    ("UPDATE registry_entry SET amount_g = amount_g + 1 WHERE kind = 'issue'", "the_registry_issued_every_lot"),
    ("DELETE FROM registry_entry WHERE kind = 'retire'", "recorded_consumption_is_in_the_registry"),
    ("DELETE FROM registry_entry WHERE kind = 'issue'", "the_registry_issued_every_lot"),
    ("UPDATE consumption_record SET amount_g = amount_g + 1", "captures_have_one_consumption_record"),
    ("DELETE FROM consumption_record WHERE state = 'pending'", "captures_have_one_consumption_record"),
    ("DELETE FROM consumption_record WHERE state = 'recorded'", "recorded_consumption_is_in_the_registry"),
    ("UPDATE consumption_record SET state = 'pending', receipt = NULL WHERE state = 'recorded'",
     "recorded_consumption_is_in_the_registry"),
    ("UPDATE redemption SET status = 'cancelled', closed_at = now() WHERE status = 'issued'",
     "redemptions_agree_with_their_holds"),
    ("UPDATE redemption SET status = 'cancelled' WHERE status = 'verified'", "captures_have_one_consumption_record"),
    ("UPDATE coupon SET open = NOT open", "coupons_belong_to_redemptions"),
    ("DELETE FROM coupon", "coupons_belong_to_redemptions"),
    ("DELETE FROM pool_code WHERE redemption IS NULL", "pools_have_what_the_ledger_says"),
    ("UPDATE pool_code SET offer = gen_random_uuid() WHERE redemption IS NULL", "pools_have_what_the_ledger_says"),
    ("UPDATE pool_code SET redemption = gen_random_uuid() WHERE redemption IS NULL",
     "redemptions_of_codes_have_one_each"),
    ("DELETE FROM pool_code WHERE redemption IS NOT NULL", "redemptions_of_codes_have_one_each"),
    ("DELETE FROM identity_event WHERE event = 'verified'", "verified_residents_are_persons_with_a_trail"),
    ("UPDATE resident SET person_hash = NULL, verified_at = NULL, birth_year = NULL WHERE person_hash IS NOT NULL",
     "verified_residents_are_persons_with_a_trail"),
    ("UPDATE resident SET person_hash = id::text, verified_at = now(), name = '甲' WHERE closed_at IS NULL",
     "verified_residents_are_persons_with_a_trail"),
    ("DELETE FROM identity_event WHERE event = 'closed'", "closed_residents_have_a_trail_and_nothing_else"),
    ("UPDATE resident SET closed_at = now() WHERE phone IS NULL AND closed_at IS NULL",
     "closed_residents_have_a_trail_and_nothing_else"),
])  # fmt: skip
async def test_tampering_is_found_and_named(tampered: asyncpg.Connection, tampering: str, named: str) -> None:
    await a_busy_day()
    # The constraints hold even for a superuser; who can drop them is still found out.
    await tampered.execute("ALTER TABLE ledger_account DROP CONSTRAINT ledger_account_not_overdrawn")
    try:
        assert await broken() == set()
        touched = await tampered.execute(tampering)
        assert not touched.endswith(" 0")
        assert named in await broken()
    finally:
        await tampered.execute(
            "ALTER TABLE ledger_account ADD CONSTRAINT ledger_account_not_overdrawn "
            "CHECK (NOT limited OR credits_posted - debits_posted - debits_pending >= 0) NOT VALID"
        )
