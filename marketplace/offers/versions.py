"""The history of an offer's terms: who set what, and when.

A draft is saved often. What was never handed in is no history: of a draft only what was submitted is listed, and how it
stands now.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from marketplace import db
from marketplace.errors import NotFound
from marketplace.offers.terms import Terms, terms_from

_KEPT: Final = """
    SELECT number, terms, created_at, created_by
    FROM (
        SELECT v.*, lead(v.created_at) OVER (ORDER BY v.number) AS until
        FROM offer_version v JOIN offer o ON o.id = v.offer WHERE o.id = $1 AND o.publisher = $2
    ) AS v
    WHERE ($3::int IS NULL OR number < $3)
      AND (until IS NULL
           OR EXISTS (SELECT 1 FROM offer_event e WHERE e.offer = $1 AND e.event = 'submitted'
                      AND e.created_at >= v.created_at AND e.created_at < v.until)
           OR (SELECT e.event FROM offer_event e WHERE e.offer = $1 AND e.created_at < v.created_at
                 AND e.event IN ('created', 'submitted', 'approved', 'rejected')
               ORDER BY e.id DESC LIMIT 1) = 'approved')
    ORDER BY number DESC LIMIT $4
"""
_IN_FORCE: Final = """
    SELECT v.number, v.terms, v.created_at, v.created_by
    FROM offer o JOIN offer_version v ON v.offer = o.id AND v.number = o.version WHERE o.id = $1 AND o.publisher = $2
"""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """Terms as they stood from `created_at` on; `created_by` is who set them (`staff:ID`)."""

    number: int
    terms: Terms
    created_at: datetime
    created_by: str


async def versions_of(
    *, publisher: UUID, offer: UUID, before: int | None = None, count: int
) -> list[Version]:
    """At most `count` versions of an offer of `publisher`, newest first, older than the number `before`."""
    rows = await db.fetch(_KEPT, offer, publisher, before, count)
    return [_version(row) for row in rows]


async def in_force(*, publisher: UUID, offer: UUID) -> Version:
    """The newest version of an offer of `publisher`. Raises NotFound."""
    row = await db.fetch_row(_IN_FORCE, offer, publisher)
    if row is None:
        raise NotFound
    return _version(row)


def _version(row: db.Row) -> Version:
    return Version(
        number=row["number"], terms=terms_from(row["terms"]), created_at=row["created_at"], created_by=row["created_by"]
    )  # fmt: skip
