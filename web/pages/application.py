"""The application of the publisher that somebody acts for: how it stands, and mending what was sent back."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency

from marketplace.errors import ChutanError, Invalid, NotFound
from merchants.applications import application_of
from merchants.onboarding import mend
from merchants.publishing import require
from merchants.staff import StaffMember
from web.pages.application_form import FIELDS, facts_of, fields_of, form_values, told
from web.pages.forms import AnyRequest, typed
from web.pages.rendering import back, page, when, words_of


@get("/publisher/application", include_in_schema=False)
async def application(request: AnyRequest, member: NamedDependency[StaffMember]) -> Response[Any]:
    """How the application stands; a publisher that may publish has no use for the page."""
    if member.publisher_status in ("active", "suspended"):
        return back("/publisher/offers")
    try:
        return await _page(request, member)
    except NotFound:
        return back("/publisher/organisations")


@post("/publisher/application", include_in_schema=False)
async def send_again(request: AnyRequest, member: NamedDependency[StaffMember]) -> Response[Any]:
    """Mend what was sent back, and send it again."""
    require(member.role, "manage_staff")
    form = await typed(request)
    try:
        await mend(told(form), publisher=member.publisher, actor=f"staff:{member.id}")
    except Invalid as wrong:
        return await _page(request, member, fields={name: form[name] for name in FIELDS}, wrong=wrong)
    except ChutanError as refused:
        return back("/publisher/application", refused=refused)
    return back("/publisher/application")


async def _page(
    request: AnyRequest,
    member: StaffMember,
    *,
    fields: dict[str, str] | None = None,
    wrong: Invalid | None = None,
) -> Response[str]:
    words, found = words_of(request), await application_of(member.publisher)
    values = form_values(words, fields or fields_of(found), wrong)
    if wrong is None:
        del values["refused"]
    return await page(
        request, "publisher/application.html", area="publisher", status=400 if wrong else 200,
        name=found.name, state=found.state, state_words=words(f"application.{found.state}"),
        detail=words(f"application.{found.state}_detail"), reason=found.reason, sent=when(found.submitted_at),
        facts=facts_of(words, found), mendable=found.state == "returned" and member.role == "owner", **values,
    )  # fmt: skip


HANDLERS = [application, send_again]
