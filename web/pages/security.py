"""Somebody's own sign-in: the app's codes, passkeys and recovery codes. For staff and operators alike.

Only who has signed in a moment ago changes anything here; the others are asked to sign in again, whole.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final
from uuid import UUID

import segno
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.errors import ChutanError, Invalid, Refused
from marketplace.identity import passkeys, totp
from marketplace.identity.holders import Holder, factors_of, renew_codes
from marketplace.identity.passwords import operator_login
from marketplace.identity.recency import is_recent
from marketplace.identity.sealing import Seal
from marketplace.identity.stores import EphemeralStore
from web import access
from web.pages.forms import AnyRequest, typed
from web.pages.rendering import AREAS, back, page, when, words_of
from web.pages.second_step import area_of, site_of
from web.problems import problem_of

_DONE: Final = ("totp_off", "removed", "renamed")


@get(["/publisher/security", "/operator/security"], include_in_schema=False)
async def security(
    request: AnyRequest, seal: NamedDependency[Seal], store: NamedDependency[EphemeralStore]
) -> Response[str]:
    """The factors that there are, and what can be added."""
    return await _page(request, seal, store)


@post(["/publisher/security/totp", "/operator/security/totp"], include_in_schema=False, status_code=200)
async def turn_on(
    request: AnyRequest, seal: NamedDependency[Seal], store: NamedDependency[EphemeralStore]
) -> Response[Any]:
    """Turn the app on, by the first of its codes."""
    holder, _ = await _changing(request, store)
    form = await typed(request)
    try:
        codes = await totp.confirm(holder, form["code"].replace(" ", ""), seal=seal, store=store)
    except Invalid as wrong:
        return await _page(request, seal, store, wrong=wrong)
    except ChutanError as refused:
        return back(f"/{area_of(request)}/security", refused=refused)
    return await _done(request, codes)


@post(
    ["/publisher/security/totp/off", "/operator/security/totp/off"], include_in_schema=False, status_code=303
)
async def turn_off(request: AnyRequest, store: NamedDependency[EphemeralStore]) -> Redirect:
    """No code of an app is asked for any more."""
    holder, _ = await _changing(request, store)
    await totp.turn_off(holder)
    return back(f"/{area_of(request)}/security?done=totp_off")


@post(["/publisher/security/codes", "/operator/security/codes"], include_in_schema=False, status_code=200)
async def new_codes(request: AnyRequest, store: NamedDependency[EphemeralStore]) -> Response[Any]:
    """New recovery codes; the old ones are good for nothing."""
    holder, _ = await _changing(request, store)
    return await _done(request, await renew_codes(holder))


@post(
    ["/publisher/security/passkeys/options", "/operator/security/passkeys/options"], include_in_schema=False,
    status_code=200, media_type="application/json",
)  # fmt: skip
async def passkey_options(request: AnyRequest, store: NamedDependency[EphemeralStore]) -> str:
    """What the browser needs to make a passkey."""
    holder, login = await _changing(request, store)
    return await passkeys.registration_options(holder, login=login, site=site_of(request), store=store)


@post(
    ["/publisher/security/passkeys", "/operator/security/passkeys"], include_in_schema=False, status_code=200
)
async def add_passkey(
    request: AnyRequest, seal: NamedDependency[Seal], store: NamedDependency[EphemeralStore]
) -> Response[Any]:
    """Keep the passkey that the browser has made."""
    holder, _ = await _changing(request, store)
    form = await typed(request)
    try:
        codes = await passkeys.register(
            holder, form["credential"], name=form["name"], site=site_of(request), store=store
        )
    except Invalid as wrong:
        return await _page(request, seal, store, wrong=wrong)
    except ChutanError as refused:
        return back(f"/{area_of(request)}/security", refused=refused)
    return await _done(request, codes)


@post(
    ["/publisher/security/passkeys/{passkey_id:uuid}/name", "/operator/security/passkeys/{passkey_id:uuid}/name"],
    include_in_schema=False, status_code=303,
)  # fmt: skip
async def rename_passkey(
    request: AnyRequest, passkey_id: FromPath[UUID], store: NamedDependency[EphemeralStore]
) -> Redirect:
    """Call a passkey otherwise."""
    holder, _ = await _changing(request, store)
    form, place = await typed(request), f"/{area_of(request)}/security"
    try:
        await passkeys.rename(holder, passkey=passkey_id, name=form["name"])
    except Invalid as wrong:
        return back(place, refused=wrong)
    return back(f"{place}?done=renamed")


@post(
    ["/publisher/security/passkeys/{passkey_id:uuid}/remove", "/operator/security/passkeys/{passkey_id:uuid}/remove"],
    include_in_schema=False, status_code=303,
)  # fmt: skip
async def remove_passkey(
    request: AnyRequest, passkey_id: FromPath[UUID], store: NamedDependency[EphemeralStore]
) -> Redirect:
    """This passkey signs nobody in any more."""
    holder, _ = await _changing(request, store)
    await passkeys.remove(holder, passkey=passkey_id)
    return back(f"/{area_of(request)}/security?done=removed")


async def _holder(request: AnyRequest) -> tuple[Holder, str]:
    """Whose sign-in it is, and their login."""
    if area_of(request) == "operator":
        operator = await access.operator(request)
        return Holder("operator", operator.id), await operator_login(operator.id)
    person = await access.person(request)
    return Holder("staff", person.id), person.login


async def _changing(request: AnyRequest, store: EphemeralStore) -> tuple[Holder, str]:
    """The holder, who has signed in a moment ago. Raises Refused `sign_in_again`."""
    found = await _holder(request)
    if not await is_recent(access.bearer_token(request) or "", store=store):
        raise Refused("sign_in_again")
    return found


async def _done(request: AnyRequest, codes: list[str]) -> Response[Any]:
    """Recovery codes are shown this once; where there are none to show, the page is."""
    area = area_of(request)
    if not codes:
        return back(f"/{area}/security")
    return await page(request, "recovery_codes.html", area=area, codes=codes)


async def _page(
    request: AnyRequest, seal: Seal, store: EphemeralStore, *, wrong: Invalid | None = None
) -> Response[str]:
    area, words = area_of(request), words_of(request)
    holder, login = await _holder(request)
    recent = await is_recent(access.bearer_token(request) or "", store=store)
    factors = await factors_of(holder)
    setup = None
    if recent and factors.totp_since is None:
        found = await totp.begin_setup(holder, login=login, seal=seal, store=store)
        drawn = segno.make(found.uri, error="m").svg_inline(scale=4, border=2, omitsize=True)
        setup = {"svg": drawn, "secret": " ".join(found.secret[at : at + 4] for at in range(0, len(found.secret), 4)),
                 "uri": found.uri}  # fmt: skip
    done = request.query_params.get("done")
    return await page(
        request, "security.html", area=area, status=problem_of(wrong).status if wrong else 200,
        errors=words.errors(wrong.errors) if wrong else {}, recent=recent, setup=setup, login=login,
        totp_since=when(factors.totp_since), codes_left=factors.recovery_codes, has_factor=factors.any,
        passkeys=[
            {"id": str(one.id), "name": one.name, "created_at": when(one.created_at), "used_at": when(one.last_used_at)}
            for one in await passkeys.passkeys_of(holder)
        ],
        sign_in=f"{AREAS[area]}?next=/{area}/security", possible=_may_have_passkeys(site_of(request).host),
        done=words(f"security.done_{done}") if done in _DONE else None,
    )  # fmt: skip


def _may_have_passkeys(host: str) -> bool:
    """Passkeys belong to a name: at an address of numbers browsers make none."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return True
    return False


HANDLERS = [
    security, turn_on, turn_off, new_codes, passkey_options, add_passkey, rename_passkey, remove_passkey,
]  # fmt: skip
