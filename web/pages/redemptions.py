"""What a resident took: the list, and the coupon with its code that changes."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from uuid import UUID

import segno
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.errors import ChutanError
from marketplace.offers.terms import benefit_shown, capture, terms_from
from marketplace.redemptions import cancel, token_of
from web.access import Resident
from web.pages.forms import AnyRequest, idempotency_key, typed
from web.pages.reading import redemption, redemptions
from web.pages.rendering import Words, back, page, when, when_it_ends, words_of
from web.pages.showing import benefit_words


@get("/redemptions", include_in_schema=False)
async def history(request: AnyRequest, resident: NamedDependency[Resident]) -> Response[str]:
    """Everything the resident took, newest first."""
    words = words_of(request)
    return await page(
        request,
        "redemptions.html",
        redemptions=[_shown(words, row) for row in await redemptions(resident.id)],
    )


@get("/redemptions/{redemption_id:uuid}", include_in_schema=False)
async def coupon(
    request: AnyRequest, redemption_id: FromPath[UUID], resident: NamedDependency[Resident]
) -> Response[str]:
    """The coupon: its QR while it is good, and afterwards what became of it."""
    shown = _shown(words_of(request), await redemption(resident.id, redemption_id))
    qr = None
    if shown["status"] == "issued":
        token = await token_of(resident=resident.id, redemption=redemption_id)
        qr = {"svg": qr_svg(token.token), "refresh_after": token.refresh_after}
    return await page(request, "coupon.html", redemption=shown, qr=qr)


@get("/redemptions/{redemption_id:uuid}/qr", include_in_schema=False)
async def qr_now(redemption_id: FromPath[UUID], resident: NamedDependency[Resident]) -> Response[str]:
    """The QR as it is now, as SVG."""
    token = await token_of(resident=resident.id, redemption=redemption_id)
    return Response(qr_svg(token.token), media_type="image/svg+xml", headers={"Cache-Control": "no-store"})


@post("/redemptions/{redemption_id:uuid}/cancel", include_in_schema=False, status_code=303)
async def give_back(
    request: AnyRequest, redemption_id: FromPath[UUID], resident: NamedDependency[Resident]
) -> Redirect:
    """Cancel an unused redemption."""
    key = idempotency_key(await typed(request), principal=f"resident:{resident.id}", operation="cancel",
                          says=str(redemption_id))  # fmt: skip
    try:
        await cancel(resident=resident.id, redemption=redemption_id, key=key)
    except ChutanError as refused:
        return back(f"/redemptions/{redemption_id}", refused=refused)
    return back(f"/redemptions/{redemption_id}")


def qr_svg(token: str) -> str:
    """A token as a QR code, black on white whatever the page's colours: scanners need that."""
    drawn = BytesIO()
    segno.make(token, error="m", micro=False).save(
        drawn,
        kind="svg",
        xmldecl=False,
        omitsize=True,
        nl=False,
        border=2,
        light="#fff",
        svgclass=None,
        lineclass=None,
    )
    return drawn.getvalue().decode()


def _shown(words: Words, row: Any) -> dict[str, Any]:
    terms = terms_from(row["terms"])
    benefit = benefit_shown(terms.benefit) if terms.benefit is not None else None
    receipt = row["receipt"] or {}
    status, settlement = row["status"], row["settlement"]
    return {
        "id": str(row["id"]),
        "title": terms.title,
        "publisher": row["publisher"],
        "offer": str(row["offer"]),
        "benefit": benefit_words(words, terms.kind, benefit),
        "terms": terms.terms,
        "status": status,
        "status_words": words(f"redemption.{status}"),
        "status_detail": words(f"redemption.{status}_detail"),
        "price_g": row["price_g"],
        "created_at": when(row["created_at"]),
        "expires_at": when_it_ends(row["expires_at"]),
        "code": row["pool_code"] or _grouped(row["code"]),
        "code_is_shown": status in ("issued", "fulfilled") and terms.kind != "donation",
        "cancellable": status == "issued" and capture(terms) != "on_redemption",
        "used": words("coupon.used_at", at=when(row["verified_at"]), store=row["store"])
        if row["verified_at"]
        else None,
        "discount_fen": row["discount_fen"] or None,
        "settlement": words(f"settlement.{settlement}") if settlement else None,
        "settled": settlement == "recorded",
        "receipt": [
            (name, str(value)) for name, value in receipt.items() if not isinstance(value, dict | list)
        ],
    }


def _grouped(code: str) -> str:
    return " ".join(code[start : start + 4] for start in range(0, len(code), 4))


HANDLERS = [history, coupon, qr_now, give_back]
