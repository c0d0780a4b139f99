"""The registry in the marketplace's own database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from asyncpg import Range

from marketplace import clock, db
from marketplace.errors import Unavailable
from marketplace.registry.port import Issuance, Receipt, Retirement

_COLUMNS = ("id", "kind", "account", "counterparty", "purpose", "amount_g", "serials", "batch", "recorded_at")


class EmbeddedRegistry:
    """Entries are rows of `registry_entry`, written in the transaction that is open, if one is."""

    async def issue(self, issuances: Sequence[Issuance]) -> None:
        now = clock.now()
        await db.insert_many("registry_entry", _COLUMNS, [_issued(issuance, now) for issuance in issuances])

    async def retire(self, retirements: Sequence[Retirement]) -> dict[UUID, Receipt]:
        now = clock.now()
        try:
            async with db.joined():
                known = await self.lookup([retirement.id for retirement in retirements])
                new = [retirement for retirement in retirements if retirement.id not in known]
                await db.insert_many(
                    "registry_entry", _COLUMNS, [_retired(retirement, now) for retirement in new]
                )
        except asyncpg.UniqueViolationError as twin:  # the same ids were sent at the same moment: ask again
            raise Unavailable(what="registry") from twin
        return known | {r.id: Receipt(r.id, r.amount_g, now) for r in new}

    async def lookup(self, ids: Collection[UUID]) -> dict[UUID, Receipt]:
        rows = await db.fetch(
            "SELECT id, amount_g, recorded_at FROM registry_entry WHERE id = ANY($1)", list(ids)
        )
        return {row["id"]: Receipt(row["id"], row["amount_g"], row["recorded_at"]) for row in rows}


def _issued(issuance: Issuance, now: datetime) -> tuple[Any, ...]:
    start, end = issuance.serials
    batch = {
        "methodology": issuance.methodology,
        "methodology_version": issuance.methodology_version,
        "vintage": issuance.vintage,
        "city": issuance.city,
    }
    return (
        issuance.id,
        "issue",
        issuance.account,
        None,
        "crediting",
        end - start,
        [Range(start, end)],
        batch,
        now,
    )


def _retired(retirement: Retirement, now: datetime) -> tuple[Any, ...]:
    kind = "expire" if retirement.purpose == "expiry" else "retire"
    serials = [Range(start, end) for start, end in sorted(retirement.serials)]
    return (retirement.id, kind, retirement.account, retirement.counterparty, retirement.purpose,
            retirement.amount_g, serials, {}, now)  # fmt: skip
