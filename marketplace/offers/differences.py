"""What is different between two versions of an offer's terms, field by field, for who confirms or approves it."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from marketplace.offers.terms import Terms

_NESTED: Final = ("benefit", "conditions", "funding", "limits", "redeem_windows")


class Difference(NamedTuple):
    """A field by its path (`benefit.amount_fen`), and what it was and is; None stands for nothing there."""

    field: str
    before: Any
    after: Any


def differences(before: Terms, after: Terms) -> list[Difference]:
    """Every field that is not the same, in the order of the terms; empty where nothing is different."""
    was, now = _leaves(before), _leaves(after)
    return [
        Difference(field, was.get(field), now.get(field))
        for field in _in_order(was | now)
        if was.get(field) != now.get(field)
    ]


def _leaves(terms: Terms) -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for name in Terms.__struct_fields__:
        value = getattr(terms, name)
        if name not in _NESTED:
            leaves[name] = value
        elif value is not None:
            leaves |= {f"{name}.{part}": _listed(one) for part, one in msgspec.structs.asdict(value).items()}
    return {field: value for field, value in leaves.items() if value not in (None, ())}


def _listed(value: Any) -> Any:
    return tuple(sorted(value)) if isinstance(value, tuple) else value


def _in_order(fields: dict[str, Any]) -> list[str]:
    names = Terms.__struct_fields__
    return sorted(fields, key=lambda field: names.index(field.split(".", maxsplit=1)[0]))


__all__ = ["Difference", "differences"]
