"""An invitation as the invited see it: join with the account that is signed in, or with a new one."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from marketplace.errors import ChutanError, Invalid
from marketplace.identity.stores import EphemeralStore
from merchants.invitations import Account, invited_to, join, join_as_new
from web.pages.forms import AnyRequest, Typed, typed
from web.pages.rendering import back, page, when, words_of
from web.pages.sign_in import acting_by, person_here, signed_in
from web.problems import problem_of


@get("/join/{token:str}", include_in_schema=False)
async def invitation(request: AnyRequest, token: FromPath[str]) -> Response[str]:
    """To what one is invited."""
    return await _page(request, token)


@post("/join/{token:str}", include_in_schema=False)
async def accept(
    request: AnyRequest, token: FromPath[str], store: NamedDependency[EphemeralStore]
) -> Response[Any]:
    """Join with the account that is signed in."""
    person = await person_here(request)
    if person is None:
        return back(f"/join/{token}")
    try:
        session = await join(token, person=person.id, store=store)
    except ChutanError as error:
        return await _page(request, token, error=error)
    return await acting_by(request, session, store, "/publisher/offers")


@post("/join/{token:str}/account", include_in_schema=False)
async def accept_as_new(
    request: AnyRequest, token: FromPath[str], store: NamedDependency[EphemeralStore]
) -> Response[Any]:
    """Join with a new account."""
    form = await typed(request)
    try:
        session = await join_as_new(
            token, Account(form["login"], form["name"], form["password"]), store=store
        )
    except ChutanError as error:
        return await _page(request, token, form=form, error=error)
    return await signed_in(request, session, store, "/publisher/offers")


async def _page(
    request: AnyRequest, token: str, *, form: Typed | None = None, error: ChutanError | None = None
) -> Response[str]:
    words = words_of(request)
    try:
        invited = await invited_to(token)
    except ChutanError as over:
        return await page(
            request,
            "join_over.html",
            area="publisher",
            status=problem_of(over).status,
            why=words.refusal(over),
        )
    person = await person_here(request)
    errors = words.errors(error.errors) if isinstance(error, Invalid) else {}
    return await page(
        request, "join.html", area="publisher", status=problem_of(error).status if error else 200, token=token,
        publisher=invited.publisher_name, role_words=words(f"role.{invited.role}"),
        role_detail=words(f"role.{invited.role}_detail"), until=when(invited.expires_at),
        person=person.name if person else None, errors=errors,
        typed={name: form[name] if form is not None else "" for name in ("login", "name")},
        refused=words("form.errors") if errors else words.refusal(error) if error else None,
    )  # fmt: skip


HANDLERS = [invitation, accept, accept_as_new]
