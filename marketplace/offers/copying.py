"""Another offer like one that there is."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from marketplace import clock
from marketplace.offers.benefits import benefit_shown
from marketplace.offers.lifecycle import create_draft
from marketplace.offers.terms import Terms, change_from
from marketplace.offers.versions import in_force
from marketplace.offers.view import OfferView


async def copy(*, publisher: UUID, offer: UUID, actor: str) -> OfferView:
    """A new draft with the terms of an offer of `publisher`, whatever its state; a window that is over is left out.

    Codes, uses and what was sold stay with the other. Raises NotFound.
    """
    terms = (await in_force(publisher=publisher, offer=offer)).terms
    return await create_draft(publisher=publisher, change=change_from(_given(terms)), actor=actor)


def _given(terms: Terms) -> dict[str, Any]:
    given: dict[str, Any] = msgspec.to_builtins(terms)
    if terms.benefit is not None:
        given["benefit"] = benefit_shown(terms.benefit)
    if terms.ends_at is not None and terms.ends_at <= clock.now():
        given |= {"starts_at": None, "ends_at": None}
    return given


__all__ = ["copy"]
