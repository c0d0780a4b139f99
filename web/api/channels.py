"""Channels submit activity records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from litestar import Request, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, RequestBody
from litestar.params import FromPath, JSONBody

from incentives.channels import (
    MAX_RECORDS,
    AnyResult,
    QuantityRecord,
    QuantityResult,
    RideRecord,
    RideResult,
    record_type,
    submit_records,
)
from marketplace import clock, ledger, mandates
from marketplace.errors import NotFound, Refused
from marketplace.identity.stores import EphemeralStore
from web.access import Channel
from web.incoming import strictly

T = TypeVar("T")
_GRAMS: Final = {"type": "integer"}


class Submission(msgspec.Struct, Generic[T], forbid_unknown_fields=True):
    """Up to a thousand records, all of the shape that the channel's methodology says."""

    records: list[T]


def _one_of(*kinds: type, **bounds: Any) -> dict[str, Any]:
    """The schema of a list of one of `kinds`."""
    _, components = msgspec.json.schema_components(kinds)
    for component in components.values():
        for field in component["properties"].values():
            if {"type": "string", "format": "decimal"} in field.get("anyOf", ()):
                field["anyOf"].insert(0, {"type": "number"})
    return {"oneOf": [{"type": "array", "items": components[kind.__name__], **bounds} for kind in kinds]}


def _object(**properties: Any) -> Any:
    """JSON of an object that has all of `properties`."""
    whole: Any = {"type": "object", "properties": properties, "required": list(properties)}
    return {"application/json": OpenAPIMediaType(schema=whole)}


@dataclass
class _SubmissionOperation(Operation):
    """Says in the schema what the handler finds out by the channel: which of two shapes the records have."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            content=_object(records=_one_of(RideRecord, QuantityRecord, maxItems=MAX_RECORDS)), required=True
        )
        self.responses = (self.responses or {}) | {
            "201": OpenAPIResponse(
                description="What became of each record, in the order of the records",
                content=_object(credited_g=_GRAMS, results=_one_of(RideResult, QuantityResult)),
            )
        }


@post("/api/v1/channels/{key:str}/activities", tags=["channel"], operation_class=_SubmissionOperation)
async def submit_activities(
    key: FromPath[str],
    request: Request[Any, Any, Any],
    channel: NamedDependency[Channel],
    idempotency_key: NamedDependency[ledger.IdempotencyKey],
) -> dict[str, Any]:
    """Quantify and credit records; each gets its grams or a reason. The answer is stored with the effect.

    A channel's methodology says whether its records are rides or quantities.
    """
    if channel.key != key:
        raise NotFound
    if (earlier := await ledger.answered(idempotency_key)) is not None:
        return dict(earlier.answer)
    shape: Any = await record_type(key)
    submission: Submission[Any] = strictly(await request.body(), Submission[shape])

    answer: dict[str, Any] = {}

    async def keep(results: list[AnyResult]) -> None:
        answer.update(_answer(results))
        if not await ledger.remember(idempotency_key, answer, at=clock.now()):
            raise Refused("idempotency_in_flight")

    try:
        await submit_records(key, submission.records, keep=keep)
    except Refused as refusal:
        first = await ledger.answered(idempotency_key) if refusal.code == "idempotency_in_flight" else None
        if first is None:
            raise
        return dict(first.answer)
    return answer


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


def _answer(results: list[AnyResult]) -> dict[str, Any]:
    return {
        "credited_g": sum(result.credited_g for result in results),
        "results": [msgspec.to_builtins(result) for result in results],
    }
