"""The registry, read over HTTP."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from marketplace.errors import NotFound, Refused
from marketplace.identity.tokens import Principal
from marketplace.lots import registry_accounts
from marketplace.registry import reading
from web.paging import Limit, Page, page_of

_READERS: Final = frozenset({"operator", "resident"})


class RegistryController(Controller):
    """Accounts for their own residents and the operator; retirements for anyone."""

    path = "/registry/v1"
    tags = ["registry"]

    @get("/accounts/{account_id:uuid}")
    async def account(
        self, account_id: FromPath[UUID], principal: NamedDependency[Principal]
    ) -> reading.Holdings:
        """What an account holds."""
        await _require_reader(principal, account_id)
        return await reading.holdings(account_id)

    @get("/accounts/{account_id:uuid}/operations")
    async def operations(
        self,
        account_id: FromPath[UUID],
        principal: NamedDependency[Principal],
        after: FromQuery[UUID | None] = None,
        limit: Limit = 20,
    ) -> Page[reading.Operation]:
        """The entries of an account, oldest first."""
        await _require_reader(principal, account_id)
        return page_of(await reading.operations(account_id, limit=limit + 1, after=after), limit)

    @get("/retirements/{entry_id:uuid}")
    async def retirement(self, entry_id: FromPath[UUID]) -> reading.PublicRetirement:
        """A retirement, without serials or persons."""
        return await reading.retirement(entry_id)


async def _require_reader(principal: Principal, account: UUID) -> None:
    """The operator reads every account, a resident their own: another's does not exist for them."""
    if principal.role not in _READERS:
        raise Refused("forbidden")
    if principal.role == "resident" and account not in (await registry_accounts([principal.id])).values():
        raise NotFound
