"""What an edit would change, shown before it is confirmed. Coupons out keep the terms they were taken under."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from litestar import Response

from marketplace.offers import lifecycle
from marketplace.offers.differences import differences
from marketplace.offers.eligibility import Eligibility
from marketplace.offers.terms import Change
from marketplace.offers.view import OfferView
from marketplace.publishers import stores
from web.access import Staff
from web.pages.differing import shown_differences
from web.pages.forms import AnyRequest, Typed
from web.pages.rendering import page, words_of
from web.pages.showing import payers

_NOT_TYPED = ("_csrf_token", "key", "then", "version")


async def changes_page(
    request: AnyRequest, staff: Staff, offer: OfferView, form: Typed, change: Change, eligibility: Eligibility
) -> Response[str]:
    """The differences between the terms in force and the edit; what was typed waits in the page. Raises as `edit`."""
    words = words_of(request)
    before, after = await lifecycle.proposed(
        publisher=staff.publisher, offer=offer.id, change=change, eligibility=eligibility
    )
    return await page(
        request, "publisher/changes.html", area="publisher", title=offer.title or words("offer.untitled"),
        changes=shown_differences(words, offer.kind, differences(before, after),
                                  stores=await store_names(staff.publisher), payers=await payers(words)),
        action=f"/publisher/offers/{offer.id}", typed=list(_typed(form)), version=form["version"] or offer.version,
    )  # fmt: skip


async def store_names(publisher: UUID) -> dict[UUID, str]:
    """The stores' names by id."""
    return {one.id: one.name for one in await stores(publisher=publisher)}


def _typed(form: Typed) -> Iterable[tuple[str, str]]:
    return ((name, value) for name in form if name not in _NOT_TYPED for value in form.all(name))


__all__ = ["changes_page", "store_names"]
