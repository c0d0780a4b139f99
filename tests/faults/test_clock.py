"""The clock jumps, a year ends, a zone saves daylight: expiry, windows and vintages stay right."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from marketplace import clock
from tests.faults.conftest import Site
from tests.faults.machines import command, connected

pytestmark = pytest.mark.whole


def iso(by: timedelta) -> str:
    """As CHUTAN_TIME_SHIFT wants it."""
    return f"P{by.days}DT{by.seconds}S"


async def test_a_clock_that_jumps_a_day_and_back_spoils_nothing(site: Site) -> None:
    server = await site.serve()
    crowd = site.crowd(server)
    coupons = [await crowd.ask(crowd.redeeming(n, site.world.dated)) for n in range(12)]

    async def verified(n: int) -> Any:
        return await crowd.ask(crowd.verifying(coupons[n][1]["coupon"]["code"], coupons[n][1]["id"]))

    async def cancelled(n: int) -> Any:
        return await crowd.ask(crowd.cancelling(n, coupons[n][1]["id"]))

    await verified(0)
    await server.stop()
    await server.start(shift="P1D")
    ahead = await verified(1)
    assert ahead[0] == 201
    assert (await cancelled(2))[0] == 200
    assert (await crowd.ask(crowd.redeeming(20, site.world.dated)))[0] == 201
    await server.stop()
    await server.start()

    # A day back: what was done in the future can be undone, and everything else goes on.
    assert (await crowd.ask(crowd.reversing(ahead[1]["id"])))[0] == 200
    assert (await verified(3))[0] == 201
    assert (await cancelled(4))[0] == 200
    assert (await crowd.ask(crowd.redeeming(21, site.world.dated)))[0] == 201
    await site.close_books(crowd)

    await server.stop()
    await server.start(shift="P9D")
    assert (await verified(5))[1]["code"] == "coupon_expired"
    await command("expire", home=site.home, url=site.url, shift="P9D")
    assert (await cancelled(6))[1]["code"] == "coupon_expired"
    wallet = (await crowd.get("/api/v1/me/wallet", site.world.tokens[7])).json()
    assert (wallet["held_g"], wallet["available_g"]) == (0, 1_000_000)
    await site.close_books(crowd)


async def test_a_coupon_of_the_last_minutes_of_a_year_expires_by_shanghais_days(site: Site) -> None:
    now = clock.now().astimezone(clock.SHANGHAI)
    year = now.year
    last = datetime(year, 12, 31, 23, 50, tzinfo=clock.SHANGHAI)
    server = await site.serve(shift=iso(last - now))
    crowd = site.crowd(server)
    redeemed, late = [await crowd.ask(crowd.redeeming(n, site.world.dated)) for n in range(2)]
    assert redeemed[1]["coupon"]["expires_at"] == f"{year + 1}-01-07T16:00:00Z"

    await server.stop()
    over = datetime(year + 1, 1, 8, tzinfo=clock.SHANGHAI)
    await server.start(shift=iso(over - now - timedelta(hours=1)))
    assert (await crowd.ask(crowd.verifying(redeemed[1]["coupon"]["code"], redeemed[1]["id"])))[0] == 201

    await server.stop()
    await server.start(shift=iso(over - now + timedelta(seconds=1)))
    other = await crowd.ask(crowd.verifying(late[1]["coupon"]["code"], late[1]["id"]))
    assert other[1]["code"] == "coupon_expired"
    await site.close_books(crowd)


async def test_a_trip_belongs_to_the_year_of_its_zone(site: Site, tmp_path: Path) -> None:
    year = clock.now().year - 1
    await imported(site, tmp_path, "Asia/Shanghai", [
        ("old", f"{year}-12-31T23:30:00", f"{year}-12-31T23:45:00"),
        ("both", f"{year}-12-31T23:50:00", f"{year + 1}-01-01T00:05:00"),
        ("new", f"{year + 1}-01-01T00:10:00", f"{year + 1}-01-01T00:25:00"),
        ("utc", f"{year}-12-31T16:30:00Z", f"{year}-12-31T16:45:00Z"),  # half past midnight in Shanghai
    ])  # fmt: skip
    assert await vintages(site) == {"old": year, "both": year, "new": year + 1, "utc": year + 1}
    await site.close_books(site.crowd(await site.serve()))


async def test_an_import_lives_through_the_nights_that_save_daylight(site: Site, tmp_path: Path) -> None:
    """New York: on 2025-03-09 two o'clock does not exist, on 2025-11-02 one o'clock comes twice."""
    report = await imported(site, tmp_path, "America/New_York", [
        ("before", "2025-03-09T01:30:00", "2025-03-09T01:59:00"),
        ("across", "2025-03-09T01:59:30", "2025-03-09T03:20:00"),  # twenty minutes and a half
        ("nowhere", "2025-03-09T02:30:00", "2025-03-09T02:50:00"),
        ("first", "2025-11-02T01:10:00-04:00", "2025-11-02T01:30:00-04:00"),
        ("second", "2025-11-02T01:10:00-05:00", "2025-11-02T01:30:00-05:00"),
        ("long", "2025-11-02T00:30:00", "2025-11-02T02:10:00"),  # two hours and forty minutes: over the others
    ])  # fmt: skip
    assert report["read"] == 6
    assert report["read"] == report["credited"] + report["capped"] + report["duplicates"] + sum(
        report["rejected"].values()
    )
    durations = await minutes(site)
    assert durations["across"] == 20.5
    assert {durations["first"], durations["second"]} == {20}
    assert durations["long"] == 160
    assert set(await vintages(site)) >= {"before", "first", "second"}
    await site.close_books(site.crowd(await site.serve()))


async def imported(site: Site, folder: Path, zone: str, trips: list[tuple[str, str, str]]) -> Any:
    file = folder / "trips.csv"
    rows = [f"{trip},rider-of-the-night-{trip},bike,{start},{end},3000" for trip, start, end in trips]
    file.write_text(
        "trip_id,rider_id,bike_id,started_at,ended_at,track_distance_m\n" + "\n".join(rows) + "\n"
    )
    return await command(
        "import-trips", str(file), "--channel", "bike-share", "--enrol", "--timezone", zone, home=site.home,
        url=site.url,
    )  # fmt: skip


async def vintages(site: Site) -> dict[str, int]:
    async with connected(site.url) as connection:
        rows = await connection.fetch(
            """SELECT a.source_id, l.vintage FROM lot l JOIN activity_record a ON a.id = l.record
               WHERE a.source_id NOT LIKE 'demo-%'"""
        )
    return {row[0]: row[1] for row in rows}


async def minutes(site: Site) -> dict[str, float]:
    async with connected(site.url) as connection:
        rows = await connection.fetch(
            """SELECT source_id, extract(epoch FROM ended_at - started_at)::float / 60 FROM activity_record
               WHERE source_id NOT LIKE 'demo-%'"""
        )
    return {row[0]: row[1] for row in rows}
