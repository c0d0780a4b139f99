"""Errors as problem documents (RFC 9457): the one place where codes meet HTTP statuses and words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
import msgspec
import structlog
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from redis.exceptions import RedisError

from marketplace.errors import ChutanError, FieldError, Invalid, NotFound, Unavailable
from web.incoming import field_error, for_machines, request_id
from web.locale import Language, preferred_language, text
from web.reasons import worded_reasons

_log = structlog.get_logger("web")

PROBLEM_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 1

# A refusal is a conflict with how things stand (409) unless it is listed here.
STATUS: Final[Mapping[str, int]] = {
    "not_eligible": 403,
    "identity_check_required": 403,
    "guardian_needed": 403,
    "consent_missing": 403,
    "consent_revoked": 403,
    "forbidden": 403,
    "no_organisation": 403,
    "publisher_not_active": 403,
    "scope_missing": 403,
    "second_factor_required": 403,
    "sign_in_again": 403,
    "coupon_not_found": 404,
    "not_found": 404,
    "validation_failed": 400,
    "idempotency_key_missing": 400,
    "idempotency_key_reused": 422,
    "second_factor_wrong": 401,
    "unauthenticated": 401,
    "method_not_allowed": 405,
    "unsupported_media_type": 415,
    "rate_limited": 429,
    "internal": 500,
    "unavailable": 503,
}
REFUSED: Final = 409
_CODE_OF_STATUS: Final = {status: code for code, status in STATUS.items()} | {
    400: "validation_failed", 403: "forbidden", 404: "not_found", 409: "conflict", 422: "validation_failed",
}  # fmt: skip
_UNAVAILABLE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,  # a statement's timeout, a server that shuts down
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InterfaceError,  # a connection or pool that is closing
    RedisError,
    OSError,  # includes TimeoutError and ConnectionError
)
_BAD_INPUT: Final = (
    asyncpg.DataError,
    asyncpg.exceptions.DataError,
    RecursionError,
    UnicodeError,
    msgspec.DecodeError,
)
_PRIVATE_FACTS: Final = {"what", "retry_after"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What a caller is told about a failure, before it is put into words."""

    code: str
    status: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    errors: tuple[FieldError, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemText:
    """A problem in the caller's words; an error page is made of it."""

    status: int
    code: str
    title: str
    detail: str
    request_id: str


ErrorPage = Callable[[Request[Any, Any, Any], ProblemText], Response[Any]]


def problem_of(error: Exception) -> Problem:
    """What `error` means to a caller."""
    match error:
        case Invalid():
            return Problem(code=error.code, status=400, errors=error.errors)
        case Unavailable():
            return _unavailable(error.facts)
        case ChutanError():
            return _refused(error)
        case HTTPException():
            return _of_http(error)
        case msgspec.ValidationError():
            return Problem(code="validation_failed", status=400, errors=(field_error(str(error)),))
        case _ if isinstance(error, _BAD_INPUT):
            return Problem(code="validation_failed", status=400)
        case _ if isinstance(error, _UNAVAILABLE):
            return _unavailable({})
    return Problem(code="internal", status=500)


def status_of(code: str, default: int = REFUSED) -> int:
    """The HTTP status of a refusal's code."""
    return STATUS.get(code, default)


def _refused(error: ChutanError) -> Problem:
    status = status_of(error.code, 404 if isinstance(error, NotFound) else REFUSED)
    headers: dict[str, str] = {}
    if status in (429, 503):
        headers["Retry-After"] = str(int(error.facts.get("retry_after", RETRY_AFTER_SECONDS)))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="chutan"'
    return Problem(code=error.code, status=status, facts=error.facts, headers=headers)


def _unavailable(facts: Mapping[str, Any]) -> Problem:
    retry = {"Retry-After": str(facts.get("retry_after", RETRY_AFTER_SECONDS))}
    return Problem(code="unavailable", status=503, facts=facts, headers=retry)


def _of_http(error: HTTPException) -> Problem:
    status = error.status_code
    if status == 413:
        # The API answers every bad input by 400; the field error tells this one apart.
        return Problem(code="validation_failed", status=400, errors=(FieldError("", "too_large"),))
    fallback = "internal" if status >= 500 else "request_refused"
    code = _CODE_OF_STATUS.get(status, fallback)
    headers = dict(error.headers or {})
    if status in (429, 503):
        headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    if status == 401:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="chutan"')
    extra = error.extra if isinstance(error.extra, list) else []
    errors = tuple(
        field_error(str(part.get("message", "")), str(part.get("key", "")))
        for part in extra
        if isinstance(part, dict)
    )
    return Problem(code=code, status=status, errors=errors, headers=headers)


def render_problem(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """The answer to a failed request: a page where a person asked for one, else a problem document."""
    language = preferred_language(request.headers.get("accept-language"))
    problem, words = told(error, language=language, request=request_id(request.scope))
    page: ErrorPage | None = request.app.state.get("error_page")
    if page is not None and not for_machines(request.scope["path"]) and _wants_html(request):
        shown = page(request, words)
        shown.headers.update(
            {name: value for name, value in problem.headers.items() if name == "Retry-After"}
        )
        return shown
    return Response(
        content=document(problem, words, language),
        status_code=problem.status,
        media_type=PROBLEM_TYPE,
        headers={**problem.headers, "Content-Language": language, "Vary": "Accept-Language"},
    )


def told(error: Exception, *, language: Language, request: str) -> tuple[Problem, ProblemText]:
    """What `error` means to the caller of `request`, and in words; what is our own fault is logged."""
    problem = problem_of(error)
    if problem.status >= 500 or not isinstance(error, ChutanError | HTTPException):
        log = _log.exception if problem.code == "internal" else _log.warning
        log("request_failed", code=problem.code, error=type(error).__qualname__, exc_info=error)
    return problem, _words(problem, language, request)


def _wants_html(request: Request[Any, Any, Any]) -> bool:
    return MediaType.HTML.value in request.headers.get("accept", "")


def _words(problem: Problem, language: Language, request: str) -> ProblemText:
    key = f"problem.{problem.code}"
    title = text(language, f"{key}.title")
    detail = text(language, f"{key}.detail_with_facts", problem.facts) or text(language, f"{key}.detail")
    if title is None or detail is None:
        _log.error("problem_without_words", code=problem.code)
    return ProblemText(
        status=problem.status,
        code=problem.code,
        title=title or problem.code,
        detail=detail or problem.code,
        request_id=request,
    )


def document(problem: Problem, words: ProblemText, language: Language) -> dict[str, Any]:
    """The problem document."""
    shown = {name: value for name, value in problem.facts.items() if name not in _PRIVATE_FACTS}
    if "reason_details" in shown:
        shown["reason_details"] = worded_reasons(language, shown["reason_details"])
    return {
        **shown,
        "type": f"/problems/{problem.code}",
        "title": words.title,
        "status": problem.status,
        "detail": words.detail,
        "code": problem.code,
        "request_id": words.request_id,
        "errors": [
            {
                **error.facts,
                "field": error.field,
                "code": error.code,
                "detail": text(language, f"field.{error.code}", error.facts) or text(language, "field.other"),
            }
            for error in problem.errors
        ],
    }


__all__ = [
    "PROBLEM_TYPE",
    "REFUSED",
    "STATUS",
    "ErrorPage",
    "Problem",
    "ProblemText",
    "document",
    "problem_of",
    "render_problem",
    "status_of",
    "told",
]
