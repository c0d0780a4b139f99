"""A resident's wallet: every gram, and where it went."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency

from web.access import Resident
from web.pages.forms import AnyRequest
from web.pages.reading import expiring_lots, wallet, wallet_entries
from web.pages.rendering import Words, page, when, words_of


@get("/wallet", include_in_schema=False)
async def wallet_page(request: AnyRequest, resident: NamedDependency[Resident]) -> Response[str]:
    """What is available, held, consumed and expired, and the latest movements."""
    words = words_of(request)
    return await page(
        request, "wallet.html",
        wallet=await wallet(resident.id),
        expiring=[{"amount_g": lot["amount_g"], "at": when(lot["expires_at"])} for lot in await expiring_lots(resident.id)],
        entries=[_entry(words, entry) for entry in await wallet_entries(resident.id)],
    )  # fmt: skip


def _entry(words: Words, entry: dict[str, Any]) -> dict[str, Any]:
    phase, incoming = entry["phase"], entry["incoming"]
    what = {"pending": "held", "post": "captured", "void": "released"}.get(phase)
    if what is None:
        what = "expired" if entry["kind"].startswith("expire") else "credited" if incoming else "captured"
        if incoming and entry["kind"] != "credit":
            what = "returned"
    sign = {"held": "−", "captured": "", "released": "+"}.get(what, "+" if incoming else "−")
    return {
        "what": what,
        "words": words(f"entry.{what}"),
        "title": entry["title"],
        "redemption": str(entry["redemption"]) if entry["title"] else None,
        "amount": f"{sign}{entry['amount']:,}",
        "at": when(entry["created_at"]),
    }


HANDLERS = [wallet_page]
