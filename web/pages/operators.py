"""Operators, managed by those who have the province: who is one, and of which city."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.cities import CITIES
from marketplace.errors import ChutanError, Invalid, NotFound
from marketplace.identity.operators import add_operator, change_city, operators, remove_operator
from web.access import Operator, province_only
from web.pages.forms import AnyRequest, typed
from web.pages.rendering import back, page, when, words_of

PLACE: Final = "/operator/operators"
_GUARDED: Final[dict[str, Any]] = {"include_in_schema": False, "guards": [province_only]}


@get(PLACE, **_GUARDED)
async def all_operators(request: AnyRequest, operator: NamedDependency[Operator]) -> Response[str]:
    """Who is an operator, and a form for another one."""
    return await _page(request, operator)


@post(PLACE, **_GUARDED)
async def add(request: AnyRequest, operator: NamedDependency[Operator]) -> Response[Any]:
    """A new operator, who signs in with the password that was agreed on."""
    form = await typed(request)
    try:
        await add_operator(
            login=form["login"], name=form["name"], password=form["password"], city=form["city"] or None,
            actor=operator.actor,
        )  # fmt: skip
    except Invalid as wrong:
        return await _page(request, operator, asked=form.values(), wrong=wrong)
    return back(PLACE)


@post(f"{PLACE}/{{operator_id:uuid}}/city", status_code=303, **_GUARDED)
async def change(
    request: AnyRequest, operator: NamedDependency[Operator], operator_id: FromPath[UUID]
) -> Redirect:
    """Give an operator a city, or the province."""
    form = await typed(request)
    try:
        await change_city(operator=operator_id, city=form["city"] or None, actor=operator.actor)
    except NotFound:
        raise
    except ChutanError as refused:
        return back(PLACE, refused=refused)
    return back(PLACE)


@post(f"{PLACE}/{{operator_id:uuid}}/remove", status_code=303, **_GUARDED)
async def remove(operator: NamedDependency[Operator], operator_id: FromPath[UUID]) -> Redirect:
    """This is an operator no more."""
    try:
        await remove_operator(operator=operator_id, actor=operator.actor)
    except NotFound:
        raise
    except ChutanError as refused:
        return back(PLACE, refused=refused)
    return back(PLACE)


async def _page(
    request: AnyRequest, operator: Operator, *, asked: dict[str, str] | None = None, wrong: Invalid | None = None
) -> Response[str]:  # fmt: skip
    words, asked = words_of(request), asked or {}
    cities = [
        ("", words("operators.province")),
        *((city, words(f"city.{city}")) for city in CITIES),
    ]
    names = dict(cities)
    shown = [
        {
            "id": str(one.id), "login": one.login, "name": one.name, "city": one.city or "",
            "city_words": names.get(one.city or "", one.city), "since": when(one.created_at),
            "me": one.id == operator.id,
        }
        for one in await operators()
    ]  # fmt: skip
    return await page(
        request, "operator/operators.html", area="operator", status=400 if wrong else 200, operators=shown,
        cities=cities, asked={name: asked.get(name, "") for name in ("login", "name", "city")},
        errors=words.errors(wrong.errors) if wrong else {},
    )  # fmt: skip


HANDLERS = [all_operators, add, change, remove]
