"""Who a resident is: verified by their real name, and recovered by it."""

from __future__ import annotations

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from marketplace.identity import persons
from marketplace.identity.realname import RealNames
from marketplace.identity.residents import person_of
from marketplace.identity.stores import EphemeralStore
from web.access import Resident
from web.api.auth import Identity, ResidentSession, ResidentView, resident_view, session_view


class IdentityController(Controller):
    """A resident's own person. The number is checked and not kept."""

    path = "/api/v1/me"
    tags = ["resident"]

    @get()
    async def me(self, resident: NamedDependency[Resident]) -> ResidentView:
        """Who is signed in, masked."""
        return resident_view(await person_of(resident.id))

    @post("/identity", status_code=200)
    async def verify(
        self,
        data: JSONBody[Identity],
        resident: NamedDependency[Resident],
        real_names: NamedDependency[RealNames],
        store: NamedDependency[EphemeralStore],
    ) -> ResidentView:
        """Become a verified person; `person_has_account` leads to the recovery."""
        person = await persons.verify(
            resident=resident.id, name=data.name, id_number=data.id_number, real_names=real_names, store=store
        )
        return resident_view(person)

    @post("/recovery")
    async def recover(
        self,
        data: JSONBody[Identity],
        resident: NamedDependency[Resident],
        real_names: NamedDependency[RealNames],
        store: NamedDependency[EphemeralStore],
    ) -> ResidentSession:
        """Bring this new account's phone to one's older account: a session of that; all others end."""
        settled = await persons.recover(
            resident=resident.id, name=data.name, id_number=data.id_number, real_names=real_names, store=store
        )
        return session_view(*settled)

    @post("/disown")
    async def disown(
        self,
        data: JSONBody[Identity],
        resident: NamedDependency[Resident],
        real_names: NamedDependency[RealNames],
        store: NamedDependency[EphemeralStore],
    ) -> ResidentSession:
        """Leave a stranger's account that came with a recycled number: a session of one's own account."""
        settled = await persons.disown(
            resident=resident.id, name=data.name, id_number=data.id_number, real_names=real_names, store=store
        )
        return session_view(*settled)
