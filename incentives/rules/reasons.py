"""Why a rule says no: each of its conditions that fails, by a stable code with the facts that word it.

A rule is taken apart into conditions that must all hold. Negations are moved inwards first, which changes no answer:
`!(a && b)` is `!a || !b`, and a condition that fails when it is asked is not met either way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

import cel

from incentives.rules.facts import FACTS, Facts, value_of
from incentives.rules.parsing import Binary, FactName, Items, Join, Literal, Node, Not
from incentives.rules.writing import written

BELOW, ABOVE, NOT_AMONG, EXCLUDED, NEEDED, UNWANTED, NOT_A_MEMBER, MEMBER, SEVERAL, OTHER = WHYS = (
    "below_minimum", "above_maximum", "not_among", "excluded", "needed", "unwanted", "not_a_member", "is_a_member",
    "none_of_several", "condition_not_met",
)  # fmt: skip

_OPPOSITE: Final = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_FLIPPED: Final = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
_ORDER: Final = {">=": BELOW, ">": BELOW, "<=": ABOVE, "<": ABOVE}


class Unmet(NamedTuple):
    """A condition that is not met. `facts`: `fact`, `operator`, `needed`, `actual`; or `any_of`; or `condition`."""

    why: str
    facts: dict[str, Any]


class Asked:
    """The facts of one resident, made ready to be asked about many rules."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._context = cel.Context(variables={root: dict(named) for root, named in facts.items()})

    def holds(self, program: Any) -> bool:
        """Whether `program` says yes; one that fails when it is asked says no."""
        try:
            return program.execute(self._context) is True
        except Exception:  # CEL raises many: overflow, division by zero, a missing fact
            return False


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition by itself, and what is said when it is not met."""

    program: Any
    why: str
    said: dict[str, Any]

    def unmet(self, asked: Asked) -> Unmet | None:
        """What is not met, None when it is."""
        if asked.holds(self.program):
            return None
        actual = value_of(asked.facts, self.said["fact"]) if "fact" in self.said else None
        return Unmet(
            self.why, self.said if isinstance(actual, list | None) else {**self.said, "actual": actual}
        )


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Alternatives, one of which must be met with all its conditions."""

    program: Any
    alternatives: tuple[tuple[Condition | AnyOf, ...], ...]

    def unmet(self, asked: Asked) -> Unmet | None:
        """What is not met of each alternative, None when one is met."""
        if asked.holds(self.program):
            return None
        found = [unmet_of(conditions, asked) for conditions in self.alternatives]
        return Unmet(SEVERAL, {"any_of": [[{"why": u.why, **u.facts} for u in each] for each in found]})


Conditions = tuple[Condition | AnyOf, ...]


def unmet_of(conditions: Conditions, asked: Asked) -> list[Unmet]:
    """What is not met of `conditions`."""
    return [unmet for condition in conditions if (unmet := condition.unmet(asked)) is not None]


@lru_cache(maxsize=20_000)
def program_of(text: str) -> Any:
    """The program of a text that `written` made."""
    return cel.compile(text)


def conditions_of(tree: Node) -> Conditions:
    """What must hold for `tree` to hold: all of it."""
    return tuple(_condition(part) for part in _parts(_plain(tree), "&&"))


def _parts(node: Node, op: str) -> Iterator[Node]:
    if isinstance(node, Join) and node.op == op:
        for part in node.parts:
            yield from _parts(part, op)
    else:
        yield node


def _condition(node: Node) -> Condition | AnyOf:
    program = program_of(written(node))
    if isinstance(node, Join):
        return AnyOf(
            program,
            tuple(tuple(_condition(part) for part in _parts(one, "&&")) for one in _parts(node, "||")),
        )
    why, said = _said(node)
    return Condition(program, why, said)


# ---------------------------------------------------------------- negations inwards
def _plain(node: Node) -> Node:
    match node:
        case Join(op, parts, at):
            return Join(op, tuple(map(_plain, parts)), at)
        case Not(operand):
            return _opposite(operand)
        case Binary("==" | "!=" as op, left, Literal(bool() as value)):
            return _plain(left) if (op == "==") is value else _opposite(left)
        case Binary("==" | "!=" as op, Literal(bool() as value), right):
            return _plain(right) if (op == "==") is value else _opposite(right)
    return node


def _opposite(node: Node) -> Node:
    match node:
        case Not(operand):
            return _plain(operand)
        case Join(op, parts, at):
            return Join("||" if op == "&&" else "&&", tuple(map(_opposite, parts)), at)
        case Literal(value, at):
            return Literal(not value, at)
        case Binary(op, left, right, at) if op in _OPPOSITE:
            return _plain(Binary(_OPPOSITE[op], left, right, at))
    return Not(node, node.at)


# ---------------------------------------------------------------- what is said of a condition
def _said(node: Node) -> tuple[str, dict[str, Any]]:
    match node:
        case FactName(name):
            return NEEDED, {"fact": name, "operator": "==", "needed": True}
        case Not(FactName(name)):
            return UNWANTED, {"fact": name, "operator": "==", "needed": False}
        case Binary("in", left, right):
            return _among(left, right, negated=False, node=node)
        case Not(Binary("in", left, right)):
            return _among(left, right, negated=True, node=node)
        case Binary(op, FactName(name), Literal(value)) if op in _FLIPPED:
            return _compared(name, op, value)
        case Binary(op, Literal(value), FactName(name)) if op in _FLIPPED:
            return _compared(name, _FLIPPED[op], value)
    return _other(node)


def _compared(name: str, op: str, value: Any) -> tuple[str, dict[str, Any]]:
    why = _ORDER.get(op) or (NOT_AMONG if op == "==" else EXCLUDED)
    needed = [value] if op in ("==", "!=") else value
    return why, {"fact": name, "operator": op, "needed": needed}


def _among(left: Node, right: Node, *, negated: bool, node: Node) -> tuple[str, dict[str, Any]]:
    match left, right:
        case FactName(name), Items(items):
            values = [item.value for item in items if isinstance(item, Literal)]
            return (
                EXCLUDED if negated else NOT_AMONG,
                {"fact": name, "operator": "not in" if negated else "in", "needed": values},
            )
        case Literal(value), FactName(name) if FACTS[name].type == "list":
            return (
                MEMBER if negated else NOT_A_MEMBER,
                {"fact": name, "operator": "not in" if negated else "in", "needed": [value]},
            )
    return _other(node)


def _other(node: Node) -> tuple[str, dict[str, Any]]:
    text = written(node)
    return OTHER, {"condition": text[1:-1] if text.startswith("(") and isinstance(node, Binary) else text}
