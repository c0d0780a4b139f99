"""A resident's activity records 减排记录: what each brought, or why it brought nothing."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from litestar import Response, get
from litestar.di import NamedDependency

from incentives.activities import Activity, activities_of
from incentives.methodologies import COUNTED
from web.access import Resident
from web.pages.forms import AnyRequest
from web.pages.rendering import Words, page, when, words_of
from web.paging import before, page_of

RECORDS: Final = 30
_SHOWN: Final = Decimal("0.001")  # of a unit: finer is for the API


@get("/activities", include_in_schema=False)
async def activities_page(request: AnyRequest, resident: NamedDependency[Resident]) -> Response[str]:
    """Every record, the latest activity first, a page at a time."""
    words, cursor = words_of(request), request.query_params.get("cursor") or None
    found = page_of(await activities_of(resident.id, limit=RECORDS + 1, before=before(cursor)), RECORDS)
    return await page(
        request, "activities.html", activities=[_shown(words, activity) for activity in found.items],
        next_cursor=found.next_cursor, is_first=cursor is None,
    )  # fmt: skip


def _shown(words: Words, activity: Activity) -> dict[str, Any]:
    return {
        "behaviour": words(f"behaviour.{activity.behaviour}") if activity.behaviour else activity.methodology,
        "channel": activity.channel_name,
        "at": when(activity.started_at),
        "quantity": _quantity(words, activity),
        "amount_g": activity.amount_g,
        "outcome": activity.outcome,
        "outcome_words": words(f"outcome.{activity.outcome}"),
    }


def _quantity(words: Words, activity: Activity) -> str:
    """How much, and by which factor: `3.2 公里 × 93.3 克/公里`."""
    factor, _, unit = activity.factor.partition(" g/")
    exact = activity.quantity.quantize(_SHOWN, ROUND_DOWN).normalize()
    quantity = words(f"quantity.{unit}", quantity=int(exact) if unit in COUNTED else f"{exact:,f}")
    return f"{quantity} × {words(f'factor.{unit}', factor=factor)}"


HANDLERS = [activities_page]
