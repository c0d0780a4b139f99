"""A publisher's stores: opened and renamed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from marketplace.errors import ChutanError, Invalid
from marketplace.publishers import stores as stores_of
from marketplace.publishers import tills
from merchants.publishing import require
from merchants.stores import open_store, rename_store
from web.access import Staff
from web.pages.forms import AnyRequest, Typed, typed
from web.pages.rendering import back, page, words_of

NEW = "new"


@get("/publisher/stores", include_in_schema=False)
async def stores(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """All of them, and a form for a further one."""
    require(staff.role, "manage_stores")
    return await _page(request, staff)


@post("/publisher/stores", include_in_schema=False)
async def create(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[Any]:
    """A further store."""
    require(staff.role, "manage_stores")
    form = await typed(request)
    try:
        await open_store(publisher=staff.publisher, name=form["name"], address=form["address"])
    except Invalid as wrong:
        return await _page(request, staff, at=NEW, form=form, wrong=wrong)
    except ChutanError as refused:
        return back("/publisher/stores", refused=refused)
    return back("/publisher/stores")


@post("/publisher/stores/{store_id:uuid}", include_in_schema=False)
async def rename(
    request: AnyRequest, staff: NamedDependency[Staff], store_id: FromPath[UUID]
) -> Response[Any]:
    """Another name and address."""
    require(staff.role, "manage_stores")
    form = await typed(request)
    try:
        await rename_store(
            publisher=staff.publisher, store=store_id, name=form["name"], address=form["address"]
        )
    except Invalid as wrong:
        return await _page(request, staff, at=str(store_id), form=form, wrong=wrong)
    return back("/publisher/stores")


async def _page(
    request: AnyRequest,
    staff: Staff,
    *,
    at: str = "",
    form: Typed | None = None,
    wrong: Invalid | None = None,
) -> Response[str]:
    errors = words_of(request).errors(wrong.errors) if wrong else {}
    asked = {"name": form["name"], "address": form["address"]} if form is not None else {}
    at_tills = [one.store for one in await tills(publisher=staff.publisher)]
    shown = [
        {
            "id": str(one.id), "title": one.name, "tills": at_tills.count(one.id), "open": str(one.id) == at,
            "errors": errors if str(one.id) == at else {},
            **({"name": one.name, "address": one.address} | (asked if str(one.id) == at else {})),
        }
        for one in await stores_of(publisher=staff.publisher)
    ]  # fmt: skip
    new = {"errors": errors, **asked} if at == NEW else {"errors": {}, "name": "", "address": ""}
    return await page(
        request,
        "publisher/stores.html",
        area="publisher",
        status=400 if wrong else 200,
        stores=shown,
        new=new,
    )


HANDLERS = [stores, create, rename]
