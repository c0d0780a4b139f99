"""The form that asks for name and identity number, wherever it stands."""

from __future__ import annotations

from typing import Any

from marketplace.errors import ChutanError, Invalid
from marketplace.identity.realname import RealNames, SandboxIdentityCheck
from web.pages.forms import AnyRequest, Typed
from web.pages.rendering import words_of
from web.problems import problem_of


def form_values(
    request: AnyRequest, real_names: RealNames, form: Typed | None = None, error: ChutanError | None = None
) -> dict[str, Any]:
    """What the form shows: what was typed into it, and what was wrong with that."""
    words = words_of(request)
    values: dict[str, Any] = {
        "typed": {name: form[name] if form is not None else "" for name in ("name", "id_number")},
        "errors": words.errors(error.errors) if isinstance(error, Invalid) else {},
        "sandbox": isinstance(real_names.check, SandboxIdentityCheck),
    }
    if isinstance(error, Invalid):
        values["refused"] = words("form.errors")
    elif error is not None:
        tired = error.code == "rate_limited"
        values["refused"] = words("real_name.too_many") if tired else words.refusal(error)
    return values


def status_after(error: ChutanError) -> int:
    """The status of a page that says what was refused."""
    return problem_of(error).status
