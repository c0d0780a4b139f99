"""A publisher's limits over several of its offers: the list and the form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
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
EMPTY: Final[Mapping[str, Any]] = {"name": "", **dict.fromkeys(_CAPS, ""), "offers": []}
_A_PAGE: Final = 50


class Desk(NamedTuple):
    """Whose limits a page shows, and where."""

    owner: Owner
    area: str
    place: str
    back_to: str
    actor: str
    may_set: bool


def _desk(staff: Staff) -> Desk:
    return Desk(Owner(publisher=staff.publisher), "publisher", _PLACE, "/publisher/offers", f"staff:{staff.id}",
                may(staff.role, "publish"))  # fmt: skip


@get(_PLACE, include_in_schema=False)
async def limits(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """All of them."""
    require(staff.role, "read_offers")
    return await listed(request, _desk(staff))


async def listed(request: AnyRequest, desk: Desk) -> Response[str]:
    """The list."""
    words, owner = words_of(request), desk.owner
    older_than = before(request.query_params.get("cursor") or None)
    found = page_of(await shared_limits.own_limits(owner, before=older_than, count=_A_PAGE + 1), _A_PAGE)
    titles = await shared_limits.titles_of(owner)
    return await page(
        request, "publisher/limits.html", area=desk.area, may_publish=desk.may_set, place=desk.place,
        back_to=desk.back_to, limits=[_shown(words, limit, titles) for limit in found.items],
        next_cursor=found.next_cursor,
    )  # fmt: skip


def _shown(words: Words, limit: OwnLimit, titles: Mapping[UUID, str]) -> dict[str, Any]:
    named = [titles.get(offer) or words("offer.untitled") for offer in limit.offers or ()]
    return {
        "id": str(limit.id), "name": limit.name, "caps": caps_of(words, limit), "ended": limit.ended_at is not None,
        "offers": words("limits.whole_campaign") if limit.offers is None else words("fact.comma").join(named),
    }  # fmt: skip


@get(f"{_PLACE}/new", include_in_schema=False)
async def new(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """An empty form."""
    require(staff.role, "publish")
    return await form_of(request, _desk(staff), EMPTY)


@post(f"{_PLACE}/new", include_in_schema=False)
async def create(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[Any]:
    """Set the limit."""
    require(staff.role, "publish")
    return await made(request, _desk(staff))


@get(f"{_PLACE}/{{limit_id:uuid}}", include_in_schema=False)
async def edit_form(
    request: AnyRequest, staff: NamedDependency[Staff], limit_id: FromPath[UUID]
) -> Response[str]:
    """The limit in the form."""
    require(staff.role, "publish")
    return await filled(request, _desk(staff), limit_id)


@post(f"{_PLACE}/{{limit_id:uuid}}", include_in_schema=False)
async def edit(request: AnyRequest, staff: NamedDependency[Staff], limit_id: FromPath[UUID]) -> Response[Any]:
    """Change it."""
    require(staff.role, "publish")
    return await changed(request, _desk(staff), limit_id)


@post(f"{_PLACE}/{{limit_id:uuid}}/end", include_in_schema=False, status_code=303)
async def end(request: AnyRequest, staff: NamedDependency[Staff], limit_id: FromPath[UUID]) -> Redirect:
    """Lift it for good."""
    require(staff.role, "publish")
    return await lifted(_desk(staff), limit_id)


# ------------------------------------------------------------------ whoever's desk it is
async def made(request: AnyRequest, desk: Desk) -> Response[Any]:
    """A limit as the form asks for it, or the form again."""
    form = await typed(request)
    try:
        await shared_limits.create_limit(desk.owner, checked(_given(form, desk), NewLimit), actor=desk.actor)
    except Invalid as wrong:
        return await form_of(request, desk, _typed_fields(form), wrong=wrong)
    return back(desk.place)


async def filled(request: AnyRequest, desk: Desk, limit_id: UUID) -> Response[str]:
    """The form as the limit is."""
    limit = await shared_limits.own_limit(desk.owner, limit_id)
    caps = {name: "" if (cap := getattr(limit, name)) is None else str(cap) for name in _CAPS}
    fields = {"name": limit.name, **caps, "offers": list(map(str, limit.offers or ()))}
    return await form_of(request, desk, fields, limit=limit_id)


async def changed(request: AnyRequest, desk: Desk, limit_id: UUID) -> Response[Any]:
    """The limit as the form asks for it, or the form again."""
    form = await typed(request)
    try:
        change = checked(_given(form, desk), LimitChange)
        await shared_limits.edit_limit(desk.owner, limit_id, change, actor=desk.actor)
    except Invalid as wrong:
        return await form_of(request, desk, _typed_fields(form), limit=limit_id, wrong=wrong)
    except ChutanError as refused:
        return back(desk.place, refused=refused)
    return back(desk.place)


async def lifted(desk: Desk, limit_id: UUID) -> Redirect:
    """The list again, without the limit."""
    try:
        await shared_limits.end_limit(desk.owner, limit_id, actor=desk.actor)
    except ChutanError as refused:
        return back(desk.place, refused=refused)
    return back(desk.place)


def _given(form: Typed, desk: Desk) -> dict[str, Any]:
    """What the form asks for. Raises Invalid with every field that is wrong."""
    errors: list[FieldError] = []
    given: dict[str, Any] = {"name": form["name"], "offers": form.all("offers")}
    if desk.owner.campaign is not None and not given["offers"]:
        given["offers"] = None  # over all that it pays for
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


async def form_of(
    request: AnyRequest, desk: Desk, fields: Mapping[str, Any], *, limit: UUID | None = None,
    wrong: Invalid | None = None,
) -> Response[str]:  # fmt: skip
    """The form with `fields`, and every error at its field."""
    words = words_of(request)
    at = (
        [FieldError(error.field.split(".", maxsplit=1)[0], error.code) for error in wrong.errors]
        if wrong
        else []
    )
    titles = await shared_limits.titles_of(desk.owner)
    offers = [
        {"id": str(offer), "title": title or words("offer.untitled")} for offer, title in titles.items()
    ]
    return await page(
        request, "publisher/limit_form.html", area=desk.area, status=400 if wrong else 200, fields=fields,
        errors=words.errors(at), offers=offers, is_new=limit is None, place=desk.place,
        none_is_all=desk.owner.campaign is not None,
        action=f"{desk.place}/{limit}" if limit else f"{desk.place}/new",
    )  # fmt: skip


HANDLERS = [limits, new, create, edit_form, edit, end]
