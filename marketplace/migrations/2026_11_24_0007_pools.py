"""Pools: sealing what is there takes the key, which no SQL has, so a step in Python follows the file's."""

from itertools import groupby
from operator import itemgetter

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from marketplace import chart, clock
from marketplace.db import DB, sql_migration
from marketplace.ids import new_id
from marketplace.pools.sealing import fingerprint, key_digest, sealed_code

ID = "2026_11_24_0007_pools"
VERSION = "1.38.0"
DESCRIPTION = "sealed pools of codes"


async def forwards() -> MigrationManager:
    manager = sql_migration(__file__, app_name="marketplace", description=DESCRIPTION)
    manager.add_raw(_seal)
    return manager


async def _seal() -> None:
    connection = DB.current_transaction.get().connection
    codes = await connection.fetch(
        """SELECT c.id, c.offer, c.code, c.redemption, o.publisher FROM pool_code_readable c
           JOIN offer o ON o.id = c.offer ORDER BY c.offer, c.id"""
    )
    if codes:
        await connection.execute("UPDATE installation SET pool_key_digest = $1", key_digest())
    for offer, group in groupby(codes, key=itemgetter("offer")):
        await _pool(connection, offer, list(group))
    await connection.execute("DROP TABLE pool_code_readable")
    await _answers_without_codes(connection)


async def _pool(connection, offer, codes) -> None:
    """The codes of one offer, as one upload; the ledger counts those that nobody has."""
    upload, now, account = new_id(), clock.now(), chart.pool(offer)
    free = sum(code["redemption"] is None for code in codes)
    await connection.execute(
        """INSERT INTO code_upload (id, offer, publisher, source, name, state, size_bytes, received_bytes, lines,
                                    loaded, added, created_at, created_by, finished_at)
           VALUES ($1, $2, $3, 'sent', '', 'loaded', 0, 0, $4, $4, $4, $5, 'migration', $5)""",
        upload, offer, codes[0]["publisher"], len(codes), now,
    )  # fmt: skip
    await connection.copy_records_to_table(
        "pool_code",
        columns=["id", "offer", "upload", "fingerprint", "sealed", "redemption"],
        records=[
            (c["id"], offer, upload, fingerprint(offer, c["code"]), sealed_code(c["id"], c["code"]), c["redemption"])
            for c in codes
        ],
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO code_pool (offer, publisher, account, low) VALUES ($1, $2, $3, $4)",
        offer, codes[0]["publisher"], account.id, free == 0,
    )  # fmt: skip
    if free:
        await connection.executemany(
            """INSERT INTO ledger_account (id, asset, code, owner, limited) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT DO NOTHING""",
            [(a.id, a.asset, a.code, a.owner, a.limited) for a in (account, chart.UNITS)],
        )
        await connection.execute(
            """INSERT INTO ledger_transfer (id, group_id, debit, credit, amount, kind, phase, subject, created_at)
               VALUES ($1, $2, $3, $4, $5, 'fill', 'posted', $6, $7)""",
            new_id(), new_id(), chart.UNITS.id, account.id, free, upload, now,
        )  # fmt: skip


async def _answers_without_codes(connection) -> None:
    """A stored answer names a coupon of the pool and no longer its code. The table is written anew, so that the codes
    are gone from its file, and only where there are any: it may be large, and is locked meanwhile."""
    there = await connection.fetchval(
        """SELECT EXISTS (SELECT FROM idempotency
                          WHERE answer #>> '{offer,kind}' = 'code' AND answer #>> '{coupon,code}' IS NOT NULL)"""
    )
    if not there:
        return
    await connection.execute(
        """ALTER TABLE idempotency ALTER COLUMN answer TYPE json USING CASE
                WHEN answer #>> '{offer,kind}' = 'code' AND answer #>> '{coupon,code}' IS NOT NULL
                THEN json_build_object(
                'id', answer -> 'id', 'status', answer -> 'status', 'offer', answer -> 'offer',
                'price_g', answer -> 'price_g', 'cash_fen', answer -> 'cash_fen',
                'coupon', json_build_object('code', NULL, 'expires_at', answer #> '{coupon,expires_at}'),
                'payment', answer -> 'payment') ELSE answer END"""
    )
