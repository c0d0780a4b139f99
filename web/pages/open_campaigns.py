"""The campaigns that a publisher may put an offer under: whose money it would be, and how much is left of it."""

from __future__ import annotations

from litestar import Response, get
from litestar.di import NamedDependency

from marketplace.campaigns.joining import joinable_campaigns
from merchants.publishing import require
from web.access import Staff
from web.pages.forms import AnyRequest
from web.pages.rendering import page, when, when_it_ends, words_of


@get("/publisher/campaigns", include_in_schema=False)
async def open_campaigns(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """Those that are open to this publisher, newest first."""
    require(staff.role, "read_offers")
    words = words_of(request)
    shown = [
        {
            "name": one.name, "status": one.status, "status_words": words(f"campaign.status.{one.status}"),
            "funders": words("fact.comma").join(one.funders), "left_fen": one.left_fen,
            "window": f"{when(one.starts_at) or '…'} — {when_it_ends(one.ends_at) or '…'}"
            if one.starts_at or one.ends_at else "",
        }
        for one in await joinable_campaigns(publisher=staff.publisher)
    ]  # fmt: skip
    return await page(request, "publisher/campaigns.html", area="publisher", campaigns=shown)


HANDLERS = [open_campaigns]
