"""Who of a publisher's staff may do what."""

from __future__ import annotations

from typing import Final, Literal

from marketplace.errors import Refused

Role = Literal["owner", "manager", "cashier"]
Deed = Literal[
    "read_offers", "read_insight", "publish", "verify", "manage_tills", "manage_staff", "manage_stores"
]

_MANAGER: Final[frozenset[Deed]] = frozenset(
    {"read_offers", "read_insight", "publish", "verify", "manage_tills", "manage_stores"}
)
_MAY: Final[dict[Role, frozenset[Deed]]] = {
    "owner": _MANAGER | {"manage_staff"},
    "manager": _MANAGER,
    "cashier": frozenset({"read_offers", "verify"}),
}


def may(role: Role, deed: Deed) -> bool:
    """Whether staff of `role` may do `deed`."""
    return deed in _MAY[role]


def require(role: Role, deed: Deed) -> None:
    """Raises Refused `forbidden` unless staff of `role` may do `deed`."""
    if not may(role, deed):
        raise Refused("forbidden")
