"""The rule of an offer by itself, for a page that has JavaScript: the part is answered alone, after what was done."""

from __future__ import annotations

from litestar import Response, post
from litestar.di import NamedDependency

from incentives.programmes import programme_names
from merchants.publishing import require
from web.access import Staff
from web.pages.forms import AnyRequest, typed
from web.pages.rendering import page, words_of
from web.pages.rule_form import typed_draft
from web.pages.rule_showing import rule_shown


@post("/publisher/rule", include_in_schema=False, status_code=200)
async def rule_part(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """The rule as it was typed, after a row was added or removed, or it was tried; nothing is kept."""
    require(staff.role, "publish")
    draft = typed_draft(await typed(request))
    shown = rule_shown(words_of(request), draft, programmes=await programme_names())
    return await page(request, "publisher/rule.html", area="publisher", rule=shown)


HANDLERS = [rule_part]
