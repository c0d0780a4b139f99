"""Insight over the API: the dashboard's numbers as JSON, and by the hour for a spreadsheet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream

from merchants.hours import require_own
from merchants.insight import Detail, Insight, details, insight
from merchants.periods import Period, period_of
from merchants.publishing import require
from web.access import Staff
from web.exports import CSV_TYPE, XLSX_TYPE, Cell, as_csv, as_xlsx
from web.locale import preferred_language, text

From = Annotated[str, QueryParameter(name="from", description="The first day of a custom period, YYYY-MM-DD")]
To = Annotated[str, QueryParameter(description="The last day of a custom period, YYYY-MM-DD")]
COLUMNS: Final = (
    "exposures", "details", "redeemed", "fulfilled", "verified", "reversed", "cancelled", "expired", "returned",
)  # fmt: skip


class InsightController(Controller):
    """What the publisher's offers brought, for its owner and managers; days are Shanghai's."""

    path = "/api/v1/publisher/insight"
    tags = ["publisher"]

    @get()
    async def numbers(
        self, staff: NamedDependency[Staff], period: FromQuery[str] = "today", first: From = "", to: To = "",
        offer: FromQuery[UUID | None] = None,
    ) -> Insight:  # fmt: skip
        """Exact as of now, with the period before. `period` is today, 7d, 30d, 90d or custom."""
        require(staff.role, "read_insight")
        asked = period_of(period, first=first, last=to)
        return await insight(publisher=staff.publisher, period=asked, offer=offer)

    @get("/export.csv", media_type=CSV_TYPE)
    async def as_csv(
        self, request: Request[Any, Any, Any], staff: NamedDependency[Staff], period: FromQuery[str] = "today",
        first: From = "", to: To = "", offer: FromQuery[UUID | None] = None,
    ) -> Stream:  # fmt: skip
        """By hour, offer and store, as CSV."""
        asked = await self._asked(staff, period, first, to, offer)
        rows = _rows(staff.publisher, asked, offer)
        return _download(as_csv(_head(request), rows), CSV_TYPE, f"{_name(asked)}.csv")

    @get("/export.xlsx", media_type=XLSX_TYPE)
    async def as_xlsx(
        self, request: Request[Any, Any, Any], staff: NamedDependency[Staff], period: FromQuery[str] = "today",
        first: From = "", to: To = "", offer: FromQuery[UUID | None] = None,
    ) -> Stream:  # fmt: skip
        """By hour, offer and store, as a workbook."""
        asked = await self._asked(staff, period, first, to, offer)
        rows = _rows(staff.publisher, asked, offer)
        return _download(as_xlsx(_head(request), rows), XLSX_TYPE, f"{_name(asked)}.xlsx")

    async def _asked(self, staff: Staff, period: str, first: str, last: str, offer: UUID | None) -> Period:
        require(staff.role, "read_insight")
        await require_own(publisher=staff.publisher, offer=offer)
        return period_of(period, first=first, last=last)


def _download(content: AsyncIterator[bytes], media_type: str, name: str) -> Stream:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Stream(content, media_type=media_type, headers=headers)


def _name(period: Period) -> str:
    return f"chutan-{period.first}-{period.last}"


def _head(request: Request[Any, Any, Any]) -> list[str]:
    names = ("hour", "offer", "store", *COLUMNS, "bill_yuan", "discount_yuan")
    language = preferred_language(request.headers.get("accept-language"))
    return [text(language, f"page.insight.column.{name}") or name for name in names]


async def _rows(
    publisher: UUID, period: Period, offer: UUID | None
) -> AsyncIterator[Sequence[Sequence[Cell]]]:
    async for some in details(publisher=publisher, period=period, offer=offer):
        yield [_row(one) for one in some]


def _row(one: Detail) -> list[Cell]:
    counts = [getattr(one.numbers, name) for name in COLUMNS]
    return [
        one.hour,
        one.offer,
        one.store,
        *counts,
        _yuan(one.numbers.bill_fen),
        _yuan(one.numbers.discount_fen),
    ]


def _yuan(amount_fen: int) -> Decimal:
    return Decimal(amount_fen) / 100
