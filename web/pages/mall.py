"""The mall: what residents can take, and what they should know before they do."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.cities import CITIES
from marketplace.errors import ChutanError, Invalid
from marketplace.offers.benefits import KINDS
from marketplace.offers.catalogue import OfferPage, live_offers, public_offer
from marketplace.offers.eligibility import Eligibility
from marketplace.redemptions import redeem
from marketplace.wallets import wallet_of
from web.access import Resident
from web.pages.forms import AnyRequest, idempotency_key, is_htmx, typed
from web.pages.rendering import Words, back, page, viewer, words_of
from web.pages.showing import offer_card, offer_details
from web.seen import exposed, opened

OFFERS_A_PAGE: Final = 24


class Asked(NamedTuple):
    """What the visitor looks for."""

    kind: str
    q: str
    city: str
    affordable: str
    cursor: str

    def place(self, **changes: str) -> str:
        """The address of the mall with `changes` to what is asked, from its beginning."""
        asked = self._replace(**{"cursor": ""} | changes)._asdict()
        query = urlencode({name: value for name, value in asked.items() if value})
        return f"/?{query}" if query else "/"


def _asked(request: AnyRequest) -> Asked:
    query = request.query_params
    city = query.get("city") or ""
    return Asked(
        kind=query.get("kind") or "",
        q=(query.get("q") or "").strip()[:100],
        city=city if city in CITIES else "",
        affordable="true" if query.get("affordable") == "true" else "",
        cursor=query.get("cursor") or "",
    )


@get("/", include_in_schema=False)
async def mall(request: AnyRequest, eligibility: NamedDependency[Eligibility]) -> Response[str]:
    """The live offers as cards; htmx gets the list alone."""
    words, principal, asked = words_of(request), await viewer(request), _asked(request)
    template = "parts/offers.html" if is_htmx(request) else "mall.html"
    resident = principal.id if principal and principal.role == "resident" else None
    try:
        found = await _found(asked, resident=resident, eligibility=eligibility)
    except Invalid:
        nothing = _shown(words, Asked("", asked.q, asked.city, "", ""), OfferPage([], None))
        return await page(request, template, status=400, **nothing)
    exposed(request, [offer.id for offer in found.items])
    available_g = (await wallet_of(resident)).available_g if resident else None
    return await page(request, template, **_shown(words, asked, found, available_g=available_g))


async def _found(asked: Asked, *, resident: UUID | None, eligibility: Eligibility) -> OfferPage:
    return await live_offers(
        kind=asked.kind or None, q=asked.q or None, city=asked.city or None, affordable=bool(asked.affordable),
        cursor=asked.cursor or None, limit=OFFERS_A_PAGE, resident=resident, eligibility=eligibility,
    )  # fmt: skip


def _shown(words: Words, asked: Asked, found: OfferPage, *, available_g: int | None = None) -> dict[str, Any]:
    kinds = [("", words("mall.all")), *((kind, words(f"kind.{kind}")) for kind in KINDS)]
    return {
        "asked": asked,
        "kinds": [
            {"place": asked.place(kind=kind), "words": name, "chosen": kind == asked.kind}
            for kind, name in kinds
        ],
        "cities": [("", words("mall.all_cities")), *((city, words(f"city.{city}")) for city in CITIES)],
        "offers": [offer_card(words, offer) for offer in found.items],
        "more": asked.place(cursor=found.next_cursor) if found.next_cursor else None,
        "available_g": available_g,
    }


@get("/offers/{offer_id:uuid}", include_in_schema=False)
async def offer(
    request: AnyRequest, offer_id: FromPath[UUID], eligibility: NamedDependency[Eligibility]
) -> Response[str]:
    """One offer, judged for the resident who looks at it."""
    principal = await viewer(request)
    resident = principal.id if principal and principal.role == "resident" else None
    shown = await public_offer(offer_id, resident=resident, eligibility=eligibility)
    opened(request, offer_id)
    balance = await wallet_of(resident) if resident else None
    left = balance.available_g - (shown.price_g or 0) if balance else None
    return await page(
        request, "offer.html", offer=offer_details(words_of(request), shown), resident=resident is not None,
        can_redeem=shown.eligible is True, available_g=balance.available_g if balance else None,
        left_g=left if left is not None and left >= 0 else None,
    )  # fmt: skip


@post("/offers/{offer_id:uuid}/redeem", include_in_schema=False, status_code=303)
async def take(
    request: AnyRequest,
    offer_id: FromPath[UUID],
    resident: NamedDependency[Resident],
    eligibility: NamedDependency[Eligibility],
) -> Redirect:
    """Redeem the offer, once per rendering of its form."""
    key = idempotency_key(await typed(request), principal=f"resident:{resident.id}", operation="redeem",
                          says=str(offer_id))  # fmt: skip
    try:
        taken = await redeem(resident=resident.id, offer=offer_id, key=key, eligibility=eligibility)
    except ChutanError as refused:
        return back(f"/offers/{offer_id}", refused=refused)
    return back(f"/redemptions/{taken['id']}")


HANDLERS = [mall, offer, take]
