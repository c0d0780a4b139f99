"""Demonstration data: a bike-share channel, and residents who rode enough to spend. Made by the domain's own verbs."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from incentives.channels import RideRecord, submit_records
from marketplace import clock, db
from marketplace.identity.oauth import register_client
from marketplace.residents import create_resident, link

CHANNEL: Final = "bike-share"
CLIENT_ID: Final = "demo-bike-share"
RESIDENTS: Final = 24
_PHONE: Final = 13_900_000_000  # numbers of the demonstration: nobody is called
_DAYS: Final = 8


async def make_channel(*, secret: str) -> None:
    """The bike share and its credentials; the metro card, to be linked."""
    for key, name in ((CHANNEL, "公共自行车（演示）"), ("metro-card", "地铁卡（演示）")):
        await db.execute(
            """INSERT INTO channel (key, name, methodology, created_at) VALUES ($1, $2, $3, $4)
               ON CONFLICT DO NOTHING""",
            key, name, "bike-wuhan" if key == CHANNEL else "metro-wuhan", clock.now(),
        )  # fmt: skip
    await register_client(client_id=CLIENT_ID, role="channel", subject=CHANNEL, secret=secret)


async def make_residents() -> list[UUID]:
    """Residents with a phone, a linked bike account and a week of rides: 5,000 g and more each."""
    residents = []
    for number in range(RESIDENTS):
        resident = await create_resident(phone=str(_PHONE + number), name=f"演示居民{number + 1:02d}")
        await link(resident=resident, channel=CHANNEL, subject=f"demo-rider-{number:02d}")
        residents.append(resident)
    rides = [ride for number in range(RESIDENTS) for ride in _rides(number)]
    for start in range(0, len(rides), 500):
        await submit_records(CHANNEL, rides[start : start + 500])
    return residents


def _rides(number: int) -> list[RideRecord]:
    """To work and back on each of the last days, 5 to 9 km each way."""
    today = clock.local_day(clock.now())
    rides = []
    for day in range(1, _DAYS + 1):
        for leg, hour in enumerate((8, 18)):
            begin = datetime.combine(today - timedelta(days=day), time(hour, number), clock.SHANGHAI)
            distance_m = 5_000 + (number * 37 + day * 211 + leg * 97) % 4_000
            rides.append(
                RideRecord(
                    trip_id=f"demo-{number:02d}-{day}-{leg}",
                    rider_id=f"demo-rider-{number:02d}",
                    bike_id=f"demo-bike-{number:02d}",
                    started_at=begin.isoformat(),
                    ended_at=(begin + timedelta(seconds=distance_m // 4)).isoformat(),
                    track_distance_m=Decimal(distance_m),
                )
            )
    return rides
