"""The operator's desk for publishers: how each stands, and suspending, reinstating and closing with a reason."""

from __future__ import annotations

from typing import Any, Final, get_args
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace import suspensions
from marketplace.deeds import MAX_REASON_LENGTH
from marketplace.errors import ChutanError, FieldError, Invalid, NotFound
from marketplace.matters import Standing, StandingEvent, history_of, open_matters, standing_of, standings
from marketplace.suspensions import CouponsOut
from web.access import Operator
from web.pages.forms import AnyRequest, Typed, typed
from web.pages.rendering import Words, back, page, when, words_of
from web.paging import before, page_of

PLACE: Final = "/operator/publishers"
A_PAGE: Final = 50
_STATUSES: Final = ("active", "suspended", "closed")


@get(PLACE, include_in_schema=False)
async def publishers(request: AnyRequest, operator: NamedDependency[Operator]) -> Response[str]:
    """Every publisher that the operator has, newest first, to be searched."""
    words, asked = words_of(request), request.query_params
    q, status = asked.get("q", "").strip()[:100].replace("\x00", ""), asked.get("status", "")
    found = page_of(
        await standings(
            city=operator.city, q=q, status=status if status in _STATUSES else None, limit=A_PAGE + 1,
            before=before(asked.get("cursor") or None),
        ),
        A_PAGE,
    )  # fmt: skip
    statuses = [
        ("", words("publishers.all")),
        *((one, words(f"publisher_status.{one}")) for one in _STATUSES),
    ]
    return await page(
        request, "operator/publishers.html", area="operator", q=q, standing=status, statuses=statuses,
        publishers=[_shown(words, one) for one in found.items], next_cursor=found.next_cursor,
    )  # fmt: skip


@get(f"{PLACE}/{{publisher_id:uuid}}", include_in_schema=False)
async def publisher(
    request: AnyRequest, operator: NamedDependency[Operator], publisher_id: FromPath[UUID]
) -> Response[str]:
    """How a publisher stands, what is open, what was done to it, and what can be done now."""
    return await _page(request, operator, publisher_id)


@post(f"{PLACE}/{{publisher_id:uuid}}/standing", include_in_schema=False)
async def rule(
    request: AnyRequest, operator: NamedDependency[Operator], publisher_id: FromPath[UUID]
) -> Response[Any] | Redirect:
    """Suspend, reinstate or close a publisher."""
    form = await typed(request)
    place = f"{PLACE}/{publisher_id}"
    try:
        await _ruled(form, operator, publisher_id)
    except Invalid as wrong:
        return await _page(request, operator, publisher_id, form=form, wrong=wrong)
    except NotFound:
        raise
    except ChutanError as refused:
        return back(place, refused=refused)
    return back(place)


async def _ruled(form: Typed, operator: Operator, publisher: UUID) -> None:
    said: dict[str, Any] = {
        "publisher": publisher, "reason": form["reason"], "actor": operator.actor, "city": operator.city,
    }  # fmt: skip
    match form["then"]:
        case "suspend":
            coupons_out = next((one for one in get_args(CouponsOut) if one == form["coupons_out"]), None)
            if coupons_out is None:
                raise Invalid(FieldError("coupons_out", "required"))
            await suspensions.suspend(**said, coupons_out=coupons_out)
        case "reinstate":
            await suspensions.reinstate(**said)
        case "close":
            await suspensions.close(**said)
        case _:
            raise Invalid(FieldError("then", "required"))


async def _page(
    request: AnyRequest,
    operator: Operator,
    publisher: UUID,
    *,
    form: Typed | None = None,
    wrong: Invalid | None = None,
) -> Response[str]:
    words, found = words_of(request), await standing_of(publisher, city=operator.city)
    then = form["then"] if form else ""
    errors = {"reason": "", "coupons_out": ""} | (words.errors(wrong.errors) if wrong else {})
    return await page(
        request, "operator/publisher.html", area="operator", status=400 if wrong else 200,
        publisher=_shown(words, found), facts=_facts(words, found), matters=await open_matters(publisher),
        history=[_event(words, event) for event in await history_of(publisher)], max_reason=MAX_REASON_LENGTH,
        can=_can(found), then=then, reason=form["reason"] if form else "",
        coupons_out=form["coupons_out"] if form else "", errors=errors,
    )  # fmt: skip


def _can(found: Standing) -> list[str]:
    """What an operator can do to a publisher as it stands."""
    if found.status == "active":
        return ["suspend"]
    if found.status == "suspended":
        return [*(["suspend"] if found.coupons_out != "given_back" else []), "reinstate", "close"]
    return []


def _shown(words: Words, found: Standing) -> dict[str, Any]:
    coupons_out = found.coupons_out if found.status == "suspended" else None
    return {
        "id": str(found.id), "name": found.name, "kind": words(f"publisher_kind.{found.kind}"),
        "city": words(f"city.{found.city}") if words.has(f"city.{found.city}") else found.city,
        "status": found.status, "status_words": words(f"publisher_status.{found.status}"),
        "coupons_out": coupons_out or ("kept" if found.status == "suspended" else ""), "giving_back": found.giving_back,
    }  # fmt: skip


def _facts(words: Words, found: Standing) -> list[tuple[str, str]]:
    return [
        (words("apply.licence"), found.licence or words("publishers.no_licence")),
        (words("publishers.since"), when(found.created_at)),
    ]


def _event(words: Words, event: StandingEvent) -> dict[str, str]:
    key = f"{event.event}_{event.coupons_out}" if event.coupons_out else event.event
    return {"words": words(f"standing.{key}"), "reason": event.reason, "at": when(event.at)}


HANDLERS = [publishers, publisher, rule]
