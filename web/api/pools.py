"""A publisher's pools of codes: how full they are, what is uploaded to them, and codes of our own making."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, RequestBody, Schema
from litestar.params import FromPath, FromQuery, JSONBody

from marketplace import ledger, pools
from marketplace.offers.catalogue import publisher_offer
from marketplace.pools.files import MAX_FILE_BYTES
from marketplace.pools.generation import LENGTHS, MAX_PREFIX, export, generate
from marketplace.pools.lines import MAX_LINES
from merchants import publishing
from web.access import Staff
from web.csv_answer import csv_answer
from web.paging import Cursor, Limit, Page, before, page_of


class UploadStart(msgspec.Struct, forbid_unknown_fields=True):
    """A file that is going to be sent piece by piece; `expires_on` is the last day on which its codes are given out."""

    name: Annotated[str, msgspec.Meta(max_length=pools.MAX_NAME)]
    size_bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_FILE_BYTES)]
    expires_on: date | None = None


class Generation(msgspec.Struct, forbid_unknown_fields=True):
    """How many codes to make; `length` counts the letters after the prefix, the check letter among them."""

    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_LINES)]
    prefix: Annotated[str, msgspec.Meta(max_length=MAX_PREFIX)] = ""
    length: Annotated[int, msgspec.Meta(ge=LENGTHS[0], le=LENGTHS[-1])] = LENGTHS[0]
    expires_on: date | None = None


class Alarm(msgspec.Struct, forbid_unknown_fields=True):
    """How few codes are few enough to be told."""

    alarm_at: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class PoolController(Controller):
    """The pool of one offer."""

    path = "/api/v1/publisher/offers/{offer_id:uuid}"
    tags = ["publisher"]

    @get("/pool")
    async def pool(self, offer_id: FromPath[UUID], staff: NamedDependency[Staff]) -> pools.Pool:
        """How many codes there are, are given out and are left."""
        await publisher_offer(publisher=staff.publisher, offer=offer_id)
        return await pools.pool_of(offer_id)

    @put("/pool")
    async def alarm(
        self, offer_id: FromPath[UUID], data: JSONBody[Alarm], staff: NamedDependency[Staff]
    ) -> pools.Pool:
        """Say at how many codes left the publisher is told."""
        publishing.require(staff.role, "publish")
        return await pools.set_alarm(publisher=staff.publisher, offer=offer_id, alarm_at=data.alarm_at)

    @get("/uploads")
    async def uploads(
        self,
        offer_id: FromPath[UUID],
        staff: NamedDependency[Staff],
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[pools.Upload]:
        """Everything that was uploaded or generated, newest first."""
        await publisher_offer(publisher=staff.publisher, offer=offer_id)
        found = await pools.uploads_of(
            publisher=staff.publisher, offer=offer_id, limit=limit + 1, before=before(cursor)
        )
        return page_of(found, limit)

    @post("/uploads")
    async def begin(
        self, offer_id: FromPath[UUID], data: JSONBody[UploadStart], staff: NamedDependency[Staff]
    ) -> pools.Upload:
        """Begin to upload a TXT, CSV or XLSX file of up to 100,000 codes; its content follows."""
        publishing.require(staff.role, "publish")
        return await pools.begin(
            publisher=staff.publisher, offer=offer_id, name=data.name, size_bytes=data.size_bytes,
            expires_on=data.expires_on, actor=staff.actor,
        )  # fmt: skip

    @post("/codes/generate")
    async def generate(
        self,
        offer_id: FromPath[UUID],
        data: JSONBody[Generation],
        staff: NamedDependency[Staff],
        idempotency_key: NamedDependency[ledger.IdempotencyKey],
    ) -> pools.Upload:
        """Have codes made that nobody can guess, each with a check letter."""
        publishing.require(staff.role, "publish")
        return await generate(
            publisher=staff.publisher, offer=offer_id, prefix=data.prefix, length=data.length, count=data.count,
            expires_on=data.expires_on, actor=staff.actor, key=idempotency_key,
        )  # fmt: skip


@dataclass
class _PieceOperation(Operation):
    """Says in the schema what the framework does not see: the body is bytes."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            content={"application/octet-stream": OpenAPIMediaType(schema=Schema())}, required=True,
            description="The next bytes of the file, up to 1 MiB",
        )  # fmt: skip


@dataclass
class _CsvOperation(Operation):
    """Says in the schema that the answer is a file."""

    def __post_init__(self) -> None:
        said = {"text/csv": OpenAPIMediaType(schema=Schema())}
        self.responses = (self.responses or {}) | {
            "200": OpenAPIResponse(description="A CSV file", content=said)
        }


class UploadController(Controller):
    """One upload: its content, its progress, and what came of it."""

    path = "/api/v1/publisher/uploads/{upload_id:uuid}"
    tags = ["publisher"]

    @get()
    async def one(self, upload_id: FromPath[UUID], staff: NamedDependency[Staff]) -> pools.Upload:
        """How far it has come."""
        return await pools.upload_of(publisher=staff.publisher, upload=upload_id)

    @put("/content", operation_class=_PieceOperation)
    async def receive(
        self,
        upload_id: FromPath[UUID],
        request: Request[Any, Any, Any],
        staff: NamedDependency[Staff],
        offset: FromQuery[int],
    ) -> pools.Upload:
        """Send the bytes from `offset` on. Refused with `received_bytes` where another offset is next."""
        publishing.require(staff.role, "publish")
        piece = b"".join([part async for part in request.stream()])
        return await pools.receive(publisher=staff.publisher, upload=upload_id, offset=offset, piece=piece)

    @get("/report", operation_class=_CsvOperation)
    async def report(self, upload_id: FromPath[UUID], staff: NamedDependency[Staff]) -> Response[bytes]:
        """The lines that were not added, and why, as CSV."""
        await pools.upload_of(publisher=staff.publisher, upload=upload_id)
        faults = await pools.faults_of(publisher=staff.publisher, upload=upload_id)
        return csv_answer(f"report-{upload_id}.csv", REPORT, [(one.line, one.fault) for one in faults])

    @post("/export", operation_class=_CsvOperation, status_code=200)
    async def export(self, upload_id: FromPath[UUID], staff: NamedDependency[Staff]) -> Response[bytes]:
        """Generated codes for the shop's own system, as CSV: once."""
        publishing.require(staff.role, "publish")
        codes = await export(publisher=staff.publisher, upload=upload_id, actor=staff.actor)
        return csv_answer(f"codes-{upload_id}.csv", CODES, [(code,) for code in codes])

    @post("/withdraw", status_code=200)
    async def withdraw(self, upload_id: FromPath[UUID], staff: NamedDependency[Staff]) -> pools.Upload:
        """Take back the codes that nobody has, and load no more."""
        publishing.require(staff.role, "publish")
        return await pools.withdraw(publisher=staff.publisher, upload=upload_id)


REPORT: Final = ("line", "fault")
CODES: Final = ("code",)
