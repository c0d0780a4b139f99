"""Loading what was uploaded, batch by batch, by whichever process is there.

A batch takes its lines out of what is kept and puts their codes into the pool in one transaction: what died midway goes
on where it was, and nothing is loaded twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from marketplace import clock, db
from marketplace.errors import Invalid
from marketplace.pools.files import read
from marketplace.pools.filling import fill
from marketplace.pools.generation import next_batch
from marketplace.pools.lines import Line
from marketplace.pools.opening import lock_offer
from marketplace.pools.sealing import content_digest, require_the_key
from marketplace.pools.uploads import first_part, keep_lines, known_as, received_file

LEASE_SECONDS: Final = 30  # for so long nobody else goes on with an upload


async def load_waiting() -> int:
    """Load everything that waits to be loaded; answers how many uploads. One that cannot be holds up no other."""
    loaded = 0
    while (upload := await _leased()) is not None:
        try:
            await load(upload)
            loaded += 1
        except Exception:  # whatever it is, it is tried again when its lease is over
            structlog.get_logger("worker").exception("loading_failed", upload=str(upload))
    return loaded


async def load(upload: UUID) -> None:
    """Load what is left of `upload`; broken off at any moment, it is gone on with; at once, if it can say so."""
    try:
        await _read(upload)
        while await _load_batch(upload):
            pass
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await db.execute("UPDATE code_upload SET leased_until = NULL WHERE id = $1", upload)
        raise


async def _leased() -> UUID | None:
    now = clock.now()
    upload: UUID | None = await db.fetch_value(
        """UPDATE code_upload SET leased_until = $2 WHERE id = (
               SELECT id FROM code_upload WHERE state IN ('received', 'loading')
                 AND (leased_until IS NULL OR leased_until <= $1)
               ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
           RETURNING id""",
        now, now + timedelta(seconds=LEASE_SECONDS),
    )  # fmt: skip
    return upload


async def _read(upload: UUID) -> None:
    """Turn a file that was received in pieces into lines to be loaded, or find out that it is none."""
    row = await db.fetch_row(
        "SELECT offer, name FROM code_upload WHERE id = $1 AND state = 'received'", upload
    )
    if row is None:
        return
    content, lines, fault = await received_file(upload), list[Line](), None
    try:
        lines = await asyncio.to_thread(read, content, name=row["name"])
    except Invalid as invalid:
        fault = invalid.errors[0].code
    digest = content_digest(row["offer"], content)
    async with db.transaction():
        await lock_offer(row["offer"])
        if await _state_of(upload) != "received":
            return
        await db.execute("DELETE FROM code_upload_part WHERE upload = $1", upload)
        if fault is None and await known_as(row["offer"], digest) is not None:
            fault = "same_file"
        if fault is None:
            await keep_lines(upload, lines, digest=digest)
        else:
            await db.execute(
                "UPDATE code_upload SET state = 'failed', fault = $2, finished_at = $3 WHERE id = $1",
                upload, fault, clock.now(),
            )  # fmt: skip


async def _load_batch(upload: UUID) -> bool:
    """Load the next batch; False when that was the last."""
    async with db.transaction():
        offer = await db.fetch_value("SELECT offer FROM code_upload WHERE id = $1", upload)
        await lock_offer(offer)
        row = await db.fetch_row(
            """SELECT state, source, lines, loaded, prefix, length, expires_at FROM code_upload
               WHERE id = $1 FOR NO KEY UPDATE""",
            upload,
        )
        if row is None or row["state"] != "loading":
            return False
        await require_the_key()
        if row["source"] == "generated":
            lines = next_batch(
                made=row["loaded"], lines=row["lines"], prefix=row["prefix"], length=row["length"]
            )
        else:
            lines = await first_part(upload)
        await fill(upload, lines, offer=offer, expires_at=row["expires_at"])
        more: bool = row["loaded"] + len(lines) < row["lines"]
        now = clock.now()
        await db.execute(
            "UPDATE code_upload SET state = $2, finished_at = $3, leased_until = $4 WHERE id = $1",
            upload, "loading" if more else "loaded", None if more else now, now + timedelta(seconds=LEASE_SECONDS),
        )  # fmt: skip
    return more


async def _state_of(upload: UUID) -> str | None:
    state: str | None = await db.fetch_value(
        "SELECT state FROM code_upload WHERE id = $1 FOR NO KEY UPDATE", upload
    )
    return state
