"""The publisher's devices: a phone is paired, a cash register gets credentials, and both are revoked."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.devices import Secret, add_register, devices, require_own_store, revoke, rotate_secret
from marketplace.errors import ChutanError, Invalid, NotFound
from marketplace.identity.stores import EphemeralStore
from marketplace.pairing import begin_pairing, pair
from marketplace.publishers import create_till, stores, tills
from merchants.publishing import require
from web.access import Staff
from web.pages.cashier import id_of
from web.pages.forms import AnyRequest, Typed, address_of, is_htmx, is_secure, typed
from web.pages.redemptions import qr_svg
from web.pages.rendering import back, page, when, words_of
from web.problems import problem_of
from web.sessions import device_cookie

_PLACE = "/publisher/devices"


@get(_PLACE, include_in_schema=False)
async def devices_page(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """All devices, and what adds one. htmx gets the list alone."""
    require(staff.role, "manage_tills")
    if is_htmx(request):
        return await page(request, "parts/devices.html", area="publisher", devices=await _shown(staff))
    return await _page(request, staff)


@post(_PLACE, include_in_schema=False)
async def add(
    request: AnyRequest, staff: NamedDependency[Staff], store: NamedDependency[EphemeralStore]
) -> Response[Any]:
    """Begin to pair a phone, make a cash register's credentials, or a till for this browser. A secret is shown once,
    and so in the answer itself."""
    require(staff.role, "manage_tills")
    form = await typed(request)
    at = id_of(form["store"])
    if at is None:
        raise NotFound
    words = words_of(request)
    kind = form["then"] if form["then"] in ("register", "counter") else "phone"
    name = form["name"] or words(f"devices.name_{kind}")
    actor = f"staff:{staff.id}"
    try:
        if kind == "register":
            made = await add_register(publisher=staff.publisher, store=at, name=name, added_by=actor)
            return await _page(request, staff, secret=made)
        if kind == "counter":
            await require_own_store(publisher=staff.publisher, store=at)
            await create_till(store=at, name=name)
            return back(_PLACE)
        pairing = await begin_pairing(
            publisher=staff.publisher, at=at, name=name, added_by=actor, store=store
        )
    except ChutanError as refused:
        return await _page(request, staff, form=form, refusal=refused)
    address = f"{request.base_url}pair#{pairing.code}"
    return await page(
        request, "publisher/pairing.html", area="publisher", code=pairing.code, until=when(pairing.expires_at)[-5:],
        place=f"{request.base_url}pair", qr=qr_svg(address), devices=await _shown(staff),
    )  # fmt: skip


@post(_PLACE + "/{till_id:uuid}/revoke", include_in_schema=False, status_code=303)
async def end(request: AnyRequest, staff: NamedDependency[Staff], till_id: FromPath[UUID]) -> Redirect:
    """Revoke a device, at once."""
    require(staff.role, "manage_tills")
    await revoke(publisher=staff.publisher, till=till_id)
    return back(_PLACE)


@post(_PLACE + "/{till_id:uuid}/rotate", include_in_schema=False)
async def rotate(
    request: AnyRequest, staff: NamedDependency[Staff], till_id: FromPath[UUID]
) -> Response[str]:
    """Give a cash register a new secret."""
    require(staff.role, "manage_tills")
    return await _page(request, staff, secret=await rotate_secret(publisher=staff.publisher, till=till_id))


# ------------------------------------------------------------------ the other phone
@get("/pair", include_in_schema=False)
async def pair_form(request: AnyRequest) -> Response[str]:
    """Where a phone becomes a till; a script takes the code of a scanned address out of its fragment."""
    return await page(request, "publisher/pair.html", area="publisher", wrong=None)


@post("/pair", include_in_schema=False)
async def pair_phone(request: AnyRequest, store: NamedDependency[EphemeralStore]) -> Response[Any]:
    """Pair this phone, and open the till on it."""
    form = await typed(request)
    try:
        session = await pair(form["code"], address=address_of(request), store=store)
    except ChutanError as refused:
        return await page(
            request, "publisher/pair.html", area="publisher", status=problem_of(refused).status,
            wrong=words_of(request).refusal(refused),
        )  # fmt: skip
    return back("/publisher/till", device_cookie(session, secure=is_secure(request)))


async def _page(
    request: AnyRequest, staff: Staff, *, secret: Secret | None = None, form: Typed | None = None,
    refusal: ChutanError | None = None,
) -> Response[str]:  # fmt: skip
    words = words_of(request)
    errors = words.errors(refusal.errors) if isinstance(refusal, Invalid) else {}
    return await page(
        request, "publisher/devices.html", area="publisher", status=problem_of(refusal).status if refusal else 200,
        devices=await _shown(staff), counters=await tills(publisher=staff.publisher),
        stores=[(str(one.id), one.name) for one in await stores(publisher=staff.publisher)],
        secret=secret, base=str(request.base_url).rstrip("/"), errors=errors,
        refusal=words.refusal(refusal) if refusal and not errors else None,
        typed={"store": form["store"], "name": form["name"]} if form else {"store": "", "name": ""},
    )  # fmt: skip


async def _shown(staff: Staff) -> list[dict[str, Any]]:
    return [
        {"till": str(one.till), "kind": one.kind, "name": one.name, "store_name": one.store_name,
         "client_id": one.client_id, "added_at": when(one.added_at), "seen_at": when(one.last_seen_at)}
        for one in await devices(publisher=staff.publisher)
    ]  # fmt: skip


HANDLERS = [devices_page, add, end, rotate, pair_form, pair_phone]
