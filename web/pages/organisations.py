"""For whom somebody acts: their organisations, and the change from one to another."""

from __future__ import annotations

from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace.identity.stores import EphemeralStore
from merchants.staff import Person, act_for, memberships_of
from web.pages.forms import AnyRequest
from web.pages.rendering import page, words_of
from web.pages.sign_in import acting_by


@get("/publisher/organisations", include_in_schema=False)
async def organisations(request: AnyRequest, person: NamedDependency[Person]) -> Response[str]:
    """All of them, with the one that the session acts for."""
    words = words_of(request)
    current = person.acting.id if person.acting else None
    return await page(
        request, "publisher/organisations.html", area="publisher", name=person.name,
        organisations=[
            {"id": str(one.id), "name": one.publisher_name, "role": words(f"role.{one.role}"),
             "status": one.publisher_status, "status_words": words(f"publisher_status.{one.publisher_status}"),
             "current": one.id == current}
            for one in await memberships_of(person.id)
        ],
    )  # fmt: skip


@post("/publisher/organisations/{membership_id:uuid}", include_in_schema=False, status_code=303)
async def switch(
    request: AnyRequest, membership_id: FromPath[UUID], person: NamedDependency[Person],
    store: NamedDependency[EphemeralStore],
) -> Redirect:  # fmt: skip
    """Act for another organisation: a new session takes the place of the present one."""
    session = await act_for(person=person.id, membership=membership_id, store=store)
    return await acting_by(request, session, store, "/publisher/offers")


HANDLERS = [organisations, switch]
