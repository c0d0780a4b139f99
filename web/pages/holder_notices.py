"""What a resident is told about coupons of a publisher that was suspended, and about those that somebody else ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from marketplace.matters import Notice
from web.pages.rendering import Words


def notices_shown(words: Words, notices: Sequence[Notice]) -> list[dict[str, Any]]:
    """Each with the coupon it is about."""
    return [
        {"words": _says(words, one), "title": one.title, "redemption": str(one.redemption_id)}
        for one in notices
    ]


def notice_of(words: Words, notices: Sequence[Notice]) -> str | None:
    """What there is to say about the coupon that all of them are about."""
    return next((_says(words, one) for one in notices), None)


def _says(words: Words, one: Notice) -> str:
    key = f"notice.{one.kind}" if one.amount_g else f"notice.{one.kind}_nothing"
    return words(key, publisher=one.publisher, amount_g=f"{one.amount_g:,}")


__all__ = ["notice_of", "notices_shown"]
