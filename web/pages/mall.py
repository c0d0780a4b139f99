"""The mall: what residents can take, and what they should know before they do."""

from __future__ import annotations

from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.errors import ChutanError, Invalid
from marketplace.offers.benefits import KINDS
from marketplace.offers.catalogue import live_offers, public_offer
from marketplace.offers.eligibility import Eligibility
from marketplace.redemptions import redeem
from marketplace.wallets import wallet_of
from web.access import Resident
from web.pages.forms import AnyRequest, idempotency_key, typed
from web.pages.rendering import back, page, viewer, words_of
from web.pages.showing import offer_card, offer_details


@get("/", include_in_schema=False)
async def mall(request: AnyRequest, eligibility: NamedDependency[Eligibility]) -> Response[str]:
    """The live offers as cards."""
    words, principal = words_of(request), await viewer(request)
    resident = principal.id if principal and principal.role == "resident" else None
    query = request.query_params
    kind, q = query.get("kind") or None, (query.get("q") or "").strip()[:100] or None
    try:
        found = await live_offers(kind=kind, q=q, cursor=query.get("cursor") or None, limit=24, resident=resident,
                                  eligibility=eligibility)  # fmt: skip
    except Invalid:
        return await page(request, "mall.html", status=400, offers=[], next_cursor=None, kinds=_kinds(words, None),
                          q=q or "", kind="", available_g=None)  # fmt: skip
    return await page(
        request, "mall.html",
        offers=[offer_card(words, offer) for offer in found.items], next_cursor=found.next_cursor,
        kinds=_kinds(words, kind), q=q or "", kind=kind or "",
        available_g=(await wallet_of(resident)).available_g if resident else None,
    )  # fmt: skip


def _kinds(words: object, chosen: str | None) -> list[dict[str, object]]:
    assert callable(words)
    return [{"kind": kind, "words": words(f"kind.{kind}"), "chosen": kind == chosen} for kind in KINDS]


@get("/offers/{offer_id:uuid}", include_in_schema=False)
async def offer(
    request: AnyRequest, offer_id: FromPath[UUID], eligibility: NamedDependency[Eligibility]
) -> Response[str]:
    """One offer, judged for the resident who looks at it."""
    principal = await viewer(request)
    resident = principal.id if principal and principal.role == "resident" else None
    shown = await public_offer(offer_id, resident=resident, eligibility=eligibility)
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
