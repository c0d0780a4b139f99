"""A resident's wallet: every gram, and where it went."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get
from litestar.di import NamedDependency

from incentives.methodologies import shipped
from marketplace.matters import notices
from marketplace.wallets import Entry, entries_of, wallet_of
from web import paging
from web.access import Resident
from web.pages.forms import AnyRequest
from web.pages.holder_notices import notices_shown
from web.pages.rendering import Words, page, when, when_it_ends, words_of

ENTRIES: Final = 30
_PARTS: Final = ("held", "consumed", "expired", "earned")
_WORDS: Final = {
    "credit": "credited", "hold": "held", "capture": "captured", "redeem": "captured", "release": "released",
    "lapse": "expired",
}  # fmt: skip


@get("/wallet", include_in_schema=False)
async def wallet_page(request: AnyRequest, resident: NamedDependency[Resident]) -> Response[str]:
    """What is available, held, consumed and expired, and the latest movements."""
    words, before = words_of(request), paging.before(request.query_params.get("cursor") or None)
    wallet = await wallet_of(resident.id)
    entries = paging.page_of(await entries_of(resident.id, limit=ENTRIES + 1, before=before), ENTRIES)
    return await page(
        request, "wallet.html", wallet=wallet, notices=notices_shown(words, await notices(resident.id)),
        parts=[(words(f"wallet.{name}"), getattr(wallet, f"{name}_g")) for name in _PARTS],
        expiring=[{"amount_g": lot.amount_g, "at": when_it_ends(lot.expires_at)} for lot in wallet.expiring],
        entries=[_entry(words, entry) for entry in entries.items], next_cursor=entries.next_cursor,
    )  # fmt: skip


def _entry(words: Words, entry: Entry) -> dict[str, Any]:
    what = _WORDS.get(entry.kind, "returned")
    sign = "+" if entry.amount_g > 0 else "−" if entry.amount_g < 0 else ""
    return {
        "what": what,
        "words": words(f"entry.{what}"),
        "about": _about(words, entry),
        "redemption": str(entry.redemption_id) if entry.redemption_id else None,
        "amount": f"{sign}{abs(entry.amount_g):,}",
        "after_g": entry.available_after_g,
        "at": when(entry.at),
    }


def _about(words: Words, entry: Entry) -> str:
    """What a movement was about: the behaviour that was credited, or the offer."""
    versions = shipped().get(entry.about or "") if entry.kind == "credit" else None
    return words(f"behaviour.{versions[-1].behaviour}") if versions else entry.about or ""


HANDLERS = [wallet_page]
