"""The publisher's console: where a member of staff may go, by their role, and for whom they act."""

from __future__ import annotations

from typing import Any, Final

from marketplace.identity.tokens import Principal
from marketplace.matters import suspension_of
from merchants.publishing import Deed, may
from merchants.staff import person_of

PLACES: Final[tuple[tuple[str, str, Deed | None], ...]] = (
    ("/publisher/till", "nav.till", "verify"),
    ("/publisher/offers", "nav.offers", "read_offers"),
    ("/publisher/insight", "nav.insight", "read_insight"),
    ("/publisher/campaigns", "nav.campaigns", "read_offers"),
    ("/publisher/stores", "nav.stores", "manage_stores"),
    ("/publisher/team", "nav.team", "manage_staff"),
    ("/publisher/webhooks", "nav.webhooks", "manage_webhooks"),
    ("/publisher/security", "nav.security", None),
)


async def console_of(principal: Principal | None) -> dict[str, Any] | None:
    """The places of the console, and whom its user acts for; None for anyone else."""
    person = await person_of(principal.id) if principal is not None and principal.role == "staff" else None
    if person is None:
        return None
    acting = person.acting
    if acting is None or acting.publisher_status in ("applied", "closed"):
        first = (
            ("/publisher/application", "nav.application")
            if acting
            else ("/publisher/organisations", "nav.organisations")
        )
        places = [first, ("/publisher/security", "nav.security")]
    else:
        places = [(place, key) for place, key, deed in PLACES if deed is None or may(acting.role, deed)]
    suspended = acting is not None and acting.publisher_status == "suspended"
    return {
        "places": places,
        "acting": acting.publisher_name if acting else None,
        "notice": await suspension_of(acting.publisher) if acting and suspended else None,
    }
