"""An offer that is not out yet, as a resident will see it: by the mall's own templates."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from marketplace.offers.view import OfferView, StoreView
from marketplace.publishers import stores
from web.pages.offer_form import at_till
from web.pages.rendering import Words
from web.pages.showing import offer_details


async def preview_of(words: Words, offer: OfferView) -> dict[str, Any]:
    """What `publisher/preview.html` shows: no budgets, and every store where none was chosen."""
    own = [] if offer.stores or not at_till(offer.kind) else await stores(publisher=offer.publisher.id)
    seen = msgspec.structs.replace(
        offer, budget_fen=UNSET, budget_per_day_fen=UNSET, reason=UNSET,
        stores=offer.stores or [StoreView(one.id, one.name, one.address) for one in own],
    )  # fmt: skip
    return offer_details(words, seen)


__all__ = ["preview_of"]
