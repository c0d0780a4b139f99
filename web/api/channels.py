"""Channels submit activity records."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from incentives.channels import RecordResult, RideRecord, submit_records
from marketplace import clock, ledger, mandates
from marketplace.errors import NotFound, Refused
from marketplace.identity.stores import EphemeralStore
from web.access import Channel


class Submission(msgspec.Struct, forbid_unknown_fields=True):
    """Up to a thousand records."""

    records: list[RideRecord]


@post("/api/v1/channels/{key:str}/activities", tags=["channel"])
async def submit_activities(
    key: FromPath[str],
    data: JSONBody[Submission],
    channel: NamedDependency[Channel],
    idempotency_key: NamedDependency[ledger.IdempotencyKey],
) -> dict[str, Any]:
    """Quantify and credit records; each gets its grams or a reason. The answer is stored with the effect."""
    if channel.key != key:
        raise NotFound
    if (earlier := await ledger.answered(idempotency_key)) is not None:
        return dict(earlier.answer)

    async def keep(results: list[RecordResult]) -> None:
        if not await ledger.remember(idempotency_key, _answer(results), at=clock.now()):
            raise Refused("idempotency_in_flight")

    try:
        return _answer(await submit_records(key, data.records, keep=keep))
    except Refused as refusal:
        first = await ledger.answered(idempotency_key) if refusal.code == "idempotency_in_flight" else None
        if first is None:
            raise
        return dict(first.answer)


class Confirmation(msgspec.Struct, forbid_unknown_fields=True):
    """The code that the holder of the account `subject` gave to the channel."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


@post("/api/v1/channels/{key:str}/links", tags=["channel"])
async def confirm_link(
    key: FromPath[str],
    data: JSONBody[Confirmation],
    channel: NamedDependency[Channel],
    store: NamedDependency[EphemeralStore],
) -> dict[str, str]:
    """Link one account of the channel to the resident who asked for it."""
    if channel.key != key:
        raise NotFound
    return {"id": str(await mandates.confirm(channel=key, code=data.code, subject=data.subject, store=store))}


def _answer(results: list[RecordResult]) -> dict[str, Any]:
    return {
        "credited_g": sum(result.credited_g for result in results),
        "results": [msgspec.to_builtins(result) for result in results],
    }
