"""The publisher's API clients: made, given a new secret, revoked. For owners."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.errors import ChutanError, Invalid
from merchants import api_clients
from merchants.api_clients import SCOPES, ClientSecret
from merchants.publishing import require
from web.access import Staff
from web.pages.forms import AnyRequest, Typed, typed
from web.pages.rendering import back, page, when, words_of
from web.problems import problem_of

_PLACE: Final = "/publisher/clients"


@get(_PLACE, include_in_schema=False)
async def clients(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """All of them, and a form for another one."""
    require(staff.role, "manage_clients")
    return await _page(request, staff)


@post(_PLACE, include_in_schema=False, status_code=200)
async def create(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[Any]:
    """Make a client. Its secret is shown once, and so in the answer itself."""
    require(staff.role, "manage_clients")
    form = await typed(request)
    try:
        made = await api_clients.add_client(
            publisher=staff.publisher, name=form["name"], scopes=form.all("scopes"), created_by=staff.actor
        )
    except ChutanError as refused:
        return await _page(request, staff, form=form, refusal=refused)
    return await _page(request, staff, secret=made)


@post(_PLACE + "/{client_id:uuid}/rotate", include_in_schema=False, status_code=200)
async def rotate(
    request: AnyRequest, staff: NamedDependency[Staff], client_id: FromPath[UUID]
) -> Response[str]:
    """A new secret."""
    require(staff.role, "manage_clients")
    made = await api_clients.rotate_client(publisher=staff.publisher, client=client_id)
    return await _page(request, staff, secret=made)


@post(_PLACE + "/{client_id:uuid}/revoke", include_in_schema=False, status_code=303)
async def revoke(staff: NamedDependency[Staff], client_id: FromPath[UUID]) -> Redirect:
    """At once."""
    require(staff.role, "manage_clients")
    await api_clients.revoke_client(publisher=staff.publisher, client=client_id)
    return back(_PLACE)


async def _page(
    request: AnyRequest, staff: Staff, *, secret: ClientSecret | None = None, form: Typed | None = None,
    refusal: ChutanError | None = None,
) -> Response[str]:  # fmt: skip
    words = words_of(request)
    errors = words.errors(refusal.errors) if isinstance(refusal, Invalid) else {}
    return await page(
        request, "publisher/clients.html", area="publisher", status=problem_of(refusal).status if refusal else 200,
        clients=[
            {"id": str(one.id), "client_id": one.client_id, "name": one.name,
             "scopes": [words(f"clients.scope.{scope}") for scope in one.scopes], "seen_at": when(one.last_used_at)}
            for one in await api_clients.clients_of(staff.publisher)
        ],
        scopes=[(scope, words(f"clients.scope.{scope}")) for scope in SCOPES], secret=secret, errors=errors,
        base=str(request.base_url).rstrip("/"), refusal=words.refusal(refusal) if refusal and not errors else None,
        typed={"name": form["name"], "scopes": form.all("scopes")} if form else {"name": "", "scopes": []},
    )  # fmt: skip


HANDLERS = [clients, create, rotate, revoke]
