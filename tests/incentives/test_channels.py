from __future__ import annotations

import msgspec
import pytest

from incentives.channels import AnyResult, RideRecord, submit_records
from marketplace import db, residents
from marketplace.errors import Invalid
from tests.incentives.trips import CHANNEL, a_channel

pytestmark = pytest.mark.usefixtures("database")

USUAL = {
    "trip_id": "t", "rider_id": "r", "bike_id": "b", "started_at": "2024-05-06T08:00:00+08:00",
    "ended_at": "2024-05-06T08:20:00+08:00", "track_distance_m": 3000,
}  # fmt: skip


def records(*changes: dict[str, object]) -> list[RideRecord]:
    """Records as they come over the wire."""
    body = msgspec.json.encode([USUAL | change for change in changes])
    return msgspec.json.decode(body, type=list[RideRecord])


async def a_linked_rider() -> None:
    await a_channel()
    await residents.enrol(["r"], channel=CHANNEL)


async def test_each_record_is_answered_in_its_place():
    await a_linked_rider()
    results = await submit_records(CHANNEL, records(
        {"trip_id": "overlaps", "started_at": "2024-05-06T00:10:00Z"},
        {"trip_id": "first"},
        {"trip_id": "bad", "track_distance_m": -1},
        {"trip_id": "stranger", "rider_id": "x"},
        {"trip_id": "first"},
        {"trip_id": None},
    ))  # fmt: skip
    assert [(r.trip_id, r.status, r.credited_g, r.reason) for r in results] == [
        ("overlaps", "rejected", 0, "overlapping"),
        ("first", "credited", 279, None),
        ("bad", "rejected", 0, "malformed"),
        ("stranger", "rejected", 0, "unknown_rider"),
        ("first", "rejected", 0, "duplicate"),
        (None, "rejected", 0, "malformed"),
    ]


async def test_a_distance_is_taken_exactly():
    await a_linked_rider()
    results = await submit_records(
        CHANNEL, records({"track_distance_m": 1071.811361})
    )  # 100 g would need 1071.811362
    assert [result.credited_g for result in results] == [99]


async def test_a_thousand_records_are_the_most():
    await a_linked_rider()
    thousand = records(*({"trip_id": str(n)} for n in range(1_000)))
    assert len(await submit_records(CHANNEL, thousand)) == 1_000
    with pytest.raises(Invalid):
        await submit_records(CHANNEL, [*thousand, *records({})])
    assert await submit_records(CHANNEL, []) == []


async def test_the_answer_can_be_kept_in_the_transaction_of_its_effect():
    await a_linked_rider()
    kept: list[list[AnyResult]] = []

    async def keep(results: list[AnyResult]) -> None:
        assert await db.fetch_value("SELECT count(*) FROM lot") == 1
        kept.append(results)

    results = await submit_records(CHANNEL, records({}), keep=keep)

    assert kept == [results]
    assert [result.credited_g for result in results] == [279]


def test_unknown_fields_are_refused():
    with pytest.raises(msgspec.ValidationError):
        records({"colour": "orange"})
