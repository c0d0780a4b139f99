"""The forecast of an offer, for its publisher and for the operator, who may also try a resident on it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from incentives.forecasts.dry_run import dry_run
from incentives.forecasts.forecasting import Forecast, forecast
from incentives.forecasts.kept import kept_forecast, offer_title
from marketplace.errors import ChutanError, FieldError, Invalid, NotFound
from marketplace.offers.catalogue import require_of_city
from marketplace.offers.eligibility import Eligibility
from merchants.publishing import require
from web.access import Operator, Staff
from web.pages.forecast_showing import forecast_shown
from web.pages.forms import AnyRequest, typed
from web.pages.rendering import page, words_of
from web.reasons import sentence

_PUBLISHERS = "/publisher/offers/{offer_id:uuid}/forecast"
_OPERATORS = "/operator/offers/{offer_id:uuid}/forecast"


@get(_PUBLISHERS, include_in_schema=False)
async def kept(request: AnyRequest, staff: NamedDependency[Staff], offer_id: FromPath[UUID]) -> Response[str]:
    """The forecast that the offer was submitted with, and the button that makes one."""
    require(staff.role, "publish")
    return await _page(request, "publisher", offer_id, publisher=staff.publisher)


@post(_PUBLISHERS, include_in_schema=False, status_code=200)
async def make(request: AnyRequest, staff: NamedDependency[Staff], offer_id: FromPath[UUID]) -> Response[str]:
    """A forecast of the offer as it is now."""
    require(staff.role, "publish")
    return await _made(request, "publisher", offer_id, publisher=staff.publisher)


@get(_OPERATORS, include_in_schema=False)
async def kept_for_operator(
    request: AnyRequest, operator: NamedDependency[Operator], offer_id: FromPath[UUID]
) -> Response[str]:
    """The forecast that the offer was submitted with, the button that makes one, and the form of the dry run."""
    await require_of_city(offer_id, operator.city)
    return await _page(request, "operator", offer_id)


@post(_OPERATORS, include_in_schema=False, status_code=200)
async def make_for_operator(
    request: AnyRequest, operator: NamedDependency[Operator], offer_id: FromPath[UUID]
) -> Response[str]:
    """A forecast of the offer as it is now."""
    await require_of_city(offer_id, operator.city)
    return await _made(request, "operator", offer_id)


@post("/operator/offers/{offer_id:uuid}/dry-run", include_in_schema=False, status_code=200)
async def try_resident(
    request: AnyRequest, operator: NamedDependency[Operator], offer_id: FromPath[UUID],
    eligibility: NamedDependency[Eligibility],
) -> Response[str]:  # fmt: skip
    """Whether a resident could take the offer, and if not, why."""
    await require_of_city(offer_id, operator.city)
    form, words = await typed(request), words_of(request)
    tried: dict[str, Any] = {
        "resident": form["resident"],
        "purpose": form["purpose"],
        "errors": {},
        "answer": None,
    }
    try:
        found = await dry_run(
            offer_id, resident=_id(form["resident"]), operator=operator.id, purpose=form["purpose"],
            eligibility=eligibility,
        )  # fmt: skip
    except Invalid as wrong:
        tried["errors"] = words.errors(wrong.errors)
    except NotFound:
        tried["errors"] = words.errors([FieldError("resident", "unknown")])
    else:
        tried["answer"] = {
            "eligible": found.eligible, "reasons": [sentence(words.language, one) for one in found.reasons]
        }  # fmt: skip
    return await _page(request, "operator", offer_id, tried=tried)


def _id(given: str) -> UUID:
    try:
        return UUID(given.strip())
    except ValueError as error:
        raise Invalid(FieldError("resident", "invalid" if given.strip() else "required")) from error


async def _made(
    request: AnyRequest, area: str, offer: UUID, *, publisher: UUID | None = None
) -> Response[str]:
    """The page with a forecast that is made now; what kept it from being made is said there."""
    try:
        made = await forecast(offer, publisher=publisher)
    except NotFound:
        raise
    except Invalid as wrong:
        problem = next(iter(words_of(request).errors(wrong.errors).values()))
        return await _page(request, area, offer, publisher=publisher, problem=problem)
    except ChutanError as refused:
        problem = words_of(request).refusal(refused)
        return await _page(request, area, offer, publisher=publisher, problem=problem)
    return await _page(request, area, offer, publisher=publisher, made=made)


async def _page(
    request: AnyRequest, area: str, offer: UUID, *, publisher: UUID | None = None, made: Forecast | None = None,
    problem: str | None = None, tried: dict[str, Any] | None = None,
) -> Response[str]:  # fmt: skip
    words = words_of(request)
    title = await offer_title(offer, publisher=publisher)
    found = made
    if found is None:
        try:
            found = await kept_forecast(offer, publisher=publisher)
        except NotFound:
            found = None
    errors = tried["errors"] if tried else {}
    return await page(
        request, "forecast.html", area=area, status=400 if problem or errors else 200,
        title=title or words("offer.untitled"), place=f"/{area}/offers/{offer}",
        back_to=f"/publisher/offers/{offer}" if area == "publisher" else "/operator/approvals",
        problem_words=problem, kept=made is None, forecast=forecast_shown(words, found) if found else None,
        tried=tried or {"resident": "", "purpose": "", "errors": {}, "answer": None},
    )  # fmt: skip


HANDLERS = [kept, make, kept_for_operator, make_for_operator, try_resident]
