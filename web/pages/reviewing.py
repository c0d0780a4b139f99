"""What an operator reads beside a submitted offer, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marketplace.offers.view import OfferView
from merchants.reviewing import Review
from web.pages.differing import shown_differences
from web.pages.rendering import Words


def review_shown(
    words: Words, offer: OfferView, review: Review, *, payers: Mapping[str, str]
) -> dict[str, Any]:
    """Hints and changes for a template."""
    stores = {store.id: store.name for store in offer.stores}
    return {
        "risks": [
            {
                "severity": risk.severity,
                "severity_words": words(f"severity.{risk.severity}"),
                "words": words(f"risk.{risk.code}", **risk.facts),
            }
            for risk in review.risks
        ],
        "sent_back": review.changes is not None,
        "changes": shown_differences(words, offer.kind, review.changes or [], stores=stores, payers=payers),
    }


__all__ = ["review_shown"]
