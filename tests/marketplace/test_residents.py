"""A resident's channel accounts."""

from __future__ import annotations

from datetime import timedelta

from marketplace import clock
from marketplace.mandates import mandates_of
from marketplace.residents import end_link, link
from tests.builders import a_resident
from tests.incentives.trips import a_channel


async def test_a_link_made_before_the_clock_was_put_back_can_be_ended(database: str) -> None:
    resident, channel = await a_resident(), await a_channel()
    with clock.travelled(timedelta(days=1)):
        made = await link(resident=resident, channel=channel, subject="rider")

    await end_link(resident=resident, link=made)

    assert await mandates_of(resident) == []
