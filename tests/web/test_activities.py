"""The page of activity records: what each brought, or why it brought nothing, in both languages."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from incentives import judging
from incentives.channels import QuantityRecord, open_channel, submit_records
from incentives.methodologies import shipped
from marketplace import clock
from marketplace.residents import link
from tests.web.test_pages import a_signed_in_resident, anyone, app
from web.locale import LANGUAGES, text

__all__ = ["anyone", "app"]

STORED = [
    judging.CREDITED, judging.CAPPED, judging.OVER_DAILY_CAP, judging.OVERLAPPING, judging.TOO_SHORT, judging.TOO_FAST,
    judging.TOO_LONG, judging.BELOW_ONE_GRAM, judging.IMPLAUSIBLE,
]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_behaviour_unit_and_outcome_has_words(language):
    assert all(text(language, f"page.outcome.{outcome}") for outcome in STORED)
    for versions in shipped().values():
        for version in versions:
            assert text(language, f"page.behaviour.{version.behaviour}")
            assert text(language, f"page.factor.{version.unit}", {"factor": "1"})
            assert text(language, f"page.quantity.{version.unit}", {"quantity": 2})


async def test_records_are_shown_with_what_they_brought_and_in_pages(anyone):
    visitor = anyone()
    resident = await a_signed_in_resident(visitor, available_g=0)
    assert "还没有减排记录" in await visitor.open("/activities")

    await open_channel(key="steps", name="步数", methodology="walk-pilot")
    await link(resident=resident, channel="steps", subject="r")
    begin = datetime(2026, 5, 6, 8, tzinfo=clock.SHANGHAI)
    await submit_records("steps", [
        QuantityRecord(record_id=str(n), subject="r", started_at=(begin + timedelta(minutes=n)).isoformat(),
                       quantity=Decimal(40 if n == 34 else 6_000 + n))
        for n in range(35)
    ])  # fmt: skip

    assert 'href="/activities"' in await visitor.open("/wallet")
    first = await visitor.open("/activities")
    assert first.index("不足 1 克") < first.index("6,033 步 × 0.02 克/步") < first.index("6,032 步")
    assert "+120 克" in first
    assert "2026-05-06 08:33" in first
    earlier = re.search(r'href="(/activities\?cursor=[^"]+)"', first)
    assert earlier is not None
    second = await visitor.open(earlier[1])
    assert len(re.findall("6,0[0-9]{2} 步", first)) == 29
    assert len(re.findall("6,0[0-9]{2} 步", second)) == 5
    assert "cursor=" not in second

    visitor.client.headers["accept-language"] = "en"
    assert "6,033 steps × 0.02 g/step" in await visitor.open("/activities")
    await visitor.open("/activities?cursor=nonsense", status=400)


async def test_nobody_sees_records_without_signing_in(anyone):
    assert "/sign-in/code" in await anyone().open("/activities")
