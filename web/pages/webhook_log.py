"""What was sent to an endpoint: the log, one message with its attempts, sending again, and a test."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, get_args
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace import clock
from marketplace.errors import ChutanError, FieldError, Invalid
from merchants import webhooks
from merchants.publishing import require
from merchants.webhooks import Delivery
from merchants.webhooks.log import State
from web.access import Staff
from web.pages.forms import AnyRequest, Typed, is_htmx, typed
from web.pages.rendering import Words, back, page, when, words_of
from web.pages.webhooks import ONE, PLACE, endpoint_shown
from web.paging import before, page_of

_A_PAGE: Final = 30
_COLOURS: Final = {"waiting": "paused", "delivered": "live", "failed": "rejected"}
_DELIVERY: Final = ONE + "/deliveries/{delivery_id:uuid}"


@get(ONE, include_in_schema=False)
async def log(
    request: AnyRequest, staff: NamedDependency[Staff], endpoint_id: FromPath[UUID]
) -> Response[str]:
    """The endpoint and its log; htmx gets the log alone."""
    require(staff.role, "manage_webhooks")
    return await _page(request, staff, endpoint_id)


@post(ONE + "/test", include_in_schema=False, status_code=303)
async def send_test(staff: NamedDependency[Staff], endpoint_id: FromPath[UUID]) -> Redirect:
    """Send a test."""
    require(staff.role, "manage_webhooks")
    try:
        await webhooks.send_test(publisher=staff.publisher, endpoint=endpoint_id)
    except ChutanError as refused:
        return _back(f"{PLACE}/{endpoint_id}", refused)
    return back(f"{PLACE}/{endpoint_id}")


@post(ONE + "/replay", include_in_schema=False, status_code=200)
async def replay(
    request: AnyRequest, staff: NamedDependency[Staff], endpoint_id: FromPath[UUID]
) -> Response[Any]:
    """Send again what happened in a time."""
    require(staff.role, "manage_webhooks")
    form = await typed(request)
    try:
        since, until = _moment(form, "since"), _moment(form, "until")
        count = await webhooks.replay(
            publisher=staff.publisher, endpoint=endpoint_id, since=since, until=until
        )
    except Invalid as wrong:
        return await _page(request, staff, endpoint_id, form=form, wrong=wrong)
    except ChutanError as refused:
        return _back(f"{PLACE}/{endpoint_id}", refused)
    return await _page(request, staff, endpoint_id, replayed=count)


@get(_DELIVERY, include_in_schema=False)
async def message(
    request: AnyRequest, staff: NamedDependency[Staff], endpoint_id: FromPath[UUID], delivery_id: FromPath[UUID]
) -> Response[str]:  # fmt: skip
    """One message, its attempts and its body."""
    require(staff.role, "manage_webhooks")
    words = words_of(request)
    delivery, attempts, body = await webhooks.attempts_of(
        publisher=staff.publisher, endpoint=endpoint_id, delivery=delivery_id
    )
    return await page(
        request, "publisher/webhook_message.html", area="publisher", endpoint=str(endpoint_id), body=body,
        message=_shown(words, delivery), message_id=delivery.message_id,
        attempts=[
            {"number": one.number, "at": when(one.at), "duration_ms": one.duration_ms, "answer": one.answer,
             "went": _went(words, one.status, one.fault), "arrived": one.fault is None}
            for one in attempts
        ],
    )  # fmt: skip


@post(_DELIVERY + "/replay", include_in_schema=False, status_code=303)
async def again(
    staff: NamedDependency[Staff], endpoint_id: FromPath[UUID], delivery_id: FromPath[UUID]
) -> Redirect:
    """Send it again."""
    require(staff.role, "manage_webhooks")
    place = f"{PLACE}/{endpoint_id}/deliveries/{delivery_id}"
    try:
        await webhooks.replay_one(publisher=staff.publisher, endpoint=endpoint_id, delivery=delivery_id)
    except ChutanError as refused:
        return _back(place, refused)
    return back(place)


def _back(place: str, refused: ChutanError) -> Redirect:
    if refused.code == "not_found":
        raise refused
    return back(place, refused=refused)


async def _page(
    request: AnyRequest, staff: Staff, endpoint: UUID, *, form: Typed | None = None, wrong: Invalid | None = None,
    replayed: int | None = None,
) -> Response[str]:  # fmt: skip
    words, asked = words_of(request), request.query_params
    state: State | None = next((one for one in get_args(State) if one == asked.get("state")), None)
    one = await webhooks.endpoint_of(publisher=staff.publisher, endpoint=endpoint)
    found = page_of(
        await webhooks.deliveries_of(
            publisher=staff.publisher, endpoint=endpoint, state=state, before=before(asked.get("cursor") or None),
            count=_A_PAGE + 1,
        ), _A_PAGE,
    )  # fmt: skip
    today = clock.now().astimezone(clock.SHANGHAI)
    fields = {"since": f"{today - timedelta(days=1):%Y-%m-%dT%H:%M}", "until": f"{today:%Y-%m-%dT%H:%M}"}
    return await page(
        request, "parts/webhook_log.html" if is_htmx(request) else "publisher/webhook.html", area="publisher",
        status=400 if wrong else 200, endpoint=endpoint_shown(words, one), state=state or "",
        states=[("", words("webhooks.all")), *((s, words(f"webhooks.state.{s}")) for s in get_args(State))],
        messages=[_shown(words, delivery) for delivery in found.items], next_cursor=found.next_cursor,
        fields={name: form[name] for name in fields} if form else fields,
        errors=words.errors(wrong.errors) if wrong else {}, replayed=replayed,
        moving="cursor" not in asked and any(one.state == "waiting" for one in found.items),
    )  # fmt: skip


def _shown(words: Words, one: Delivery) -> dict[str, Any]:
    return {
        "id": str(one.id), "kind": words(f"webhooks.event.{one.kind}"), "at": when(one.at),
        "colour": _COLOURS[one.state], "state_words": words(f"webhooks.state.{one.state}"), "attempts": one.attempts,
        "next_at": when(one.next_at),
        "went": _went(words, one.last_status, one.last_fault) if one.attempts else None,
    }  # fmt: skip


def _went(words: Words, status: int | None, fault: str | None) -> str:
    said = words(f"webhooks.fault.{fault}") if fault else words("webhooks.arrived")
    return f"{said} · HTTP {status}" if status is not None else said


def _moment(form: Typed, field: str) -> datetime:
    try:
        return datetime.fromisoformat(form[field]).replace(tzinfo=clock.SHANGHAI)
    except ValueError as error:
        raise Invalid(FieldError(field, "not_a_time" if form[field] else "required")) from error


HANDLERS = [log, send_test, replay, message, again]
