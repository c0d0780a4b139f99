"""Demonstration data: channels of several kinds, and residents with a varied green life, by the domain's own verbs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from incentives.channels import (
    MAX_RECORDS,
    AnyRecord,
    QuantityRecord,
    RideRecord,
    open_channel,
    submit_records,
)
from marketplace import clock, db
from marketplace.identity.demonstration import issue, secret_of, token_of
from marketplace.identity.oauth import register_client
from marketplace.residents import create_resident, link

BIKES: Final = "bike-share"
CHANNELS: Final[Mapping[str, tuple[str, str]]] = {
    BIKES: ("公共自行车（演示）", "bike-wuhan"),
    "metro-card": ("地铁卡（演示）", "metro-wuhan"),
    "bus-card": ("公交卡（演示）", "bus-wuhan"),
    "home-power": ("居民用电（演示）", "home-power-wuhan"),
    "own-bag": ("超市自带袋（演示）", "own-bag-wuhan"),
}
RESIDENTS: Final = 24
_PHONE: Final = 13_900_000_000  # numbers of the demonstration: nobody is called
_DAYS: Final = 8


async def load(seed: bytes) -> None:
    """Make it all, with sign-ins that follow from `seed`."""
    for key, (name, methodology) in CHANNELS.items():
        await open_channel(key=key, name=name, methodology=methodology)
        await register_client(client_id=_client_id(key), role="channel", subject=key,
                              secret=secret_of(seed, "channel", key))  # fmt: skip
    for resident in await make_residents():
        await issue(seed, "resident", resident)


async def sign_ins(seed: bytes) -> dict[str, Any]:
    """The sign-ins of residents and channels."""
    residents = await db.fetch(
        "SELECT r.id, r.phone FROM resident r JOIN channel_link l ON l.resident = r.id "
        "WHERE l.channel = $1 AND l.subject LIKE 'demo-rider-%' AND r.phone IS NOT NULL ORDER BY r.id",
        BIKES,
    )
    return {
        "residents": [
            {"id": str(r["id"]), "phone": r["phone"], "token": token_of(seed, "resident", r["id"])}
            for r in residents
        ],
        "channels": [
            {"key": key, "client_id": _client_id(key), "client_secret": secret_of(seed, "channel", key)}
            for key in CHANNELS
        ],
    }


def _client_id(channel: str) -> str:
    return f"demo-{channel}"


async def make_residents() -> list[UUID]:
    """Residents with a phone and linked accounts, and what they did in the last days: 5,000 g and more each."""
    residents = []
    for number in range(RESIDENTS):
        resident = await create_resident(phone=str(_PHONE + number), name=f"演示居民{number + 1:02d}")
        for channel in CHANNELS:
            await link(resident=resident, channel=channel, subject=_subject(channel, number))
        residents.append(resident)
    today = clock.local_day(clock.now())
    for channel in CHANNELS:
        records = [record for number in range(RESIDENTS) for record in _records(channel, number, today)]
        for start in range(0, len(records), MAX_RECORDS):
            await submit_records(channel, records[start : start + MAX_RECORDS])
    return residents


def _subject(channel: str, number: int) -> str:
    return f"demo-{'rider' if channel == BIKES else channel}-{number:02d}"


def _records(channel: str, number: int, today: date) -> Iterator[AnyRecord]:
    """What resident `number` did in the days before `today`, as `channel` tells it."""
    for day in range(1, _DAYS + 1):
        morning = datetime.combine(today - timedelta(days=day), time(8, number), clock.SHANGHAI)
        if channel == BIKES:
            yield from _rides(number, day, morning)
        elif told := _told(channel, number, day):
            hours, quantity = told
            at = (morning + timedelta(hours=hours)).isoformat()
            yield QuantityRecord(
                record_id=f"demo-{number:02d}-{day}", subject=_subject(channel, number), started_at=at,
                quantity=Decimal(quantity),
            )  # fmt: skip


def _told(channel: str, number: int, day: int) -> tuple[int, str] | None:
    """How long after the morning's ride, and how much: the metro on some days, the bus on others, a bag when shopping;
    once a week the meter, which has seen no saving at every sixth home."""
    turn = (number + day) % 4
    if channel == "metro-card" and turn < 2:
        return 1, f"{6 + (number * 7 + day * 13) % 12}.{day}"
    if channel == "bus-card" and turn == 2:
        return 2, str(1 + number % 2)
    if channel == "own-bag" and turn == 3:
        return 9, "1"
    if channel == "home-power" and day == 1:
        return 15, f"{number % 6}.{number % 10}" if number % 6 else "0"
    return None


def _rides(number: int, day: int, morning: datetime) -> Iterator[RideRecord]:
    """To work and back, 5 to 9 km each way; on one day a bike that was put back at once."""
    rides = [
        (hours, 5_000 + (number * 37 + day * 211 + leg * 97) % 4_000) for leg, hours in enumerate((0, 10))
    ]
    if day == 2:
        rides.append((4, 40))
    for leg, (hours, distance_m) in enumerate(rides):
        begin = morning + timedelta(hours=hours)
        yield RideRecord(
            trip_id=f"demo-{number:02d}-{day}-{leg}",
            rider_id=_subject(BIKES, number),
            bike_id=f"demo-bike-{number:02d}",
            started_at=begin.isoformat(),
            ended_at=(begin + timedelta(seconds=distance_m // 4)).isoformat(),
            track_distance_m=Decimal(distance_m),
        )
