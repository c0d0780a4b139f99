"""Records that a channel submits over the API: the same rules as the import, up to a thousand at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from incentives.crediting import credit_rides, ride_methodology
from incentives.cycling import CAPPED, CREDITED, MALFORMED, Judgement
from incentives.rides import Malformed, Ride, parse_ride
from marketplace import clock, residents
from marketplace.errors import FieldError, Invalid

MAX_RECORDS: Final = 1_000

Keep = Callable[[list["RecordResult"]], Awaitable[None]]


class RideRecord(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A ride as a channel sends it; a field that is missing makes the record malformed, not the call.

    Times are RFC 3339, or naive and then of Asia/Shanghai. `points` may be sent and is not used.
    """

    trip_id: str | None = None
    rider_id: str | None = None
    bike_id: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    track_distance_m: Decimal | None = None
    points: int | None = None


class RecordResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one record: `credited`, `capped`, or `rejected` for `reason` (`duplicate` among them)."""

    trip_id: str | None
    status: str
    credited_g: int
    reason: str | None


async def submit_records(
    channel: str, records: Sequence[RideRecord], *, keep: Keep | None = None
) -> list[RecordResult]:
    """Judge and credit `records` in one transaction; the results stand in the order of the records.

    `keep` gets the results before the commit, for a caller who stores the answer with its effect. Raises Invalid for
    more than a thousand records or a channel without rides, NotFound for an unknown channel, Unavailable.
    """
    if len(records) > MAX_RECORDS:
        raise Invalid(FieldError("records", "too_many"))
    methodology = await ride_methodology(channel)
    read = [_read(record) for record in records]
    rides = [ride for ride in read if ride is not None]
    riders = {ride.rider_id for ride in rides}

    def answer(judged: Sequence[Judgement]) -> list[RecordResult]:
        verdicts = iter(judged)
        return [
            _result(record, Judgement(MALFORMED, 0) if ride is None else next(verdicts))
            for record, ride in zip(records, read, strict=True)
        ]

    async def keep_answer(judged: Sequence[Judgement]) -> None:
        if keep is not None:
            await keep(answer(judged))

    judged = await credit_rides(
        rides, channel=channel, methodology=methodology,
        residents=await residents.linked(riders, channel=channel), keep=keep_answer,
    )  # fmt: skip
    return answer(judged)


def _read(record: RideRecord) -> Ride | None:
    distance = record.track_distance_m
    try:
        return parse_ride(
            trip_id=record.trip_id or "", rider_id=record.rider_id or "", bike_id=record.bike_id or "",
            started_at=record.started_at or "", ended_at=record.ended_at or "",
            distance_m="" if distance is None else str(distance), zone=clock.SHANGHAI,
        )  # fmt: skip
    except Malformed:
        return None


def _result(record: RideRecord, judgement: Judgement) -> RecordResult:
    gained = judgement.outcome in {CREDITED, CAPPED}
    return RecordResult(
        trip_id=record.trip_id,
        status=judgement.outcome if gained else "rejected",
        credited_g=judgement.amount_g,
        reason=None if gained else judgement.outcome,
    )
