"""An offer's history: its versions with who and when, and what each changed; and another offer like it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.offers.catalogue import publisher_offer
from marketplace.offers.copying import copy
from marketplace.offers.differences import differences
from marketplace.offers.versions import Version, versions_of
from merchants.members import names_of
from merchants.publishing import require
from web.access import Staff
from web.pages.changes import store_names
from web.pages.differing import shown_differences
from web.pages.forms import AnyRequest
from web.pages.rendering import Words, back, page, when, words_of
from web.pages.showing import payers

_A_PAGE: Final = 20


@get("/publisher/offers/{offer_id:uuid}/versions", include_in_schema=False)
async def history(
    request: AnyRequest, staff: NamedDependency[Staff], offer_id: FromPath[UUID]
) -> Response[str]:
    """The versions, newest first, each with what was different before it."""
    require(staff.role, "read_offers")
    words, offer = words_of(request), await publisher_offer(publisher=staff.publisher, offer=offer_id)
    given = request.query_params.get("before", "")
    before = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None
    found = await versions_of(publisher=staff.publisher, offer=offer_id, before=before, count=_A_PAGE + 1)
    stores, funds = await store_names(staff.publisher), await payers(words)
    names = await names_of(publisher=staff.publisher)
    shown = [
        _shown(words, newer, names)
        | {"changes": shown_differences(words, offer.kind, differences(older.terms, newer.terms), stores=stores,
                                        payers=funds)}
        for newer, older in pairwise(found)
    ]  # fmt: skip
    first = found[-1] if found and len(found) <= _A_PAGE else None
    return await page(
        request, "publisher/versions.html", area="publisher", title=offer.title or words("offer.untitled"),
        place=f"/publisher/offers/{offer_id}",
        versions=shown + ([_shown(words, first, names) | {"changes": None}] if first else []),
        in_force=offer.version, more=found[-2].number if len(found) > _A_PAGE else None,
    )  # fmt: skip


def _shown(words: Words, version: Version, names: dict[str, str]) -> dict[str, Any]:
    return {
        "number": version.number,
        "when": when(version.created_at),
        "who": names.get(version.created_by) or words("changes.somebody"),
    }


@post("/publisher/offers/{offer_id:uuid}/copies", include_in_schema=False, status_code=303)
async def copied(staff: NamedDependency[Staff], offer_id: FromPath[UUID]) -> Redirect:
    """A new draft like this offer, opened where it is looked over before it is submitted."""
    require(staff.role, "publish")
    draft = await copy(publisher=staff.publisher, offer=offer_id, actor=f"staff:{staff.id}")
    return back(f"/publisher/offers/{draft.id}/steps/review")


HANDLERS = [history, copied]
