"""A store's day at the till: every verification, the sums, and a way back from a mistake."""

from __future__ import annotations

from litestar import Response, get

from marketplace import clock
from marketplace.till_day import totals_of_day, verifications_of_day
from web.pages.cashier import cashier
from web.pages.forms import AnyRequest
from web.pages.rendering import page
from web.pages.till import shown
from web.paging import before, page_of

_ON_A_PAGE = 50


@get("/publisher/till/today", include_in_schema=False)
async def today(request: AnyRequest) -> Response[str]:
    """What the store of the till verified today."""
    who = await cashier(request)
    till = who.chosen(request.query_params.get("till", ""))
    day = clock.local_day(clock.now())
    cursor = request.query_params.get("cursor") or None
    found = page_of(
        await verifications_of_day(till=till.id, day=day, limit=_ON_A_PAGE + 1, before=before(cursor)),
        _ON_A_PAGE,
    )
    return await page(
        request, "publisher/till_day.html", area="publisher", till=till, day=str(day),
        totals=await totals_of_day(till=till.id, day=day), items=[shown(one) for one in found.items],
        next_cursor=found.next_cursor,
    )  # fmt: skip


HANDLERS = [today]
