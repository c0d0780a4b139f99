"""Whether a rule's tree makes sense: what each part is, and that values are ones which the fact can have."""

from __future__ import annotations

from typing import Final

from incentives.rules.facts import FACTS
from incentives.rules.parsing import (
    Binary,
    Call,
    Choice,
    FactName,
    Items,
    Join,
    Literal,
    Minus,
    Node,
    Not,
)
from incentives.rules.tokens import NotARule

BOOL, INT, STRING, LIST, INTS = "bool", "int", "string", "list", "ints"
_ORDERING: Final = frozenset({"<", "<=", ">", ">="})
_WANTED: Final = {BOOL: "rule_needs_condition", INT: "rule_needs_number", STRING: "rule_needs_text"}


def check(tree: Node) -> None:
    """Raises NotARule unless the tree answers yes or no, and every part of it is of the kind its place asks for."""
    if _kind(tree) != BOOL:
        raise NotARule("rule_not_yes_or_no", tree.at)


def _kind(node: Node) -> str:
    match node:
        case Literal(value):
            return BOOL if isinstance(value, bool) else INT if isinstance(value, int) else STRING
        case FactName(name):
            return FACTS[name].type
        case Items():
            return _items(node)
        case Not(operand):
            return _require(operand, BOOL, at=node.at, word="!")
        case Minus(operand):
            return _require(operand, INT, at=node.at, word="-")
        case Join(op, parts):
            for part in parts:
                _require(part, BOOL, at=part.at, word=op)
            return BOOL
        case Choice():
            return _choice(node)
        case Call():
            return _call(node)
        case Binary():
            return _binary(node)


def _require(node: Node, kind: str, *, at: int, word: str) -> str:
    if _kind(node) != kind:
        raise NotARule(_WANTED[kind], at, word)
    return kind


def _items(node: Items) -> str:
    kinds = {_kind(item) for item in node.items}
    if not all(isinstance(item, Literal) for item in node.items) or kinds not in ({INT}, {STRING}):
        raise NotARule("rule_list", node.at)
    return LIST if kinds == {STRING} else INTS


def _choice(node: Choice) -> str:
    _require(node.condition, BOOL, at=node.condition.at, word="?")
    kind = _kind(node.yes)
    if _kind(node.no) != kind:
        raise NotARule("rule_not_comparable", node.at, ":")
    return kind


def _call(node: Call) -> str:
    if node.function == "size":
        if _kind(node.subject) not in (STRING, LIST, INTS):
            raise NotARule("rule_needs_text", node.at, node.function)
        return INT
    for part in (node.subject, *node.arguments):
        _require(part, STRING, at=node.at, word=node.function)
    return BOOL


def _binary(node: Binary) -> str:
    left, right = _kind(node.left), _kind(node.right)
    if node.op == "in":
        if right not in (LIST, INTS):
            raise NotARule("rule_needs_list", node.at, node.op)
        if left != (STRING if right == LIST else INT):
            raise NotARule("rule_not_comparable", node.at, node.op)
        _known(node.left, node.right)
        return BOOL
    if node.op in ("==", "!="):
        if left != right or left in (LIST, INTS):
            raise NotARule("rule_not_comparable", node.at, node.op)
        _known(node.left, node.right)
        _known(node.right, node.left)
        return BOOL
    if INT not in (left, right) or left != right:
        raise NotARule("rule_needs_number", node.at, node.op)
    if node.op in ("/", "%") and isinstance(node.right, Literal) and node.right.value == 0:
        raise NotARule("rule_division_by_zero", node.at, node.op)
    return BOOL if node.op in _ORDERING else INT


def _known(fact: Node, other: Node) -> None:
    """A value that the fact never has is a mistake in writing."""
    if not isinstance(fact, FactName) or not (choices := FACTS[fact.name].choices):
        return
    for item in other.items if isinstance(other, Items) else (other,):
        if isinstance(item, Literal) and item.value not in (*choices, ""):
            raise NotARule("rule_value_unknown", item.at, str(item.value))
