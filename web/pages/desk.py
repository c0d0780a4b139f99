"""The operator's desk: where an operator may go, by what they have."""

from __future__ import annotations

from typing import Final

from marketplace.errors import Refused
from marketplace.identity.operators import city_of
from marketplace.identity.tokens import Principal

# What is not of one city is for operators of the province.
PLACES: Final[tuple[tuple[str, str, bool], ...]] = (
    ("/operator/approvals", "nav.approvals", False),
    ("/operator/applications", "nav.applications", False),
    ("/operator/publishers", "nav.publishers", False),
    ("/operator/campaigns", "nav.campaigns", True),
    ("/operator/settlement", "nav.settlement", True),
    ("/operator/audit", "nav.audit", True),
    ("/operator/deeds", "nav.deeds", False),
    ("/operator/operators", "nav.operators", True),
    ("/operator/security", "nav.security", False),
)


async def desk_of(principal: Principal | None) -> list[tuple[str, str]] | None:
    """The places of the desk; None for anyone else."""
    if principal is None or principal.role != "operator":
        return None
    try:
        city = await city_of(principal.id)
    except Refused:
        return None
    return [(place, key) for place, key, of_province in PLACES if city is None or not of_province]


__all__ = ["desk_of"]
