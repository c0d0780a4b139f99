"""Webhooks of a publisher: endpoints with their secrets, what was sent to them, and sending again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from marketplace.offers.benefits import checked
from merchants import webhooks
from merchants.publishing import require
from merchants.webhooks import Attempt, Delivery, Endpoint, EndpointChange, NewEndpoint, Secret
from merchants.webhooks.log import State
from web.access import Staff
from web.described import takes
from web.paging import Cursor, Limit, Page, before, page_of

_ONE = "/{endpoint_id:uuid}"
_LOG = _ONE + "/deliveries"


class DeliveryView(msgspec.Struct):
    """A message; `message_id` is its `webhook-id`, the same however often it is sent."""

    id: UUID
    message_id: str
    type: str
    timestamp: datetime
    state: State
    attempts: int
    next_at: datetime | None
    delivered_at: datetime | None
    last_status: int | None
    last_fault: str | None


class DeliveryDetails(msgspec.Struct):
    """A message with its attempts, the last first, and its body as it is signed."""

    delivery: DeliveryView
    attempts: list[Attempt]
    body: str


class Sending(msgspec.Struct):
    """The message that is sent, to be looked at in a moment."""

    delivery_id: UUID


class Replay(msgspec.Struct, forbid_unknown_fields=True):
    """From when until when, both with an offset."""

    since: Annotated[datetime, msgspec.Meta(tz=True)]
    until: Annotated[datetime, msgspec.Meta(tz=True)]


class Replayed(msgspec.Struct):
    messages: int


class WebhookController(Controller):
    """Endpoints by Standard Webhooks 1.0; for owners, managers and API clients with the scope `webhooks`."""

    path = "/api/v1/publisher/webhooks"
    tags = ["publisher"]

    @get()
    async def all(self, staff: NamedDependency[Staff]) -> list[Endpoint]:
        """Oldest first."""
        require(staff.role, "manage_webhooks")
        return await webhooks.endpoints_of(staff.publisher)

    @post(opt=takes(NewEndpoint))
    async def create(self, data: JSONBody[dict[str, Any]], staff: NamedDependency[Staff]) -> Secret:
        """A new endpoint; its secret is shown this once."""
        require(staff.role, "manage_webhooks")
        return await webhooks.create_endpoint(publisher=staff.publisher, new=checked(data, NewEndpoint))

    @get(_ONE)
    async def one(self, endpoint_id: FromPath[UUID], staff: NamedDependency[Staff]) -> Endpoint:
        """One of them."""
        require(staff.role, "manage_webhooks")
        return await webhooks.endpoint_of(publisher=staff.publisher, endpoint=endpoint_id)

    @patch(_ONE, opt=takes(EndpointChange))
    async def change(
        self, endpoint_id: FromPath[UUID], data: JSONBody[dict[str, Any]], staff: NamedDependency[Staff]
    ) -> Endpoint:
        """Set what is given. Enabled again, an endpoint gets what waited for it."""
        require(staff.role, "manage_webhooks")
        return await webhooks.change_endpoint(
            publisher=staff.publisher, endpoint=endpoint_id, change=checked(data, EndpointChange)
        )

    @delete(_ONE)
    async def remove(self, endpoint_id: FromPath[UUID], staff: NamedDependency[Staff]) -> None:
        """Nothing more is sent there."""
        require(staff.role, "manage_webhooks")
        await webhooks.delete_endpoint(publisher=staff.publisher, endpoint=endpoint_id)

    @post(_ONE + "/rotate", status_code=200)
    async def rotate(self, endpoint_id: FromPath[UUID], staff: NamedDependency[Staff]) -> Secret:
        """A new secret; the old one signs too for 24 hours."""
        require(staff.role, "manage_webhooks")
        return await webhooks.rotate_secret(publisher=staff.publisher, endpoint=endpoint_id)

    @post(_ONE + "/test", status_code=202)
    async def send_test(self, endpoint_id: FromPath[UUID], staff: NamedDependency[Staff]) -> Sending:
        """Send a message of the type `webhook.test`."""
        require(staff.role, "manage_webhooks")
        return Sending(await webhooks.send_test(publisher=staff.publisher, endpoint=endpoint_id))

    @post(_ONE + "/replay", status_code=202)
    async def replay(
        self, endpoint_id: FromPath[UUID], data: JSONBody[Replay], staff: NamedDependency[Staff]
    ) -> Replayed:
        """Send again what happened in a time of the last 30 days, under the same message ids."""
        require(staff.role, "manage_webhooks")
        count = await webhooks.replay(
            publisher=staff.publisher, endpoint=endpoint_id, since=data.since, until=data.until
        )
        return Replayed(count)

    @get(_LOG)
    async def log(
        self, endpoint_id: FromPath[UUID], staff: NamedDependency[Staff], limit: Limit = 50, cursor: Cursor = None,
        only: Annotated[State | None, QueryParameter(name="state", description="Only in this state")] = None,
    ) -> Page[DeliveryView]:  # fmt: skip
        """What was sent, or waits, newest first."""
        require(staff.role, "manage_webhooks")
        await webhooks.endpoint_of(publisher=staff.publisher, endpoint=endpoint_id)
        found = await webhooks.deliveries_of(
            publisher=staff.publisher,
            endpoint=endpoint_id,
            state=only,
            before=before(cursor),
            count=limit + 1,
        )
        shown = page_of(found, limit)
        return Page([_view(one) for one in shown.items], shown.next_cursor)

    @get(_LOG + "/{delivery_id:uuid}")
    async def attempts(
        self, endpoint_id: FromPath[UUID], delivery_id: FromPath[UUID], staff: NamedDependency[Staff]
    ) -> DeliveryDetails:
        """One message."""
        require(staff.role, "manage_webhooks")
        delivery, attempts, body = await webhooks.attempts_of(
            publisher=staff.publisher, endpoint=endpoint_id, delivery=delivery_id
        )
        return DeliveryDetails(_view(delivery), attempts, body)

    @post(_LOG + "/{delivery_id:uuid}/replay", status_code=202)
    async def replay_one(
        self, endpoint_id: FromPath[UUID], delivery_id: FromPath[UUID], staff: NamedDependency[Staff]
    ) -> Sending:
        """Send one message again, whatever became of it."""
        require(staff.role, "manage_webhooks")
        await webhooks.replay_one(publisher=staff.publisher, endpoint=endpoint_id, delivery=delivery_id)
        return Sending(delivery_id)


def _view(one: Delivery) -> DeliveryView:
    return DeliveryView(
        one.id, one.message_id, one.kind, one.at, one.state, one.attempts, one.next_at, one.delivered_at,
        one.last_status, one.last_fault,
    )  # fmt: skip
