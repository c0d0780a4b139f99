"""Records that a channel submits over the API: the same rules as the import, up to a thousand at once."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec

from incentives.crediting import credit_records, methodology_of
from incentives.judging import CAPPED, CREDITED, MALFORMED, Judgement
from incentives.methodologies import Methodology, shipped
from incentives.records import Malformed, Record, parse_quantity, parse_ride
from marketplace import clock, db, residents
from marketplace.errors import FieldError, Invalid, Refused

MAX_RECORDS: Final = 1_000
_KEY: Final = re.compile(r"[a-z][a-z0-9-]{1,39}")


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


class QuantityRecord(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A quantity in the unit of the channel's methodology, whole where that is counted (trip, step, order, use, bill).

    A field that is missing makes the record malformed, not the call. Times are as a ride's; `ended_at` may be left out.
    """

    record_id: str | None = None
    subject: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    quantity: Decimal | None = None


AnyRecord: TypeAlias = RideRecord | QuantityRecord


class RideResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one ride: `credited`, `capped`, or `rejected` for `reason` (`duplicate` among them)."""

    trip_id: str | None
    status: str
    credited_g: int
    reason: str | None


class QuantityResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one quantity: `credited`, `capped`, or `rejected` for `reason` (`duplicate` among them)."""

    record_id: str | None
    status: str
    credited_g: int
    reason: str | None


AnyResult: TypeAlias = RideResult | QuantityResult
Keep = Callable[[list[AnyResult]], Awaitable[None]]


async def open_channel(*, key: str, name: str, methodology: str) -> None:
    """A channel whose records `methodology` quantifies. Raises Invalid when it is none of those that ship, or `key` is
    not 2 to 40 small letters, digits and hyphens; Refused `conflict` when there is one with this key."""
    if methodology not in shipped():
        raise Invalid(FieldError("methodology", "methodology_unsupported"))
    if _KEY.fullmatch(key) is None:
        raise Invalid(FieldError("key", "invalid"))
    made = await db.execute(
        "INSERT INTO channel (key, name, methodology, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        key, name, methodology, clock.now(),
    )  # fmt: skip
    if not made:
        raise Refused("conflict")


async def record_type(channel: str) -> type[RideRecord] | type[QuantityRecord]:
    """The shape of the records of `channel`, which its methodology says. Raises as `methodology_of`."""
    return RideRecord if (await methodology_of(channel)).record == "ride" else QuantityRecord


async def submit_records(
    channel: str, records: Sequence[AnyRecord], *, keep: Keep | None = None
) -> list[AnyResult]:
    """Judge and credit `records` in one transaction; the results stand in the order of the records.

    `keep` gets the results before the commit, for a caller who stores the answer with its effect. Raises Invalid for
    more than a thousand records or records of the other shape, NotFound for an unknown channel, Unavailable.
    """
    if len(records) > MAX_RECORDS:
        raise Invalid(FieldError("records", "too_many"))
    methodology = await methodology_of(channel)
    if any((methodology.record == "ride") != isinstance(record, RideRecord) for record in records):
        raise Invalid(FieldError("records", "wrong_type"))
    read = [_read(record, methodology) for record in records]
    sound = [record for record in read if record is not None]
    subjects = {record.subject for record in sound}

    def answer(judged: Sequence[Judgement]) -> list[AnyResult]:
        verdicts = iter(judged)
        return [
            _result(given, Judgement(MALFORMED, 0) if record is None else next(verdicts))
            for given, record in zip(records, read, strict=True)
        ]

    async def keep_answer(judged: Sequence[Judgement]) -> None:
        if keep is not None:
            await keep(answer(judged))

    judged = await credit_records(
        sound, channel=channel, methodology=methodology,
        residents=await residents.linked(subjects, channel=channel), keep=keep_answer,
    )  # fmt: skip
    return answer(judged)


def _read(record: AnyRecord, methodology: Methodology) -> Record | None:
    started_at, ended_at = record.started_at or "", record.ended_at or ""
    try:
        if isinstance(record, RideRecord):
            return parse_ride(
                trip_id=record.trip_id or "", rider_id=record.rider_id or "", bike_id=record.bike_id or "",
                started_at=started_at, ended_at=ended_at, distance_m=_text(record.track_distance_m),
                zone=clock.SHANGHAI,
            )  # fmt: skip
        return parse_quantity(
            record_id=record.record_id or "", subject=record.subject or "", started_at=started_at,
            ended_at=ended_at, quantity=_text(record.quantity), whole=methodology.counted, zone=clock.SHANGHAI,
        )  # fmt: skip
    except Malformed:
        return None


def _text(number: Decimal | None) -> str:
    return "" if number is None else str(number)


def _result(record: AnyRecord, judgement: Judgement) -> AnyResult:
    gained = judgement.outcome in {CREDITED, CAPPED}
    status = judgement.outcome if gained else "rejected"
    reason = None if gained else judgement.outcome
    if isinstance(record, RideRecord):
        return RideResult(trip_id=record.trip_id, status=status, credited_g=judgement.amount_g, reason=reason)
    return QuantityResult(
        record_id=record.record_id, status=status, credited_g=judgement.amount_g, reason=reason
    )
