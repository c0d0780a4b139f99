"""The dashboard: what a publisher's offers brought, for its owner and managers, and moving while they look."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.response import ServerSentEvent

from marketplace.errors import FieldError, Invalid
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import principal_of
from merchants.hours import stamp
from merchants.insight import Insight, insight, offer_titles
from merchants.periods import NAMES, Period, period_of
from merchants.publishing import may, require
from merchants.staff import staff_member
from web.access import Staff, bearer_token
from web.live import UNCOMPRESSED, Streams
from web.pages.forms import AnyRequest
from web.pages.insight_tables import figures, tables
from web.pages.rendering import Words, environment, page, when, words_of

PLACE: Final = "/publisher/insight"


class Asked(NamedTuple):
    """What is looked for, as it came: a period by name, two days, and an offer's id."""

    period: str
    first: str
    last: str
    offer: str

    def query(self, **changes: str) -> str:
        """The address's query with `changes`, without what is empty or does not count."""
        asked = self._replace(**changes)
        given = {"period": asked.period, "offer": asked.offer}
        if asked.period == "custom":
            given |= {"from": asked.first, "to": asked.last}
        return urlencode({name: value for name, value in given.items() if value})

    def read(self) -> tuple[Period, UUID | None]:
        """Raises Invalid."""
        period = period_of(self.period, first=self.first, last=self.last)
        try:
            return period, UUID(self.offer) if self.offer else None
        except ValueError as error:
            raise Invalid(FieldError("offer", "invalid")) from error


@get(PLACE, include_in_schema=False)
async def dashboard(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """The numbers of a period; without JavaScript as tables alone."""
    require(staff.role, "read_insight")
    words, asked, errors = words_of(request), _asked(request), {}
    try:
        period, offer = asked.read()
    except Invalid as wrong:
        errors = words.errors(wrong.errors)
        period, offer = period_of(), None
    found = await insight(publisher=staff.publisher, period=period, offer=offer)
    valid = (
        Asked(period.name, asked.first, asked.last, asked.offer) if not errors else Asked("today", "", "", "")
    )
    return await page(
        request, "publisher/insight.html", area="publisher", status=400 if errors else 200, errors=errors,
        typed={"from": asked.first or str(period.first), "to": asked.last or str(period.last), "offer": asked.offer},
        periods=[
            {"place": f"{PLACE}?{valid.query(period=name)}", "words": words(f"insight.period.{name}"),
             "chosen": name == valid.period}
            for name in NAMES if name != "custom"
        ],
        offers=[("", words("insight.all_offers")), *await offer_titles(publisher=staff.publisher)],
        query=valid.query(), custom=valid.period == "custom" or bool(errors), **_shown(words, found),
    )  # fmt: skip


@get(f"{PLACE}/stream", include_in_schema=False, opt={UNCOMPRESSED: True})
async def stream(
    request: AnyRequest, staff: NamedDependency[Staff], store: NamedDependency[EphemeralStore]
) -> ServerSentEvent:
    """The same numbers whenever something has happened, as the part of the page that shows them."""
    require(staff.role, "read_insight")
    words, asked, token = words_of(request), _asked(request), bearer_token(request) or ""
    _, offer = asked.read()
    await insight(publisher=staff.publisher, period=period_of(), offer=offer)  # another's offer is not found

    async def ask() -> Insight:
        return await insight(publisher=staff.publisher, period=asked.read()[0], offer=offer)

    async def still() -> bool:
        principal, member = await principal_of(token, store=store), await staff_member(staff.id)
        return (
            principal is not None and principal.role == "staff" and principal.id == staff.id
            and member is not None and member.publisher == staff.publisher and may(member.role, "read_insight")
        )  # fmt: skip

    streams: Streams = request.app.state.streams
    place = await streams.lease(f"staff:{staff.id}")
    return ServerSentEvent(streams.stream(
        (staff.publisher, asked), ask=ask, stamp=lambda: stamp(staff.publisher), still=still, place=place,
        show=lambda found: _part(words, found),
    ))  # fmt: skip


def _part(words: Words, found: Insight) -> str:
    template = environment().get_template("publisher/insight_numbers.html")
    return template.render(t=words, **_shown(words, found))


def _shown(words: Words, found: Insight) -> dict[str, Any]:
    period, previous = found.period, found.period.previous
    return {
        "as_of": words("insight.as_of", at=when(found.as_of)),
        "span": words("insight.span", since_at=period.span.start, until_at=period.span.end,
                      before_since_at=previous.start, before_until_at=previous.end),
        "figures": figures(words, found),
        "tables": tables(words, found),
    }  # fmt: skip


def _asked(request: AnyRequest) -> Asked:
    query = request.query_params
    return Asked(*(query.get(name) or default
                   for name, default in (("period", "today"), ("from", ""), ("to", ""), ("offer", ""))))  # fmt: skip


HANDLERS = [dashboard, stream]
