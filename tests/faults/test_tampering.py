"""Somebody with a database connection: plain statements are refused, and what a superuser forces is found."""

from __future__ import annotations

import asyncpg
import pytest

from tests.faults import books
from tests.faults.conftest import Site
from tests.faults.machines import command, connected

pytestmark = pytest.mark.whole

KEPT = ("ledger_transfer", "idempotency", "offer_version", "serial_range", "registry_entry", "identity_event",
        "activity_record")  # fmt: skip
FORCED = {
    "a transfer's amount": "UPDATE ledger_transfer SET amount = amount + 1 WHERE kind = 'credit'",
    "a transfer that is gone": "DELETE FROM ledger_transfer WHERE kind = 'redeem'",
    "a balance": "UPDATE ledger_account SET credits_posted = credits_posted + 1 WHERE code = 'wallet'",
    "a balance and its transfer": """
        WITH t AS (UPDATE ledger_transfer SET amount = amount + 5 WHERE kind = 'credit' RETURNING credit)
        UPDATE ledger_account SET credits_posted = credits_posted + 5 WHERE id IN (SELECT credit FROM t)""",
    "a lot": "UPDATE lot SET amount_g = amount_g + 1",
    "a redemption's state": "UPDATE redemption SET status = 'cancelled', closed_at = now() WHERE status = 'issued'",
    "a redemption's price": "UPDATE redemption SET price_g = price_g + 1 WHERE status = 'verified'",
    "a consumption record": "DELETE FROM serial_range; DELETE FROM consumption_record",
    "a registry entry": "UPDATE registry_entry SET amount_g = amount_g + 1 WHERE kind = 'retire'",
    "a registry entry that is gone": "DELETE FROM registry_entry WHERE kind = 'issue'",
    "serials": "UPDATE serial_range SET serials = int8range(lower(serials) + 1, upper(serials) + 1)",
    "a coupon that is open again": "UPDATE coupon SET open = NOT open",
}  # fmt: skip


@pytest.mark.parametrize("table", KEPT)
@pytest.mark.parametrize("statement", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "TRUNCATE {0} CASCADE"])
async def test_a_plain_statement_on_what_is_kept_is_refused(site: Site, table: str, statement: str) -> None:
    async with connected(site.url) as connection:
        column = await connection.fetchval(
            "SELECT column_name FROM information_schema.columns WHERE table_name = $1 LIMIT 1", table
        )
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
            await connection.execute(statement.format(table, column))


async def test_balances_move_by_transfers_only(site: Site) -> None:
    async with connected(site.url) as connection:
        for statement in (
            "UPDATE ledger_account SET credits_posted = credits_posted + 1 WHERE code = 'wallet'",
            "DELETE FROM ledger_account",
            "INSERT INTO ledger_account SELECT gen_random_uuid(), 'CO2E_G', 'wallet', NULL, true, 0, 0, 0, 5",
        ):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await connection.execute(statement)


async def test_what_a_superuser_forces_is_found_by_the_audit(site: Site) -> None:
    server = await site.serve()
    crowd = site.crowd(server)
    for n in range(6):
        redeemed = await crowd.ask(crowd.redeeming(n, site.world.offers[0]))
        assert redeemed is not None
        if n % 2:
            await crowd.ask(crowd.verifying(redeemed[1]["coupon"]["code"], redeemed[1]["id"]))
    await command("settle", home=site.home, url=site.url)
    await site.close_books(crowd)
    await server.stop()  # a database that is copied has no other guests

    unnoticed = []
    for what, statement in FORCED.items():
        copy = await site.another()
        async with connected(copy) as connection:
            await connection.execute(f"SET session_replication_role = replica; {statement}")
        if not await books.audited(home=site.home, url=copy):
            unnoticed.append(what)
    assert unnoticed == []
