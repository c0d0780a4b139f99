"""What the tests of pools need beside the builders: a draft of codes, a file as it is uploaded, a spreadsheet."""

from __future__ import annotations

from datetime import date
from io import BytesIO
from typing import Any
from uuid import UUID

import openpyxl

from marketplace import db, pools
from marketplace.offers.view import OfferView
from marketplace.pools.files import read
from marketplace.pools.loading import load_waiting
from marketplace.pools.sealing import unsealed_code
from tests.builders import a_draft, a_publisher


async def a_pool() -> OfferView:
    """A draft of codes whose pool is empty."""
    return await a_draft(await a_publisher(), kind="code")


async def uploaded(
    offer: OfferView, content: bytes, *, name: str = "codes.txt", expires_on: date | None = None
) -> pools.Upload:
    """A file that waits to be loaded."""
    return await pools.submit_file(
        publisher=offer.publisher.id, offer=offer.id, source="file", name=name, content=content,
        lines=read(content, name=name), expires_on=expires_on, actor="test",
    )  # fmt: skip


async def loaded(offer: OfferView, content: bytes, **more: Any) -> pools.Upload:
    """The same, loaded."""
    upload = await uploaded(offer, content, **more)
    await load_waiting()
    return await pools.upload_of(publisher=offer.publisher.id, upload=upload.id)


async def generated(offer: OfferView, *, count: int, prefix: str = "", length: int = 11) -> pools.Upload:
    """Codes that wait to be made."""
    return await pools.generate(
        publisher=offer.publisher.id, offer=offer.id, prefix=prefix, length=length, count=count, expires_on=None,
        actor="test",
    )  # fmt: skip


async def codes_in(offer: UUID) -> list[str]:
    """The codes of a pool, as they were uploaded."""
    rows = await db.fetch("SELECT id, sealed FROM pool_code WHERE offer = $1 ORDER BY id", offer)
    return [unsealed_code(row["id"], row["sealed"]) for row in rows]


def some_codes(count: int) -> bytes:
    return "\n".join(f"CODE-{number:06d}" for number in range(count)).encode()


def a_spreadsheet(*rows: tuple[Any, ...]) -> bytes:
    workbook, file = openpyxl.Workbook(), BytesIO()
    for row in rows:
        workbook.active.append(row)
    workbook.save(file)
    return file.getvalue()
