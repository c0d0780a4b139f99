"""The trail of what operators did, to be filtered, and kept as a table."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from litestar import Response, get
from litestar.di import NamedDependency

from marketplace import clock
from marketplace.deeds import Deed, Sought, deeds, kinds_of_deeds
from marketplace.identity.operators import operators
from web.access import Operator
from web.csv_answer import csv_answer
from web.pages.forms import AnyRequest
from web.pages.rendering import Words, page, when, words_of
from web.paging import before, page_of

A_PAGE: Final = 50
MOST_ROWS: Final = 10_000
_FIELDS: Final = ("actor", "deed", "object", "since", "until")
_PLACES: Final = {"publisher": "/operator/publishers/"}
_COLUMNS: Final = ("when", "who", "what", "kind", "object", "city", "reason", "request")


@get("/operator/deeds", include_in_schema=False)
async def trail(request: AnyRequest, operator: NamedDependency[Operator]) -> Response[str]:
    """Deeds, newest first: those of the city for an operator of one."""
    words, asked = words_of(request), _asked(request)
    cursor = request.query_params.get("cursor") or None
    found = page_of(await deeds(_sought(asked, operator), limit=A_PAGE + 1, before=before(cursor)), A_PAGE)
    query = urlencode({name: value for name, value in asked.items() if value})
    return await page(
        request, "operator/deeds.html", area="operator", asked=asked, query=f"{query}&" if query else "",
        kinds=[("", words("deeds.any")), *((kind, _deed_words(words, kind)) for kind in await kinds_of_deeds())],
        actors=[("", words("deeds.anyone")), *((f"operator:{one.id}", one.login) for one in await operators())],
        deeds=[_shown(words, deed) for deed in found.items], next_cursor=found.next_cursor,
    )  # fmt: skip


@get("/operator/deeds.csv", include_in_schema=False)
async def table(request: AnyRequest, operator: NamedDependency[Operator]) -> Response[bytes]:
    """The same as a table, the newest 10,000."""
    words = words_of(request)
    found = await deeds(_sought(_asked(request), operator), limit=MOST_ROWS)
    return csv_answer(
        "deeds.csv", [words(f"deeds.{column}") for column in _COLUMNS],
        (
            (deed.created_at.isoformat(), deed.operator or deed.actor, deed.deed, deed.object_kind, str(deed.object),
             deed.city or "", deed.reason or "", deed.request_id or "")
            for deed in found
        ),
    )  # fmt: skip


def _asked(request: AnyRequest) -> dict[str, str]:
    return {name: request.query_params.get(name, "").strip()[:80].replace("\x00", "") for name in _FIELDS}


def _sought(asked: dict[str, str], operator: Operator) -> Sought:
    """What is looked for; what is no id or no day is left out of it."""
    about = None
    with suppress(ValueError):
        about = UUID(asked["object"])
    since, until = _day(asked["since"]), _day(asked["until"])
    return Sought(
        city=operator.city, actor=asked["actor"] or None, deed=asked["deed"] or None, object=about,
        since=clock.end_of_day(since - timedelta(days=1)) if since else None,
        until=clock.end_of_day(until) if until else None,
    )  # fmt: skip


def _day(given: str) -> date | None:
    with suppress(ValueError):
        day = date.fromisoformat(given)
        return day if 2000 <= day.year <= 9000 else None
    return None


def _deed_words(words: Words, deed: str) -> str:
    return words(f"deed.{deed}") if words.has(f"deed.{deed}") else deed


def _shown(words: Words, deed: Deed) -> dict[str, Any]:
    place = _PLACES.get(deed.object_kind)
    kind = f"deed.about.{deed.object_kind}"
    return {
        "words": _deed_words(words, deed.deed), "who": deed.operator or deed.actor, "at": when(deed.created_at),
        "kind": words(kind) if words.has(kind) else deed.object_kind, "object": str(deed.object),
        "place": f"{place}{deed.object}" if place else None, "reason": deed.reason or "",
        "request": deed.request_id or "",
    }  # fmt: skip


HANDLERS = [trail, table]
