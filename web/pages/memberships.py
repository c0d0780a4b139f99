"""The programmes that a resident is a member of, on the account's page: what each is, and the way out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from incentives import programmes
from web.access import Resident
from web.pages.rendering import Words, back, when


async def memberships_shown(words: Words, resident: UUID) -> list[dict[str, Any]]:
    """What `parts/memberships.html` shows."""
    return [
        {"key": one.programme, "name": one.name, "kind": words(f"programme_kind.{one.kind}"),
         "joined_at": when(one.joined_at)}
        for one in await programmes.memberships_of(resident)
    ]  # fmt: skip


@post("/account/programmes/{key:str}/leave", include_in_schema=False, status_code=303)
async def leave(key: FromPath[str], resident: NamedDependency[Resident]) -> Redirect:
    """End a membership."""
    await programmes.leave(resident=resident.id, programme=key)
    return back("/account?done=left")


HANDLERS = [leave]
