"""The OpenAPI document: what the framework knows of the calls, and what only the house does.

That is who may call, idempotency keys, problems, and the shape of what is no type to the framework: an answer that is
stored with its effect (`opt=answer(Struct)`), a body that the handler reads itself (`takes`), OAuth's own errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.routes import HTTPRoute

from web.described_webhooks import described as webhooks_described
from web.locale import keys
from web.problems import PROBLEM_TYPE, status_of

_CALLERS: Final = (
    "resident", "person", "member", "staff", "till", "operator", "channel", "bank", "principal",
)  # fmt: skip
_FREE: Final = ("/healthz", "/readyz")
_REFS: Final = "#/components/schemas/{name}"
_WAITING: Final = (429, 503)
_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key", "in": "header", "required": True,
    "description": "One for each intent: sent again with the same body, it brings the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
}  # fmt: skip


class FieldProblem(msgspec.Struct):
    """One field that is wrong."""

    field: str
    code: str
    detail: str


class ProblemDocument(msgspec.Struct):
    """RFC 9457, in the caller's language; some codes bring facts as further members."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldProblem]


def answer(shape: type) -> dict[str, Any]:
    """The `opt` of a handler whose successful answer is of `shape`."""
    return {"answer": shape}


def takes(shape: type) -> dict[str, Any]:
    """The `opt` of a handler that reads its body as a `shape` itself."""
    return {"takes": shape}


def refusal(shape: type) -> dict[str, Any]:
    """The `opt` of a handler whose client errors are of `shape`, and no problems."""
    return {"refusal": shape}


class SchemaPlugin(JsonRenderPlugin):
    """Serves the document whole."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The framework's document, completed the first time that it is asked for."""
        if "Problem" not in openapi_schema["components"]["schemas"]:
            _complete(openapi_schema, dict(_operations(request.app.routes)))
        return super().render(request, openapi_schema)


def problem_codes() -> list[str]:
    """Every code that a problem document may have."""
    return sorted({key.split(".")[1] for key in keys() if key.startswith("problem.")})


def _operations(routes: list[Any]) -> Iterator[tuple[tuple[str, str], HTTPRouteHandler]]:
    for route in routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                for method in handler.http_methods:
                    yield (route.path_format, method.lower()), handler


def _complete(document: dict[str, Any], handlers: dict[tuple[str, str], HTTPRouteHandler]) -> None:
    shapes = [
        shape for handler in handlers.values() for shape in handler.opt.values() if isinstance(shape, type)
    ]
    _, components = msgspec.json.schema_components([ProblemDocument, *shapes], ref_template=_REFS)
    problem = components.pop("ProblemDocument")
    problem["properties"]["code"]["enum"] = problem_codes()
    document["webhooks"], sent = webhooks_described()
    document["components"]["schemas"] |= components | sent | {"Problem": problem}
    statuses = sorted({status_of(code) for code in problem_codes()})
    document["components"]["responses"] = {
        f"Problem{status}": _problem_response(status) for status in statuses
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            handler = handlers.get((path, method))
            if path in _FREE:
                operation["security"] = []
            elif handler is not None:
                _describe(operation, handler, method=method, has_id="{" in path)


def _describe(operation: dict[str, Any], handler: HTTPRouteHandler, *, method: str, has_id: bool) -> None:
    asks = handler.parsed_fn_signature.parameters
    called_by_someone = any(name in asks for name in _CALLERS)
    if not called_by_someone:
        operation["security"] = [{}, {"bearer": []}] if "visitor" in asks else []
    if "idempotency_key" in asks:
        operation["parameters"] = [*operation.get("parameters", ()), _KEY]
    changes = method != "get"
    wanted = {
        400: changes or bool(operation.get("parameters")), 401: called_by_someone or "visitor" in asks,
        403: called_by_someone, 404: has_id or changes, 409: changes, 422: "idempotency_key" in asks,
        429: True, 503: True,
    }  # fmt: skip
    responses = {status: told for status, told in operation["responses"].items() if status < "400"}
    responses |= {
        str(s): {"$ref": f"#/components/responses/Problem{s}"} for s, told in wanted.items() if told
    }
    operation["responses"] = responses
    if shape := handler.opt.get("refusal"):
        said = {"description": "As RFC 6749, section 5.2, words it", "content": _json_of(shape)}
        operation["responses"] = {"200": responses["200"], "400": said, "401": said} | {
            str(status): responses[str(status)] for status in _WAITING
        }
    if shape := handler.opt.get("answer"):
        next(iter(responses.values()))["content"] = _json_of(shape)
    if shape := handler.opt.get("takes"):
        operation["requestBody"] = {"required": True, "content": _json_of(shape)}


def _json_of(shape: type) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REFS.format(name=shape.__name__)}}}


def _problem_response(status: int) -> dict[str, Any]:
    codes = [code for code in problem_codes() if status_of(code) == status]
    response: dict[str, Any] = {
        "description": ", ".join(f"`{code}`" for code in codes),
        "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in _WAITING:
        response["headers"] = {
            "Retry-After": {"required": True, "schema": {"type": "integer"}, "description": "Seconds to wait"}
        }
    return response


__all__ = ["SchemaPlugin", "answer", "problem_codes", "refusal", "takes"]
