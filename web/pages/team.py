"""A publisher's team: who is in it, and the links by which others join."""

from __future__ import annotations

from typing import Any, get_args
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.errors import ChutanError, FieldError, Invalid
from merchants import invitations, members
from merchants.publishing import require
from merchants.staff import StaffRole
from web.access import Staff
from web.pages.forms import AnyRequest, typed
from web.pages.rendering import back, page, when, words_of

PLACE = "/publisher/team"


@get(PLACE, include_in_schema=False)
async def team(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """The members, the open invitations, and a form for another one."""
    require(staff.role, "manage_staff")
    return await _page(request, staff)


@post(f"{PLACE}/invitations", include_in_schema=False, status_code=200)
async def invite(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[Any]:
    """Make an invitation, whose link is shown this once."""
    require(staff.role, "manage_staff")
    form = await typed(request)
    try:
        role = _role(form["role"])
        _, token = await invitations.invite(
            publisher=staff.publisher, by=staff.id, role=role, note=form["note"]
        )
    except Invalid as wrong:
        return await _page(request, staff, asked=form.values(), wrong=wrong)
    except ChutanError as refused:
        return back(PLACE, refused=refused)
    made = {
        "link": f"{str(request.base_url).rstrip('/')}/join/{token}",
        "role": words_of(request)(f"role.{role}"),
    }
    return await _page(request, staff, made=made)


@post(f"{PLACE}/invitations/{{invitation_id:uuid}}/withdraw", include_in_schema=False, status_code=303)
async def withdraw(staff: NamedDependency[Staff], invitation_id: FromPath[UUID]) -> Redirect:
    """The link is good for nothing from now on."""
    require(staff.role, "manage_staff")
    await invitations.withdraw(publisher=staff.publisher, invitation=invitation_id)
    return back(PLACE)


@post(f"{PLACE}/{{member_id:uuid}}/role", include_in_schema=False, status_code=303)
async def change_role(
    request: AnyRequest, staff: NamedDependency[Staff], member_id: FromPath[UUID]
) -> Redirect:
    """Give a member another role."""
    require(staff.role, "manage_staff")
    form = await typed(request)
    try:
        await members.change_role(publisher=staff.publisher, membership=member_id, role=_role(form["role"]))
    except ChutanError as refused:
        return _back(refused)
    return back(PLACE)


@post(f"{PLACE}/{{member_id:uuid}}/remove", include_in_schema=False, status_code=303)
async def remove(staff: NamedDependency[Staff], member_id: FromPath[UUID]) -> Redirect:
    """End a membership, and its sessions with it."""
    require(staff.role, "manage_staff")
    try:
        await members.remove_member(publisher=staff.publisher, membership=member_id)
    except ChutanError as refused:
        return _back(refused)
    return back(PLACE)


def _back(refused: ChutanError) -> Redirect:
    if refused.code == "not_found":
        raise refused
    return back(PLACE, refused=refused)


def _role(given: str) -> StaffRole:
    role: StaffRole | None = next((one for one in get_args(StaffRole) if one == given), None)
    if role is None:
        raise Invalid(FieldError("role", "required"))
    return role


async def _page(
    request: AnyRequest, staff: Staff, *, asked: dict[str, str] | None = None, wrong: Invalid | None = None,
    made: dict[str, str] | None = None,
) -> Response[str]:  # fmt: skip
    words = words_of(request)
    roles = [(role, words(f"role.{role}")) for role in get_args(StaffRole)]
    return await page(
        request, "publisher/team.html", area="publisher", status=400 if wrong else 200, roles=roles, made=made,
        members=[
            {"id": str(one.id), "name": one.name, "login": one.login, "role": one.role,
             "role_words": words(f"role.{one.role}"), "since": when(one.since), "me": one.id == staff.id}
            for one in await members.members_of(staff.publisher)
        ],
        invitations=[
            {"id": str(one.id), "role": words(f"role.{one.role}"), "note": one.note, "until": when(one.expires_at)}
            for one in await invitations.open_invitations(staff.publisher)
        ],
        asked={"role": "cashier", "note": ""} | (asked or {}), errors=words.errors(wrong.errors) if wrong else {},
        role_details=[(words(f"role.{role}"), words(f"role.{role}_detail")) for role in reversed(get_args(StaffRole))],
    )  # fmt: skip


HANDLERS = [team, invite, withdraw, change_role, remove]
