"""Who of a publisher's staff may do what."""

from __future__ import annotations

from typing import Final, Literal

from marketplace.errors import Refused

Role = Literal["owner", "manager", "cashier"]
Deed = Literal[
    "read_offers", "read_insight", "publish", "verify", "manage_tills", "manage_staff", "manage_stores",
    "manage_webhooks", "manage_clients",
]  # fmt: skip

_MANAGES: Final[frozenset[Deed]] = frozenset(
    {"read_offers", "read_insight", "publish", "verify", "manage_tills", "manage_stores", "manage_webhooks"}
)
_MAY: Final[dict[Role, frozenset[Deed]]] = {
    "owner": _MANAGES | {"manage_staff", "manage_clients"},
    "manager": _MANAGES,
    "cashier": frozenset({"read_offers", "verify"}),
}


def may(role: Role, deed: Deed) -> bool:
    """Whether staff of `role` may do `deed`."""
    return deed in _MAY[role]


def require(role: Role, deed: Deed) -> None:
    """Raises Refused `forbidden` unless staff of `role` may do `deed`."""
    if not may(role, deed):
        raise Refused("forbidden")
