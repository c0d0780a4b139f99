from __future__ import annotations

import msgspec
import pytest

from incentives.channels import (
    AnyResult,
    QuantityRecord,
    RideRecord,
    open_channel,
    record_type,
    submit_records,
)
from incentives.methodologies import Caps, Checks, shipped
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


def quantities(*changes: dict[str, object]) -> list[QuantityRecord]:
    usual = {"record_id": "q", "subject": "r", "started_at": "2026-05-06T08:00:00+08:00", "quantity": 2}
    body = msgspec.json.encode([usual | change for change in changes])
    return msgspec.json.decode(body, type=list[QuantityRecord])


async def outcomes(methodology: str, *changes: dict[str, object]) -> list[tuple[str, int, str | None]]:
    await a_channel(methodology, methodology=methodology)
    await residents.enrol(["r"], channel=methodology)
    results = await submit_records(methodology, quantities(*changes))
    return [(result.status, result.credited_g, result.reason) for result in results]


@pytest.mark.parametrize(
    ("methodology", "quantity", "grams"),
    [
        ("metro-wuhan", 12.345, 967), ("bus-wuhan", 3, 637), ("walk-pilot", 6_149, 122), ("nev-wuhan", 24, 168),
        ("home-power-wuhan", 1.5, 787), ("pv-hubei", 10, 4_044), ("no-cutlery-beijing", 2, 46),
        ("own-bag-wuhan", 1, 5), ("textile-recycling", 0.75, 2_700), ("e-bill-citic", 1, 24),
    ],
)  # fmt: skip
async def test_every_methodology_of_quantities_credits_them(methodology: str, quantity: float, grams: int):
    assert await outcomes(methodology, {"quantity": quantity}) == [("credited", grams, None)]


async def test_what_is_counted_is_a_whole_number_and_what_is_measured_need_not_be():
    half, whole = {"record_id": "half", "quantity": 1.5}, {"record_id": "whole", "quantity": 2.0}
    assert await outcomes("bus-wuhan", half, whole) == [
        ("rejected", 0, "malformed"), ("credited", 425, None)
    ]  # fmt: skip
    assert await outcomes("textile-recycling", half) == [("credited", 5_400, None)]


async def test_what_is_worth_less_than_a_gram_or_beyond_belief_is_kept_and_refused():
    assert await outcomes(
        "walk-pilot",
        {"record_id": "none", "quantity": 0},
        {"record_id": "few", "quantity": 49},
        {"record_id": "enough", "quantity": 50},
        {"record_id": "most", "quantity": 500_000_049},
        {"record_id": "too many", "quantity": 500_000_050},
        {"record_id": "absurd", "quantity": 10**12},
        {"record_id": "negative", "quantity": -1},
    ) == [
        ("rejected", 0, "below_one_gram"), ("rejected", 0, "below_one_gram"), ("credited", 1, None),
        ("credited", 10_000_000, None), ("rejected", 0, "implausible"), ("rejected", 0, "malformed"),
        ("rejected", 0, "malformed"),
    ]  # fmt: skip
    kept = {row["source_id"] for row in await db.fetch("SELECT source_id FROM activity_record")}
    assert kept == {"none", "few", "enough", "most", "too many"}


async def test_quantities_are_judged_as_rides_are_where_the_methodology_asks_for_it():
    assert await outcomes(
        "metro-wuhan",
        {"record_id": "a", "ended_at": "2026-05-06T09:00:00+08:00"},
        {"record_id": "b", "started_at": "2026-05-06T08:10:00+08:00"},  # rides of the metro may overlap
        {"record_id": "a"},
        {"record_id": "c", "subject": "stranger"},
        {"record_id": "d", "started_at": "2020-05-06T08:00:00"},
        {"record_id": "e", "ended_at": "2026-05-06T07:59:59+08:00"},
        {"record_id": None},
        {"record_id": "f", "quantity": None},
    ) == [
        ("credited", 156, None), ("credited", 156, None), ("rejected", 0, "duplicate"),
        ("rejected", 0, "unknown_subject"), ("rejected", 0, "not_in_force"), ("rejected", 0, "malformed"),
        ("rejected", 0, "malformed"), ("rejected", 0, "malformed"),
    ]  # fmt: skip


async def test_a_daily_cap_and_overlap_bind_quantities_too(monkeypatch: pytest.MonkeyPatch):
    version = shipped()["metro-wuhan"][0]
    bound = msgspec.structs.replace(
        version, caps=Caps(daily_g=300), checks=Checks(no_overlap=True, max_duration_seconds=7_200)
    )
    monkeypatch.setitem(shipped(), "metro-wuhan", (bound,))  # type: ignore[arg-type]
    hour = {"ended_at": "2026-05-06T09:00:00+08:00"}
    assert await outcomes(
        "metro-wuhan",
        hour,
        {"record_id": "within", "started_at": "2026-05-06T08:30:00+08:00", **hour},
        {"record_id": "next", "started_at": "2026-05-06T09:00:00+08:00"},
        {"record_id": "over", "started_at": "2026-05-06T10:00:00+08:00"},
    ) == [
        ("credited", 156, None), ("rejected", 0, "overlapping"), ("capped", 144, None),
        ("rejected", 0, "over_daily_cap"),
    ]  # fmt: skip
    at = "2026-05-06T08:45:00+08:00"
    later = await submit_records("metro-wuhan", quantities({"record_id": "later", "started_at": at}))
    assert later[0].reason == "overlapping"


async def test_a_channel_takes_the_shape_of_its_methodology_only():
    await a_linked_rider()
    with pytest.raises(Invalid):
        await submit_records(CHANNEL, quantities({}))


async def test_a_channel_is_opened_with_a_methodology_that_ships():
    await open_channel(key="bags", name="超市", methodology="own-bag-wuhan")
    assert await record_type("bags") is QuantityRecord
    with pytest.raises(Invalid):
        await open_channel(key="other", name="其他", methodology="no-such")


def test_unknown_fields_are_refused():
    with pytest.raises(msgspec.ValidationError):
        records({"colour": "orange"})
