"""Codes from before they were sealed: the migration seals them, counts them, and leaves none that can be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
from piccolo.apps.migrations.commands.forwards import run_forwards

from marketplace import db, ledger, pools
from marketplace.audit import audit
from marketplace.ids import new_id
from marketplace.pools.giving import with_code
from tests.builders import a_key
from tests.faults.machines import opened
from tests.marketplace.pools.filling import codes_in

BEFORE = "2026_11_24_0003_batches"


@pytest.fixture
async def old(migrated: str) -> AsyncIterator[None]:
    """A database as it was before, to be migrated."""
    admin = await asyncpg.connect(migrated)
    await admin.execute("CREATE DATABASE before_pools TEMPLATE template0")
    url = migrated.replace("/postgres?", "/before_pools?")
    try:
        async with opened(url):
            await run_forwards("marketplace", migration_id=BEFORE)
            yield
    finally:
        await admin.execute("DROP DATABASE before_pools WITH (FORCE)")
        await admin.close()


async def an_old_pool(resident: UUID, redemption: UUID) -> UUID:
    """Three codes, one of which was given out and stands in an answer."""
    publisher, offer, version = new_id(), new_id(), new_id()
    terms = {
        "kind": "code",
        "title": "月卡",
        "price_g": 100,
        "benefit": {"value_fen": 500},
        "coupon_valid_days": 30,
    }
    await db.execute(
        """INSERT INTO publisher (id, kind, name, city, registry_account, created_at)
           VALUES ($1, 'merchant', '书店', '420100', $1, now())""",
        publisher,
    )
    await db.execute(
        """INSERT INTO offer (id, publisher, status, version, kind, created_at)
           VALUES ($1, $2, 'live', 1, 'code', now())""",
        offer, publisher,
    )  # fmt: skip
    await db.execute(
        """INSERT INTO offer_version (id, offer, publisher, number, terms, created_at, created_by)
           VALUES ($1, $2, $3, 1, $4, now(), 'test')""",
        version, offer, publisher, terms,
    )  # fmt: skip
    await db.execute(
        """INSERT INTO redemption (id, resident, offer, offer_version, publisher, status, price_g, cash_fen, created_at,
                                   closed_at)
           VALUES ($1, $2, $3, $4, $5, 'fulfilled', 100, 0, now(), now())""",
        redemption, resident, offer, version, publisher,
    )  # fmt: skip
    for code, holder in (("OLD-1", None), ("OLD-2", redemption), ("OLD-3", None)):
        await db.execute(
            "INSERT INTO pool_code (id, offer, code, redemption) VALUES ($1, $2, $3, $4)",
            new_id(), offer, code, holder,
        )  # fmt: skip
    return offer


def the_answer(redemption: UUID, offer: UUID, *, kind: str, code: str) -> dict[str, object]:
    return {
        "id": str(redemption), "status": "fulfilled", "offer": {"id": str(offer), "title": "月卡", "kind": kind},
        "price_g": 100, "cash_fen": 0, "coupon": {"code": code, "expires_at": "2030-01-01T00:00:00Z"}, "payment": None,
    }  # fmt: skip


async def test_what_was_there_is_sealed_counted_and_answered_as_before(old: None) -> None:
    redemption, resident = new_id(), new_id()
    await db.execute(
        "INSERT INTO resident (id, registry_account, created_at) VALUES ($1, $1, now())", resident
    )
    offer = await an_old_pool(resident, redemption)
    first = the_answer(redemption, offer, kind="code", code="OLD-2")
    other = the_answer(new_id(), new_id(), kind="gift", code="123456789012")
    for name, answer in (("first", first), ("other", other)):
        key = a_key(resident, name)
        async with db.transaction():
            assert await ledger.remember(key, answer, at=await db.fetch_value("SELECT now()"))

    await run_forwards("all")

    assert await codes_in(offer) == ["OLD-1", "OLD-2", "OLD-3"]
    pool = await pools.pool_of(offer)
    assert (pool.codes, pool.given, pool.left, pool.low) == (3, 1, 2, False)
    assert await db.fetch_value("SELECT to_regclass('pool_code_readable')") is None
    stored = await db.fetch("SELECT answer::text AS answer FROM idempotency")
    assert not any("OLD-" in row["answer"] for row in stored)
    for name, answer in (("first", first), ("other", other)):
        known = await ledger.answered(a_key(resident, name))
        assert known is not None
        assert list(known.answer) == list(answer)
        assert await with_code(dict(known.answer)) == answer
    checks = {check.name: check.ok for check in (await audit()).checks}
    assert checks["pools_have_what_the_ledger_says"]
    assert checks["redemptions_of_codes_have_one_each"]
    publisher = await db.fetch_value("SELECT publisher FROM offer WHERE id = $1", offer)
    report = await pools.add_codes(publisher=publisher, offer=offer, codes=["OLD-1", "OLD-2", "NEW"])
    assert (report.added, report.refused) == (1, [(1, "repeated"), (2, "repeated")])
