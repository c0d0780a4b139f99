"""A publisher's limits over several of its offers: the list and the form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.errors import ChutanError, FieldError, Invalid
from marketplace.offers import shared_limits
from marketplace.offers.benefits import checked
from marketplace.offers.shared_limits import LimitChange, NewLimit, Owner, OwnLimit
from merchants.publishing import may, require
from web.access import Staff
from web.pages.forms import AnyRequest, Typed, typed, whole
from web.pages.limit_facts import caps_of
from web.pages.rendering import Words, back, page, words_of
from web.paging import before, page_of

_CAPS: Final = ("per_resident", "per_resident_per_day", "per_resident_per_week")
_PLACE: Final = "/publisher/limits"
_A_PAGE: Final = 50


@get(_PLACE, include_in_schema=False)
async def limits(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """All of them."""
    require(staff.role, "read_offers")
    words, owner = words_of(request), Owner(publisher=staff.publisher)
    older_than = before(request.query_params.get("cursor") or None)
    found = page_of(await shared_limits.own_limits(owner, before=older_than, count=_A_PAGE + 1), _A_PAGE)
    titles = await shared_limits.titles_of(owner)
    return await page(
        request, "publisher/limits.html", area="publisher", may_publish=may(staff.role, "publish"),
        limits=[_shown(words, limit, titles) for limit in found.items], next_cursor=found.next_cursor,
    )  # fmt: skip


def _shown(words: Words, limit: OwnLimit, titles: Mapping[UUID, str]) -> dict[str, Any]:
    named = [titles.get(offer) or words("offer.untitled") for offer in limit.offers or ()]
    return {
        "id": str(limit.id), "name": limit.name, "caps": caps_of(words, limit), "ended": limit.ended_at is not None,
        "offers": words("fact.comma").join(named),
    }  # fmt: skip


@get(f"{_PLACE}/new", include_in_schema=False)
async def new(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """An empty form."""
    require(staff.role, "publish")
    return await _form(request, staff, {"name": "", **dict.fromkeys(_CAPS, ""), "offers": []})


@post(f"{_PLACE}/new", include_in_schema=False)
async def create(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[Any]:
    """Set the limit."""
    require(staff.role, "publish")
    form = await typed(request)
    try:
        await shared_limits.create_limit(
            Owner(publisher=staff.publisher), checked(_given(form), NewLimit), actor=f"staff:{staff.id}"
        )
    except Invalid as wrong:
        return await _form(request, staff, _typed_fields(form), wrong=wrong)
    return back(_PLACE)


@get(f"{_PLACE}/{{limit_id:uuid}}", include_in_schema=False)
async def edit_form(
    request: AnyRequest, staff: NamedDependency[Staff], limit_id: FromPath[UUID]
) -> Response[str]:
    """The limit in the form."""
    require(staff.role, "publish")
    limit = await shared_limits.own_limit(Owner(publisher=staff.publisher), limit_id)
    caps = {name: "" if (cap := getattr(limit, name)) is None else str(cap) for name in _CAPS}
    return await _form(
        request, staff, {"name": limit.name, **caps, "offers": list(map(str, limit.offers or ()))}, limit=limit_id
    )  # fmt: skip


@post(f"{_PLACE}/{{limit_id:uuid}}", include_in_schema=False)
async def edit(request: AnyRequest, staff: NamedDependency[Staff], limit_id: FromPath[UUID]) -> Response[Any]:
    """Change it."""
    require(staff.role, "publish")
    form = await typed(request)
    try:
        await shared_limits.edit_limit(
            Owner(publisher=staff.publisher), limit_id, checked(_given(form), LimitChange), actor=f"staff:{staff.id}"
        )  # fmt: skip
    except Invalid as wrong:
        return await _form(request, staff, _typed_fields(form), limit=limit_id, wrong=wrong)
    except ChutanError as refused:
        return back(_PLACE, refused=refused)
    return back(_PLACE)


@post(f"{_PLACE}/{{limit_id:uuid}}/end", include_in_schema=False, status_code=303)
async def end(request: AnyRequest, staff: NamedDependency[Staff], limit_id: FromPath[UUID]) -> Redirect:
    """Lift it for good."""
    require(staff.role, "publish")
    try:
        await shared_limits.end_limit(Owner(publisher=staff.publisher), limit_id, actor=f"staff:{staff.id}")
    except ChutanError as refused:
        return back(_PLACE, refused=refused)
    return back(_PLACE)


def _given(form: Typed) -> dict[str, Any]:
    """What the form asks for. Raises Invalid with every field that is wrong."""
    errors: list[FieldError] = []
    given: dict[str, Any] = {"name": form["name"], "offers": form.all("offers")}
    for name in _CAPS:
        try:
            given[name] = whole(form[name], field=name)
        except Invalid as wrong:
            errors += wrong.errors
    for name, value in given.items():
        try:
            checked({name: value}, LimitChange)
        except Invalid as wrong:
            errors += wrong.errors
    if errors:
        raise Invalid(*errors)
    return given


def _typed_fields(form: Typed) -> dict[str, Any]:
    return {"name": form["name"], **{name: form[name] for name in _CAPS}, "offers": form.all("offers")}


async def _form(
    request: AnyRequest, staff: Staff, fields: Mapping[str, Any], *, limit: UUID | None = None,
    wrong: Invalid | None = None,
) -> Response[str]:  # fmt: skip
    """The form with `fields`, and every error at its field."""
    words = words_of(request)
    at = (
        [FieldError(error.field.split(".", maxsplit=1)[0], error.code) for error in wrong.errors]
        if wrong
        else []
    )
    titles = await shared_limits.titles_of(Owner(publisher=staff.publisher))
    offers = [
        {"id": str(offer), "title": title or words("offer.untitled")} for offer, title in titles.items()
    ]
    return await page(
        request, "publisher/limit_form.html", area="publisher", status=400 if wrong else 200, fields=fields,
        errors=words.errors(at), offers=offers, is_new=limit is None,
        action=f"{_PLACE}/{limit}" if limit else f"{_PLACE}/new",
    )  # fmt: skip


HANDLERS = [limits, new, create, edit_form, edit, end]
