"""The publisher's webhooks: endpoints with their secrets, for owners and managers."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.errors import ChutanError, Invalid
from merchants import webhooks
from merchants.publishing import may, require
from merchants.webhooks import KINDS, Endpoint, EndpointChange, NewEndpoint, Secret
from web.access import Staff
from web.pages.forms import AnyRequest, Typed, typed
from web.pages.rendering import Words, back, page, when, words_of
from web.problems import problem_of

PLACE: Final = "/publisher/webhooks"
ONE: Final = PLACE + "/{endpoint_id:uuid}"
_EMPTY: Final[dict[str, Any]] = {"url": "", "description": "", "events": list(KINDS)}


@get(PLACE, include_in_schema=False)
async def endpoints(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """All of them, with what is wrong with them."""
    require(staff.role, "manage_webhooks")
    words = words_of(request)
    shown = [endpoint_shown(words, one) for one in await webhooks.endpoints_of(staff.publisher)]
    return await page(
        request, "publisher/webhooks.html", area="publisher", endpoints=shown,
        may_clients=may(staff.role, "manage_clients"),
    )  # fmt: skip


@get(PLACE + "/new", include_in_schema=False)
async def new(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """An empty form."""
    require(staff.role, "manage_webhooks")
    return await _form(request, _EMPTY)


@post(PLACE + "/new", include_in_schema=False, status_code=200)
async def create(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[Any]:
    """Make an endpoint. Its secret is shown once, and so in the answer itself."""
    require(staff.role, "manage_webhooks")
    fields = _fields(await typed(request))
    try:
        made = await webhooks.create_endpoint(publisher=staff.publisher, new=NewEndpoint(**fields))
    except ChutanError as refused:
        return await _form(request, fields, refusal=refused)
    return await _secret(request, staff, made)


@get(ONE + "/edit", include_in_schema=False)
async def edit_form(
    request: AnyRequest, staff: NamedDependency[Staff], endpoint_id: FromPath[UUID]
) -> Response[str]:
    """The endpoint in the form."""
    require(staff.role, "manage_webhooks")
    one = await webhooks.endpoint_of(publisher=staff.publisher, endpoint=endpoint_id)
    fields = {"url": one.url, "description": one.description, "events": one.events}
    return await _form(request, fields, endpoint=endpoint_id)


@post(ONE + "/edit", include_in_schema=False)
async def edit(
    request: AnyRequest, staff: NamedDependency[Staff], endpoint_id: FromPath[UUID]
) -> Response[Any]:
    """Change it."""
    require(staff.role, "manage_webhooks")
    fields = _fields(await typed(request))
    try:
        await webhooks.change_endpoint(
            publisher=staff.publisher, endpoint=endpoint_id, change=EndpointChange(**fields)
        )
    except Invalid as wrong:
        return await _form(request, fields, endpoint=endpoint_id, refusal=wrong)
    return back(f"{PLACE}/{endpoint_id}")


@post(ONE + "/rotate", include_in_schema=False, status_code=200)
async def rotate(
    request: AnyRequest, staff: NamedDependency[Staff], endpoint_id: FromPath[UUID]
) -> Response[str]:
    """A new secret, beside the old one for a day."""
    require(staff.role, "manage_webhooks")
    made = await webhooks.rotate_secret(publisher=staff.publisher, endpoint=endpoint_id)
    return await _secret(request, staff, made)


@post(ONE + "/switch", include_in_schema=False, status_code=303)
async def switch(request: AnyRequest, staff: NamedDependency[Staff], endpoint_id: FromPath[UUID]) -> Redirect:
    """On, or off."""
    require(staff.role, "manage_webhooks")
    enabled = (await typed(request))["then"] == "on"
    await webhooks.change_endpoint(
        publisher=staff.publisher, endpoint=endpoint_id, change=EndpointChange(enabled=enabled)
    )
    return back(f"{PLACE}/{endpoint_id}")


@post(ONE + "/delete", include_in_schema=False, status_code=303)
async def delete(staff: NamedDependency[Staff], endpoint_id: FromPath[UUID]) -> Redirect:
    """For good."""
    require(staff.role, "manage_webhooks")
    await webhooks.delete_endpoint(publisher=staff.publisher, endpoint=endpoint_id)
    return back(PLACE)


def endpoint_shown(words: Words, one: Endpoint) -> dict[str, Any]:
    """An endpoint as the pages show it; `alarm` is what somebody should look at."""
    alarm = None
    if one.disabled_because is not None:
        alarm = words(f"webhooks.disabled_{one.disabled_because}")
    elif one.failing_since is not None and one.enabled:
        alarm = words("webhooks.failing", since=when(one.failing_since))
    return {
        "id": str(one.id), "url": one.url, "description": one.description, "enabled": one.enabled, "alarm": alarm,
        "events": [words(f"webhooks.event.{kind}") for kind in one.events], "waiting": one.waiting,
        "old_secret_until": when(one.old_secret_until), "created_at": when(one.created_at),
    }  # fmt: skip


def _fields(form: Typed) -> dict[str, Any]:
    return {"url": form["url"], "description": form["description"], "events": form.all("events")}


async def _form(
    request: AnyRequest, fields: dict[str, Any], *, endpoint: UUID | None = None, refusal: ChutanError | None = None
) -> Response[str]:  # fmt: skip
    words = words_of(request)
    errors = words.errors(refusal.errors) if isinstance(refusal, Invalid) else {}
    return await page(
        request, "publisher/webhook_form.html", area="publisher", status=problem_of(refusal).status if refusal else 200,
        fields=fields, errors=errors, refusal=words.refusal(refusal) if refusal and not errors else None,
        kinds=[(kind, words(f"webhooks.event.{kind}")) for kind in KINDS],
        action=f"{PLACE}/{endpoint}/edit" if endpoint else f"{PLACE}/new",
        back=f"{PLACE}/{endpoint}" if endpoint else PLACE, is_new=endpoint is None,
    )  # fmt: skip


async def _secret(request: AnyRequest, staff: Staff, made: Secret) -> Response[str]:
    one = await webhooks.endpoint_of(publisher=staff.publisher, endpoint=made.id)
    return await page(
        request, "publisher/webhook_secret.html", area="publisher", secret=made.secret,
        endpoint=endpoint_shown(words_of(request), one),
    )  # fmt: skip


HANDLERS = [endpoints, new, create, edit_form, edit, rotate, switch, delete]
