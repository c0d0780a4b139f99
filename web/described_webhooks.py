"""What publishers' webhooks send, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from merchants.webhooks.events import SHAPES, TEST, TestFacts

_REFS: Final = "#/components/schemas/{name}"
_HEADERS: Final = {
    "webhook-id": "The message's id, the same however often it is sent",
    "webhook-timestamp": "When it was sent, in seconds since 1970",
    "webhook-signature": "One or more of `v1,` and the base64 of an HMAC-SHA-256, with spaces between",
}


def described() -> tuple[dict[str, Any], dict[str, Any]]:
    """The document's `webhooks`, and the schemas that they refer to."""
    shapes = {**SHAPES, TEST: TestFacts}
    _, schemas = msgspec.json.schema_components(list(dict.fromkeys(shapes.values())), ref_template=_REFS)
    return {kind: _webhook(kind, shape) for kind, shape in shapes.items()}, schemas


def _webhook(kind: str, shape: type) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": kind},
            "timestamp": {"type": "string", "format": "date-time", "description": "When it happened"},
            "data": {"$ref": _REFS.format(name=shape.__name__)},
        },
    }
    return {
        "post": {
            "summary": kind,
            "description": "To a publisher's endpoint, by Standard Webhooks 1.0.",
            "security": [],
            "parameters": [
                {"name": name, "in": "header", "required": True, "description": said, "schema": {"type": "string"}}
                for name, said in _HEADERS.items()
            ],
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
            "responses": {"2XX": {"description": "It arrived. Anything else, and it is sent again."}},
        }
    }  # fmt: skip
