"""Who sees an offer counts, unless it is a robot that says so, or somebody who works here: as a number, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import Scope

from merchants.seen import Seen, listed

AnyRequest = Request[Any, Any, Any]

LISTED: Final = (
    "listed"  # where a request's state has the offers that its answer lists, for whoever keeps the answer
)
_ROBOTS: Final = re.compile(
    rb"bot\b|crawl|spider|slurp|scan|preview|monitor|facebookexternalhit|feedfetcher", re.IGNORECASE
)


def exposed(request: AnyRequest, offers: Iterable[UUID]) -> None:
    """A list of `offers` is shown."""
    shown = request.scope["state"][LISTED] = listed(offers)
    if counts(request.scope):
        _seen(request).exposed(shown)


def opened(request: AnyRequest, offer: UUID) -> None:
    """An offer alone is shown; not anew where its page only says why it was refused."""
    if counts(request.scope) and "refused" not in request.query_params:
        _seen(request).opened(offer)


def counts(scope: Scope) -> bool:
    """Whether what is shown to this request is seen by a visitor or a resident."""
    if scope["type"] != ScopeType.HTTP or scope["method"] != "GET":
        return False
    principal = scope["state"].get("principal")
    if principal is not None and principal.role != "resident":
        return False
    return not _is_robot(next((value for name, value in scope["headers"] if name == b"user-agent"), b""))


@lru_cache(maxsize=4_096)
def _is_robot(agent: bytes) -> bool:
    return _ROBOTS.search(agent) is not None


def _seen(request: AnyRequest) -> Seen:
    seen: Seen = request.app.state.seen
    return seen
