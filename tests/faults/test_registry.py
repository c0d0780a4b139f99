"""A registry that loses its answers, is down for long, talks nonsense or says nothing: the worker is driven through
the port while the server serves. (A registry behind HTTP is to be put to the same.)"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from marketplace import clock, db, ledger, settlement
from marketplace.errors import Unavailable
from marketplace.offers.eligibility import NoRules
from marketplace.redemptions import redeem
from marketplace.registry import EmbeddedRegistry, Receipt, Retirement
from marketplace.settlement import worker
from tests.faults import books
from tests.faults.client import Crowd
from tests.faults.conftest import Site
from tests.faults.machines import Process, connected, environment, opened, until

pytestmark = pytest.mark.whole


class Faulty(EmbeddedRegistry):
    """Commits or not, as `before` and `after` have it, and remembers what it was sent and how many calls at once."""

    def __init__(self, *, before: Callable[[int], None] = lambda _: None,
                 after: Callable[[int], None] = lambda _: None) -> None:  # fmt: skip
        self.before, self.after = before, after
        self.sent: list[list[UUID]] = []
        self._under_way = self.most_at_once = 0

    async def retire(self, retirements: Sequence[Retirement]) -> dict[UUID, Receipt]:
        self.sent.append([retirement.id for retirement in retirements])
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            await asyncio.sleep(0.01)
            self.before(len(self.sent))
            receipts = await super().retire(retirements)
            self.after(len(self.sent))
            return receipts
        finally:
            self._under_way -= 1


async def test_a_registry_that_commits_and_loses_the_answer_has_one_entry_each(site: Site) -> None:
    server = await site.serve()
    crowd = site.crowd(server)

    def lost(call: int) -> None:
        if call % 2:
            raise TimeoutError

    registry = Faulty(after=lost)
    async with crowd.at_work(), opened(site.url):
        for round_ in range(6):
            await verified(crowd, more=10)
            with clock.travelled(worker.LONGEST_LEASE * round_):
                await settlement.settle(registry, everything=True)
    await crowd.settle_doubts()
    await drained(site, registry=EmbeddedRegistry())

    assert max(Counter(id for batch in registry.sent for id in batch).values()) > 1
    await entries_agree(site)
    await site.close_books(crowd)


@pytest.mark.parametrize("fault", [
    Unavailable(what="registry"),           # 500, 429: what an adapter makes of them
    ValueError("<html>not JSON"),           # a page, half a body, where an adapter has no name for it
    ConnectionResetError(),
    KeyError("receipts"),
], ids=["unavailable", "nonsense", "reset", "incomplete"])  # fmt: skip
async def test_a_registry_that_fails_is_left_alone_and_redemptions_go_on(
    site: Site, fault: Exception
) -> None:
    server = await site.serve()
    crowd = site.crowd(server)

    def fails(_: int) -> None:
        raise fault

    registry = Faulty(before=fails)
    async with crowd.at_work(), opened(site.url):
        for round_ in range(3):
            await verified(crowd, more=5)
            with clock.travelled(timedelta(seconds=round_)):
                try:
                    await settlement.settle(registry, everything=True)
                except type(fault):
                    assert not isinstance(fault, Unavailable | OSError)
        await verified(crowd, more=5)
    await crowd.settle_doubts()

    assert len(registry.sent) == 3  # a batch that failed is not sent again before its time
    assert max(Counter(id for batch in registry.sent for id in batch).values()) == 1
    await site.close_books(crowd)
    await drained(site, registry=EmbeddedRegistry())
    await entries_agree(site)
    await site.close_books(crowd)


async def test_10_000_records_that_waited_for_a_day_drain_without_a_duplicate_or_a_storm(site: Site) -> None:
    records = 10_000

    def down(_: int) -> None:
        raise Unavailable(what="registry")

    async with opened(site.url):
        await consumed(site, records)
        outage, back = Faulty(before=down), Faulty()
        for hours in range(25):
            with clock.travelled(timedelta(hours=hours)):
                await settlement.settle(outage, everything=True)
        assert len(outage.sent) == 25  # one batch a run: what fails once is not tried with the next one

        server = await site.serve()
        crowd = site.crowd(server)
        async with crowd.at_work():
            with clock.travelled(timedelta(hours=25) + worker.LONGEST_LEASE):
                # With the server's own, three workers at once.
                await asyncio.gather(*(settlement.settle(back, everything=True) for _ in range(2)))
            await verified(crowd, more=5)
        await crowd.settle_doubts()

    assert await entries_agree(site) >= records
    assert back.most_at_once <= 2
    assert max(map(len, back.sent)) <= worker.BATCH
    assert max(Counter(id for batch in back.sent for id in batch).values()) == 1
    problems = await books.audited(home=site.home, url=site.url)
    assert not problems + crowd.faults


async def test_a_worker_that_was_stopped_past_its_lease_writes_nothing(site: Site) -> None:
    server = await site.serve()
    crowd = site.crowd(server)
    async with crowd.at_work():
        await verified(crowd, more=20)
    await crowd.settle_doubts()

    told = site.home / f"late-{server.port}"
    late = Process(
        [sys.executable, "-m", "tests.faults.late_worker", site.url, str(told)],
        log=site.home / f"late-{server.port}.log", environment=environment(site.home, site.url),
    )  # fmt: skip
    site.ending.callback(late.kill)
    await until("it has claimed", told.exists)
    late.signal(signal.SIGSTOP)
    async with opened(site.url):
        with clock.travelled(worker.LEASE + timedelta(seconds=1)):
            other = await settlement.settle(EmbeddedRegistry(), everything=True)
    assert other.recorded >= 20
    told.unlink()
    late.signal(signal.SIGCONT)

    assert await late.ended() == 0, late.tail()
    assert json.loads(late.tail().splitlines()[-1])["recorded"] == 0
    await entries_agree(site)
    await site.close_books(crowd)


# ------------------------------------------------------------------ shared
async def verified(crowd: Crowd, *, more: int) -> None:
    """Return when tills have verified `more` coupons."""

    def count() -> int:
        return sum(intent.verb == "verify" and intent.acknowledged for intent in crowd.intents)

    before = count()
    await until("tills verify", lambda: count() >= before + more)


async def consumed(site: Site, records: int) -> None:
    """As many donations, each a record that waits for its settlement, by the domain's own verb."""
    offer = UUID(next(offer.id for offer in site.world.offers if offer.price_g == 30))
    residents = [UUID(resident) for resident in site.world.residents]
    async with ledger.batching():
        for _ in range(records // 500):
            await asyncio.gather(*(
                redeem(resident=residents[n % len(residents)], offer=offer, key=None, eligibility=NoRules())
                for n in range(500)
            ))  # fmt: skip
    assert await db.fetch_value("SELECT count(*) FROM consumption_record") == records


async def drained(site: Site, *, registry: EmbeddedRegistry) -> None:
    """Settle until nothing waits any more."""
    async with opened(site.url):
        for round_ in range(1, 4):
            with clock.travelled(worker.LONGEST_LEASE * 10 * round_):
                left = await settlement.settle(registry, everything=True)
    assert (left.pending, left.unknown, left.rejected, left.dead) == (0, 0, 0, 0)


async def entries_agree(site: Site) -> int:
    """Every recorded consumption is one entry and one transfer; answers how many there are."""
    async with connected(site.url) as connection:
        recorded, entries, transfers = await connection.fetchrow(
            """SELECT (SELECT count(*) FROM consumption_record WHERE state = 'recorded'),
                      (SELECT count(*) FROM registry_entry WHERE kind = 'retire'),
                      (SELECT count(*) FROM ledger_transfer WHERE kind = 'settle')"""
        )
    assert recorded == entries == transfers > 0
    return int(recorded)
