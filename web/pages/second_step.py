"""The second step of signing in, and signing in by a passkey: for staff and operators alike."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect

from marketplace.errors import ChutanError
from marketplace.identity.passkeys import Site, operator_passkey_sign_in, sign_in_options
from marketplace.identity.sealing import Seal
from marketplace.identity.second_step import finish
from marketplace.identity.stores import EphemeralStore
from merchants.staff import staff_passkey_sign_in
from web.pages.forms import AnyRequest, address_of, typed
from web.pages.rendering import AREAS, back, page, words_of
from web.pages.sign_in import SECOND_STEP_COOKIE, next_place, proof_cookie, signed_in
from web.problems import status_of

HOMES: Final = {"publisher": "/publisher/offers", "operator": "/operator/approvals"}


def site_of(request: AnyRequest) -> Site:
    """The site that the browser sees: passkeys belong to it."""
    return Site(request.url.hostname or "", f"{request.url.scheme}://{request.url.netloc}")


def area_of(request: AnyRequest) -> str:
    """Whose page it is: `publisher` or `operator`."""
    return str(request.scope["path"]).split("/", 2)[1]


@get(["/publisher/sign-in/second", "/operator/sign-in/second"], include_in_schema=False)
async def second_form(request: AnyRequest) -> Response[str] | Redirect:
    """Ask for the app's code, a recovery code or a passkey."""
    area = area_of(request)
    if not request.cookies.get(SECOND_STEP_COOKIE):
        return back(AREAS[area])
    return await _form(request, area, request.query_params.get("next", ""))


@post(["/publisher/sign-in/second", "/operator/sign-in/second"], include_in_schema=False, status_code=303)
async def second(
    request: AnyRequest, seal: NamedDependency[Seal], store: NamedDependency[EphemeralStore]
) -> Response[Any]:
    """Sign in whoever has typed the password before, by the code."""
    area, form = area_of(request), await typed(request)
    try:
        proof = request.cookies.get(SECOND_STEP_COOKIE, "")
        session = await finish(proof, form["code"], seal=seal, store=store)
    except ChutanError as refused:
        if refused.code == "unauthenticated":
            return back(AREAS[area], proof_cookie(request, "", area=area, max_age=0), refused=refused)
        return await _form(request, area, form["next"], refused=refused)
    place = next_place(form["next"], HOMES[area])
    return await signed_in(request, session, store, place, proof_cookie(request, "", area=area, max_age=0))


@post(
    ["/publisher/sign-in/passkey/options", "/operator/sign-in/passkey/options"], include_in_schema=False,
    status_code=200, media_type="application/json",
)  # fmt: skip
async def options(request: AnyRequest, store: NamedDependency[EphemeralStore]) -> str:
    """What the browser needs to ask for a passkey."""
    return await sign_in_options(site=site_of(request), address=address_of(request), store=store)


@post(["/publisher/sign-in/passkey", "/operator/sign-in/passkey"], include_in_schema=False, status_code=303)
async def by_passkey(request: AnyRequest, store: NamedDependency[EphemeralStore]) -> Redirect:
    """Sign in whoever the passkey belongs to."""
    area, form = area_of(request), await typed(request)
    sign_in = staff_passkey_sign_in if area == "publisher" else operator_passkey_sign_in
    place = next_place(form["next"], HOMES[area])
    try:
        session = await sign_in(
            form["credential"], site=site_of(request), address=address_of(request), store=store
        )
    except ChutanError as refused:
        if refused.code == "unauthenticated":
            return back(f"{AREAS[area]}?next={place}&wrong=passkey")
        return back(f"{AREAS[area]}?next={place}", refused=refused)
    return await signed_in(request, session, store, place, proof_cookie(request, "", area=area, max_age=0))


async def _form(
    request: AnyRequest, area: str, place: str, *, refused: ChutanError | None = None
) -> Response[str]:
    return await page(
        request, "second_step.html", area=area, status=status_of(refused.code) if refused else 200,
        place=AREAS[area], next=next_place(place, HOMES[area]),
        wrong=words_of(request).refusal(refused) if refused else "",
    )  # fmt: skip


HANDLERS = [second_form, second, options, by_passkey]
