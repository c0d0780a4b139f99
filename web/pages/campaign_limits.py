"""The operator's limits over the offers of a campaign: the same list and form that publishers have for theirs."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.campaigns.reading import campaign
from marketplace.offers.shared_limits import Owner
from web.access import Operator, province_only
from web.pages import limits
from web.pages.forms import AnyRequest

_PLACE: Final = "/operator/campaigns/{campaign_id:uuid}/limits"
_ONE: Final = _PLACE + "/{limit_id:uuid}"


async def _desk(operator: Operator, campaign_id: UUID) -> limits.Desk:
    """Raises NotFound."""
    found = await campaign(campaign_id)
    place = f"/operator/campaigns/{campaign_id}"
    return limits.Desk(Owner(campaign=found.id), "operator", f"{place}/limits", place, operator.actor, True)


@get(_PLACE, include_in_schema=False)
async def listed(
    request: AnyRequest, operator: NamedDependency[Operator], campaign_id: FromPath[UUID]
) -> Response[str]:
    """All of them."""
    return await limits.listed(request, await _desk(operator, campaign_id))


@get(f"{_PLACE}/new", include_in_schema=False)
async def new(
    request: AnyRequest, operator: NamedDependency[Operator], campaign_id: FromPath[UUID]
) -> Response[str]:
    """An empty form."""
    return await limits.form_of(request, await _desk(operator, campaign_id), limits.EMPTY)


@post(f"{_PLACE}/new", include_in_schema=False)
async def create(
    request: AnyRequest, operator: NamedDependency[Operator], campaign_id: FromPath[UUID]
) -> Response[Any]:
    """Set the limit."""
    return await limits.made(request, await _desk(operator, campaign_id))


@get(_ONE, include_in_schema=False)
async def edit_form(
    request: AnyRequest, operator: NamedDependency[Operator], campaign_id: FromPath[UUID], limit_id: FromPath[UUID]
) -> Response[str]:  # fmt: skip
    """The limit in the form."""
    return await limits.filled(request, await _desk(operator, campaign_id), limit_id)


@post(_ONE, include_in_schema=False)
async def edit(
    request: AnyRequest, operator: NamedDependency[Operator], campaign_id: FromPath[UUID], limit_id: FromPath[UUID]
) -> Response[Any]:  # fmt: skip
    """Change it."""
    return await limits.changed(request, await _desk(operator, campaign_id), limit_id)


@post(f"{_ONE}/end", include_in_schema=False, status_code=303)
async def end(
    operator: NamedDependency[Operator], campaign_id: FromPath[UUID], limit_id: FromPath[UUID]
) -> Redirect:
    """Lift it for good."""
    return await limits.lifted(await _desk(operator, campaign_id), limit_id)


HANDLERS = [Router("/", route_handlers=[listed, new, create, edit_form, edit, end], guards=[province_only])]
