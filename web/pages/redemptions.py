"""What a resident took: the list, and the coupon with its code that changes."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from typing import Any, Final
from uuid import UUID

import segno
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace import clock
from marketplace.coupons import STEP_SECONDS, base64url, token_at
from marketplace.errors import ChutanError
from marketplace.journeys import Journey, journey, journeys, status_of
from marketplace.matters import notices
from marketplace.redemptions import cancel, token_key_of, token_of
from web import paging
from web.access import Resident
from web.pages.forms import AnyRequest, idempotency_key, typed
from web.pages.holder_notices import notice_of
from web.pages.rendering import Words, back, page, when, when_it_ends, words_of
from web.pages.showing import benefit_words, condition_facts

SHOWN: Final = 30
_NO_STORE: Final = {"Cache-Control": "no-store"}


@get("/redemptions", include_in_schema=False)
async def history(request: AnyRequest, resident: NamedDependency[Resident]) -> Response[str]:
    """Everything the resident took, newest first, page by page."""
    words, before = words_of(request), paging.before(request.query_params.get("cursor") or None)
    found = await journeys(resident=resident.id, limit=SHOWN + 1, before=before)
    shown = paging.page_of(found, SHOWN)
    return await page(
        request, "redemptions.html",
        redemptions=[_shown(words, one) for one in shown.items], next_cursor=shown.next_cursor,
    )  # fmt: skip


@get("/redemptions/{redemption_id:uuid}", include_in_schema=False)
async def coupon(
    request: AnyRequest, redemption_id: FromPath[UUID], resident: NamedDependency[Resident]
) -> Response[str]:
    """The coupon: its QR while it is good, and afterwards what became of it."""
    found = await journey(resident=resident.id, redemption=redemption_id)
    qr = await _qr(resident, redemption_id) if found.status == "issued" else None
    words = words_of(request)
    notice = notice_of(words, await notices(resident.id, redemption=redemption_id))
    return await page(request, "coupon.html", redemption=_shown(words, found), qr=qr, notice=notice)


async def _qr(resident: Resident, redemption: UUID) -> dict[str, Any]:
    """The QR as it is now, and what the page derives those after it from: its coupon's key and the server's time."""
    key, now = await token_key_of(resident=resident.id, redemption=redemption), clock.now()
    token = token_at(redemption, key, now)
    return {
        "svg": qr_svg(token.token), "refresh_after": token.refresh_after, "key": base64url(key),
        "redemption": redemption.hex, "step_seconds": STEP_SECONDS, "server_ms": _milliseconds(now),
    }  # fmt: skip


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


@get("/redemptions/{redemption_id:uuid}/qr", include_in_schema=False)
async def qr_now(redemption_id: FromPath[UUID], resident: NamedDependency[Resident]) -> Response[str]:
    """The QR as it is now, as SVG."""
    token = await token_of(resident=resident.id, redemption=redemption_id)
    return Response(qr_svg(token.token), media_type="image/svg+xml", headers=_NO_STORE)


@get("/redemptions/{redemption_id:uuid}/status", include_in_schema=False)
async def status_now(
    redemption_id: FromPath[UUID], resident: NamedDependency[Resident]
) -> Response[dict[str, Any]]:
    """What the coupon's page asks while it is looked at: whether it is used, and the server's time."""
    status = await status_of(resident=resident.id, redemption=redemption_id)
    return Response({"status": status, "server_ms": _milliseconds(clock.now())}, headers=_NO_STORE)


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


def _shown(words: Words, one: Journey) -> dict[str, Any]:
    offer, status, used, settlement = one.offer, one.status, one.verification, one.settlement
    receipt = settlement.receipt if settlement and settlement.receipt else {}
    code = one.coupon.code if one.coupon else ""
    return {
        "id": str(one.id),
        "title": offer["title"],
        "publisher": offer["publisher"],
        "benefit": benefit_words(words, offer["kind"], offer["benefit"]),
        "terms": offer["terms"],
        "conditions": condition_facts(words, offer["conditions"]) if status == "issued" else [],
        "stores": offer["stores"] if status == "issued" else [],
        "status": status,
        "status_words": words(f"redemption.{status}"),
        "status_detail": words(f"redemption.{status}_detail"),
        "price_g": one.price_g,
        "created_at": when(one.created_at),
        "expires_at": when_it_ends(one.coupon.expires_at if one.coupon else None),
        "code": code if offer["kind"] == "code" else _grouped(code),
        "code_is_shown": status in ("issued", "fulfilled") and offer["kind"] != "donation",
        "cancellable": status == "issued",
        "used": words("coupon.used_at", at=when(used["verified_at"]), store=used["store"]) if used else None,
        "discount_fen": used["discount_fen"] if used else None,
        "settlement": words(f"settlement.{settlement.state}") if settlement else None,
        "settled": settlement is not None and settlement.state == "recorded",
        "receipt": [
            (name, str(value)) for name, value in receipt.items() if not isinstance(value, dict | list)
        ],
    }


def _grouped(code: str) -> str:
    return " ".join(code[start : start + 4] for start in range(0, len(code), 4))


HANDLERS = [history, coupon, qr_now, status_now, give_back]
