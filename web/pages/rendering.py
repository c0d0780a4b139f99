"""Pages out of templates: prepared values in, HTML out, in the caller's language."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Response
from litestar.datastructures import Cookie
from litestar.response import Redirect
from litestar.template.base import csrf_token

from marketplace import clock
from marketplace.errors import ChutanError, FieldError, Refused
from marketplace.identity.tokens import Principal
from web.access import caller
from web.locale import Language, preferred_language, text, worded
from web.pages.console import console_of
from web.pages.desk import desk_of
from web.pages.forms import AnyRequest, new_form_key

WEB: Final = Path(__file__).resolve().parent.parent
STATIC: Final = WEB / "static"
AREAS: Final = {"resident": "/sign-in", "publisher": "/publisher/sign-in", "operator": "/operator/sign-in"}


@cache
def environment() -> Environment:
    """The templates: every value escaped, every missing one an error."""
    made = Environment(
        loader=FileSystemLoader(WEB / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters["when"] = when
    made.filters["number"] = lambda amount: f"{amount:,}"
    made.filters["yuan"] = lambda amount_fen: worded("amount_fen", amount_fen)
    return made


def when(instant: datetime | str | None) -> str:
    """An instant as a clock in Wuhan shows it."""
    return "" if instant is None else worded("shown_at", instant)


def when_it_ends(instant: datetime | None) -> str:
    """The end of a window, which is half-open: 24:00 of a day rather than 00:00 of the next."""
    if instant is None:
        return ""
    local = instant.astimezone(clock.SHANGHAI)
    if (local.hour, local.minute) != (0, 0):
        return local.strftime("%Y-%m-%d %H:%M")
    return f"{clock.local_day(instant - timedelta(minutes=1))} 24:00"


@cache
def _manifest(changed_ns: int) -> Mapping[str, str]:
    names: dict[str, str] = json.loads((STATIC / "manifest.json").read_text(encoding="utf-8"))
    return names


def asset(name: str) -> str:
    """The address of a file of the front end; of one that is not built yet, an address where there is nothing."""
    try:
        names = _manifest((STATIC / "manifest.json").stat().st_mtime_ns)
    except OSError:
        names = {}
    return f"/static/{names.get(name, name)}"


class Words:
    """The texts of the pages in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, key: str, **facts: Any) -> str:
        found = text(self.language, f"page.{key}", facts or None)
        assert found is not None, f"no text for page.{key}"
        return found

    def has(self, key: str) -> bool:
        """Whether there is such a text."""
        return text(self.language, f"page.{key}") is not None

    def refusal(self, error: ChutanError) -> str:
        """Why something was refused."""
        key = f"problem.{error.code}"
        return (
            text(self.language, f"{key}.detail_with_facts", error.facts)
            or self.problem(error.code)
            or error.code
        )

    def problem(self, code: str) -> str | None:
        """The words of a problem's code, or None where there is no such code."""
        return text(self.language, f"problem.{code}.detail")

    def errors(self, errors: Sequence[FieldError]) -> dict[str, str]:
        """What is wrong with each field."""
        return {
            error.field: text(self.language, f"field.{error.code}", error.facts)
            or text(self.language, "field.other")
            or error.code
            for error in errors
        }


def words_of(request: AnyRequest) -> Words:
    """The texts in the caller's language."""
    return Words(preferred_language(request.headers.get("accept-language")))


async def viewer(request: AnyRequest) -> Principal | None:
    """Who looks at the page; None for anyone not signed in, with a session that is over too."""
    try:
        return await caller(request)
    except Refused as error:
        if error.code != "unauthenticated":
            raise
        return None


async def page(request: AnyRequest, template: str, *, area: str = "resident", status: int = 200,
               **values: Any) -> Response[str]:  # fmt: skip
    """The page of `template`, with what every page needs beside `values`."""
    principal = await viewer(request)
    code = request.query_params.get("refused", "")
    words = words_of(request)
    shown = {
        "refused": words.problem(code) if code.replace("_", "").isalpha() else None,
        "problem": None,
        "role": principal.role if principal else None,
        "csrf": csrf_token({"request": request}),
        "form_key": new_form_key(),
        "console": await console_of(principal) if area == "publisher" else None,
        "desk": await desk_of(principal) if area == "operator" else None,
        **values,
    }
    return render(words, template, area=area, path=request.scope["path"], status=status, **shown)


def render(words: Words, template: str, *, area: str, path: str, status: int, **values: Any) -> Response[str]:
    """A page for whoever: no session is read."""
    html = (
        environment()
        .get_template(template)
        .render(t=words, language=words.language, area=area, path=path, asset=asset, **values)
    )
    headers = {
        "Content-Language": words.language,
        "Vary": "Accept-Language, Cookie, HX-Request",
        "Cache-Control": "no-store",
    }
    return Response(html, media_type=MediaType.HTML, status_code=status, headers=headers)


def back(place: str, *cookies: Cookie, refused: ChutanError | None = None) -> Redirect:
    """After a form: on to a page (303), which says what was refused."""
    if refused is not None:
        place += ("&" if "?" in place else "?") + f"refused={refused.code}"
    return Redirect(place, status_code=303, cookies=list(cookies))
