"""我的: who the resident is, and which channel accounts are theirs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace import mandates, residents
from marketplace.errors import ChutanError
from marketplace.identity import persons
from marketplace.identity.phones import masked
from marketplace.identity.realname import RealNames, masked_name
from marketplace.identity.residents import Person, person_of
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import Session
from web.access import Resident
from web.pages.forms import AnyRequest, Typed, is_secure, typed
from web.pages.memberships import memberships_shown
from web.pages.real_name import form_values, status_after
from web.pages.rendering import back, page, when, words_of
from web.sessions import session_cookie

LINK_COOKIE: Final = "chutan_link"
_DONE: Final = ("verified", "recovered", "disowned", "unlinked", "left")
_Settling = Callable[..., Awaitable[tuple[Session, Person]]]


@get("/account", include_in_schema=False)
async def account_page(
    request: AnyRequest,
    resident: NamedDependency[Resident],
    real_names: NamedDependency[RealNames],
    store: NamedDependency[EphemeralStore],
) -> Response[str]:
    """Who the resident is, verified or not, and the channel accounts that are linked."""
    return await _account(request, resident.id, store, form_values(request, real_names))


@post("/account/identity", include_in_schema=False, status_code=303)
async def verify(
    request: AnyRequest,
    resident: NamedDependency[Resident],
    real_names: NamedDependency[RealNames],
    store: NamedDependency[EphemeralStore],
) -> Response[str] | Redirect:
    """Become a verified person; whoever has an account already is offered to recover it."""
    form = await typed(request)
    try:
        await persons.verify(
            resident=resident.id, name=form["name"], id_number=form["id_number"], real_names=real_names,
            store=store,
        )  # fmt: skip
    except ChutanError as error:
        return await _refused(request, resident.id, store, real_names, form, error)
    return back("/account?done=verified")


@post("/account/recovery", include_in_schema=False, status_code=303)
async def recover(
    request: AnyRequest,
    resident: NamedDependency[Resident],
    real_names: NamedDependency[RealNames],
    store: NamedDependency[EphemeralStore],
) -> Response[str] | Redirect:
    """Go over to the older account of the same person."""
    form = await typed(request)
    try:
        return await _gone_over(request, resident.id, form, real_names, store, persons.recover, "recovered")
    except ChutanError as error:
        return await _refused(request, resident.id, store, real_names, form, error)


@get("/account/disown", include_in_schema=False)
async def disown_form(
    request: AnyRequest, resident: NamedDependency[Resident], real_names: NamedDependency[RealNames]
) -> Response[str]:
    """Explain what becomes of a stranger's account, and ask who the caller is."""
    return await page(request, "disown.html", **form_values(request, real_names))


@post("/account/disown", include_in_schema=False, status_code=303)
async def disown(
    request: AnyRequest,
    resident: NamedDependency[Resident],
    real_names: NamedDependency[RealNames],
    store: NamedDependency[EphemeralStore],
) -> Response[str] | Redirect:
    """Leave a stranger's account for one's own."""
    form = await typed(request)
    try:
        return await _gone_over(request, resident.id, form, real_names, store, persons.disown, "disowned")
    except ChutanError as error:
        values = form_values(request, real_names, form, error)
        return await page(request, "disown.html", status=status_after(error), **values)


@post("/account/links/{channel_key:str}/code", include_in_schema=False, status_code=303)
async def ask_link(
    request: AnyRequest,
    channel_key: FromPath[str],
    resident: NamedDependency[Resident],
    store: NamedDependency[EphemeralStore],
) -> Redirect:
    """A code to give to the channel; the page shows it for as long as it is good."""
    code = await mandates.ask(resident=resident.id, channel=channel_key, store=store)
    return back("/account", _link_cookie(request, f"{channel_key}.{code}"))


@post("/account/links/{link_id:uuid}/end", include_in_schema=False, status_code=303)
async def end_link(link_id: FromPath[UUID], resident: NamedDependency[Resident]) -> Redirect:
    """End one mandate."""
    await residents.end_link(resident=resident.id, link=link_id)
    return back("/account?done=unlinked")


async def _gone_over(
    request: AnyRequest, resident: UUID, form: Typed, real_names: RealNames, store: EphemeralStore,
    verb: _Settling, done: str,
) -> Redirect:  # fmt: skip
    session, _ = await verb(
        resident=resident, name=form["name"], id_number=form["id_number"], real_names=real_names, store=store
    )
    return back(f"/account?done={done}", session_cookie(session, secure=is_secure(request)))


async def _refused(
    request: AnyRequest, resident: UUID, store: EphemeralStore, real_names: RealNames, form: Typed,
    error: ChutanError,
) -> Response[str]:  # fmt: skip
    if error.code == "unauthenticated":
        raise error
    values = form_values(request, real_names, form, error)
    recoverable = error.code == "person_has_account"
    return await _account(
        request, resident, store, values, recoverable=recoverable, status=status_after(error)
    )


async def _account(
    request: AnyRequest, resident: UUID, store: EphemeralStore, values: dict[str, Any], *,
    recoverable: bool = False, status: int = 200,
) -> Response[str]:  # fmt: skip
    words, person = words_of(request), await person_of(resident)
    done = request.query_params.get("done")
    channels = await mandates.channels()
    return await page(
        request, "account.html", status=status, recoverable=recoverable,
        done=words(f"account.done_{done}") if done in _DONE else None,
        me={"name": masked_name(person.name), "phone": masked(person.phone), "verified_at": when(person.verified_at)},
        links=[
            {"id": str(link.id), "channel": link.channel_name, "linked_at": when(link.linked_at)}
            for link in await mandates.mandates_of(resident)
        ],
        channels=channels, memberships=await memberships_shown(words, resident),
        waiting=await _waiting(request, resident, store, {channel.key: channel.name for channel in channels}),
        **values,
    )  # fmt: skip


async def _waiting(
    request: AnyRequest, resident: UUID, store: EphemeralStore, names: dict[str, str]
) -> dict[str, str] | None:
    """The code that the resident asked for, until a channel has confirmed it or its time is up."""
    channel, _, code = request.cookies.get(LINK_COOKIE, "").partition(".")
    if channel not in names or not await mandates.is_waiting(
        resident=resident, channel=channel, code=code, store=store
    ):
        return None
    return {"channel": names[channel], "code": code}


def _link_cookie(request: AnyRequest, value: str) -> Cookie:
    return Cookie(key=LINK_COOKIE, value=value, httponly=True, samesite="lax", path="/account",
                  secure=is_secure(request), max_age=mandates.CODE_TTL_SECONDS)  # fmt: skip


HANDLERS = [account_page, verify, recover, disown_form, disown, ask_link, end_link]
