"""Who stands at the till: staff who chose one of their publisher's tills, or a device that is a till itself."""

from __future__ import annotations

from uuid import UUID

import msgspec

from marketplace.devices import calling
from marketplace.errors import NotFound, Refused
from marketplace.publishers import Till, tills
from merchants.publishing import may, require
from web import access
from web.pages.forms import AnyRequest


class Cashier(msgspec.Struct, frozen=True, kw_only=True):
    """The tills that the caller may use, and whether the caller may also manage them."""

    tills: list[Till]
    is_device: bool
    may_manage: bool

    def till(self, given: str) -> Till | None:
        """The till with the id `given`, or the only one; None where there is a choice. Raises NotFound."""
        if not given:
            return self.tills[0] if len(self.tills) == 1 else None
        for one in self.tills:
            if str(one.id) == given:
                return one
        raise NotFound

    def chosen(self, given: str) -> Till:
        """The till that the caller works at. Raises NotFound where none was chosen."""
        till = self.till(given)
        if till is None:
            raise NotFound
        return till


async def cashier(request: AnyRequest) -> Cashier:
    """Who calls. Raises Refused (unauthenticated, forbidden, rate_limited), Unavailable."""
    principal = await access.required(request)
    if principal.role == "till":
        try:
            return Cashier(tills=[await calling(principal.id)], is_device=True, may_manage=False)
        except NotFound as revoked:
            raise Refused("unauthenticated") from revoked
    staff = await access.staff(request)
    require(staff.role, "verify")
    return Cashier(
        tills=await tills(publisher=staff.publisher), is_device=False,
        may_manage=may(staff.role, "manage_tills"),
    )  # fmt: skip


def id_of(text: str) -> UUID | None:
    """An id as a form or an address brings it; None if it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None
