"""The entries of a wallet: each says what was available after it, on whatever page it stands."""

from __future__ import annotations

from itertools import accumulate
from uuid import UUID

import pytest

from marketplace.ids import new_id
from marketplace.wallets import Entry, entries_of, wallet_of
from tests.builders import a_lot, a_resident, a_till, an_offer, cancel, redeemed, reverse, verify


async def a_history() -> UUID:
    """A resident whose wallet has seen every kind of movement but a lapse."""
    resident, other = await a_resident(1_000), await a_resident(1_000)
    offer, donation = await an_offer(price_g=300), await an_offer(kind="donation", price_g=70)
    till = await a_till(of=offer)
    first, code = await redeemed(offer, resident)
    await redeemed(offer, other)
    await reverse(till, (await verify(till, code))["id"])
    await cancel(resident, first)
    await redeemed(donation, resident)
    await a_lot(resident, 250)
    _, code = await redeemed(offer, resident)
    await verify(till, code)
    return resident


async def by_pages(resident: UUID, limit: int) -> list[Entry]:
    seen: list[Entry] = []
    while page := await entries_of(resident, limit=limit, before=seen[-1].id if seen else None):
        seen += page
    return seen


async def test_what_was_available_after_each_entry_is_the_sum_of_all_up_to_it(database: str) -> None:
    resident = await a_history()
    oldest_first = (await entries_of(resident, limit=100))[::-1]
    assert [entry.kind for entry in oldest_first][:3] == ["credit", "hold", "capture"]
    assert [entry.available_after_g for entry in oldest_first] == list(
        accumulate(entry.amount_g for entry in oldest_first)
    )
    assert oldest_first[-1].available_after_g == (await wallet_of(resident)).available_g == 880


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_tell_what_the_whole_tells(database: str, limit: int) -> None:
    resident = await a_history()
    assert await by_pages(resident, limit) == await entries_of(resident, limit=100)


async def test_a_wallet_that_nothing_moved_in_has_no_entries(database: str) -> None:
    assert await entries_of(await a_resident(0), limit=10) == []
    assert await entries_of(new_id(), limit=10) == []
