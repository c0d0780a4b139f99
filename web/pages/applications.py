"""The operator's desk for publishers that apply."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.errors import ChutanError, FieldError, Invalid
from merchants import applications
from web.access import Operator
from web.pages.application_form import facts_of
from web.pages.forms import AnyRequest, typed, whole
from web.pages.rendering import back, page, when, words_of
from web.paging import before, page_of

A_PAGE: Final = 50
_VERBS: Final = {"return": applications.send_back, "reject": applications.reject}


@get("/operator/applications", include_in_schema=False)
async def waiting(request: AnyRequest, operator: NamedDependency[Operator]) -> Response[str]:
    """Those that wait, oldest first."""
    return await _page(request, operator)


@post("/operator/applications/{publisher:uuid}/approve", include_in_schema=False, status_code=303)
async def approve(
    request: AnyRequest, operator: NamedDependency[Operator], publisher: FromPath[UUID]
) -> Redirect:
    """Let the publisher publish."""
    form = await typed(request)
    try:
        await applications.approve(
            publisher=publisher,
            revision=_revision(form["revision"]),
            actor=operator.actor,
            city=operator.city,
        )
    except ChutanError as refused:
        return back("/operator/applications", refused=refused)
    return back("/operator/applications")


@post("/operator/applications/{publisher:uuid}/refuse", include_in_schema=False)
async def refuse(
    request: AnyRequest, operator: NamedDependency[Operator], publisher: FromPath[UUID]
) -> Response[str] | Redirect:
    """Send the application back to be mended, or reject it for good: with a reason."""
    form = await typed(request)
    verb = _VERBS.get(form["then"], applications.send_back)
    try:
        await verb(
            publisher=publisher, revision=_revision(form["revision"]), reason=form["reason"],
            actor=operator.actor, city=operator.city,
        )  # fmt: skip
    except Invalid as wrong:
        return await _page(request, operator, at=publisher, reason=form["reason"], wrong=wrong)
    except ChutanError as refused:
        return back("/operator/applications", refused=refused)
    return back("/operator/applications")


def _revision(text: str) -> int:
    revision = whole(text, field="revision")
    if revision is None:
        raise Invalid(FieldError("revision", "required"))
    return revision


async def _page(
    request: AnyRequest,
    operator: Operator,
    *,
    at: UUID | None = None,
    reason: str = "",
    wrong: Invalid | None = None,
) -> Response[str]:
    words = words_of(request)
    after = before(request.query_params.get("cursor") or None)
    found = page_of(
        await applications.waiting_applications(limit=A_PAGE, after=after, city=operator.city), A_PAGE
    )
    shown = [
        {
            "id": str(one.id), "name": one.name, "revision": one.revision, "facts": facts_of(words, one),
            "sent": when(one.submitted_at), "reason": reason if one.id == at else "",
            "error": next(iter(words.errors(wrong.errors).values())) if wrong and one.id == at else "",
            "history": [
                {"words": words(f"application.{event.event}"), "reason": event.reason, "at": when(event.at)}
                for event in await applications.history_of(one.id)
            ] if one.revision > 1 else [],
        }
        for one in found.items
    ]  # fmt: skip
    return await page(
        request, "operator/applications.html", area="operator", status=400 if wrong else 200, applications=shown,
        next_cursor=found.next_cursor,
    )  # fmt: skip


HANDLERS = [waiting, approve, refuse]
