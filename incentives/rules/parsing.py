"""The text of a rule as a tree: the part of CEL (https://cel.dev, its grammar) that rules may use, within limits.

There are no comprehensions, macros, regular expressions or fractions: what a rule costs is known before it runs, since
it grows with the number of its nodes, and that is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from incentives.rules.facts import FACTS, ROOTS, Scalar
from incentives.rules.tokens import NotARule, Token, tokens_of

MAX_NODES: Final = 128
MAX_DEPTH: Final = 12
CALLS: Final = {"size": 0, "startsWith": 1, "endsWith": 1, "contains": 1}
"""The functions, with how many arguments they take beside what they are asked of."""

_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1
_COMPARING: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})


# ---------------------------------------------------------------- the tree; `at` is where it stands in the text
@dataclass(frozen=True, slots=True)
class Literal:
    value: Scalar
    at: int


@dataclass(frozen=True, slots=True)
class FactName:
    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Items:
    items: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Not:
    operand: Node
    at: int


@dataclass(frozen=True, slots=True)
class Minus:
    operand: Node
    at: int


@dataclass(frozen=True, slots=True)
class Binary:
    """A comparison, `in`, or arithmetic; `at` is the operator's place."""

    op: str
    left: Node
    right: Node
    at: int


@dataclass(frozen=True, slots=True)
class Join:
    """Two or more parts, all joined by `&&` or all by `||`."""

    op: str
    parts: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Choice:
    """`condition ? yes : no`."""

    condition: Node
    yes: Node
    no: Node
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    subject: Node
    arguments: tuple[Node, ...]
    at: int


Node = Literal | FactName | Items | Not | Minus | Binary | Join | Choice | Call


def parsed(text: str) -> Node:
    """The tree of `text`. Raises NotARule."""
    reader = _Reader(tokens_of(text))
    if reader.ended():
        raise NotARule("rule_empty", 0)
    tree = reader.expression()
    if not reader.ended():
        raise reader.unexpected()
    return tree


def names_in(node: Node) -> Iterator[str]:
    """The names of the facts that `node` asks for."""
    match node:
        case FactName(name):
            yield name
        case Literal():
            return
        case Items(parts) | Join(_, parts):
            yield from (name for part in parts for name in names_in(part))
        case Not(operand) | Minus(operand):
            yield from names_in(operand)
        case Binary(_, left, right):
            yield from (*names_in(left), *names_in(right))
        case Choice(condition, yes, no):
            yield from (*names_in(condition), *names_in(yes), *names_in(no))
        case Call(_, subject, arguments):
            yield from (name for part in (subject, *arguments) for name in names_in(part))


class _Reader:
    """Recursive descent over the tokens; each rule of the grammar is a method."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self._nodes = 0
        self._depth = 0

    @property
    def next(self) -> Token:
        return self._tokens[self._place]

    def ended(self) -> bool:
        return self.next.kind == "end"

    def unexpected(self) -> NotARule:
        token = self.next
        return NotARule("rule_incomplete" if token.kind == "end" else "rule_unexpected", token.at, token.text)

    def expression(self) -> Node:
        self._deeper()
        tree = self._joined("||")
        if self._takes("?"):
            question = self._tokens[self._place - 1]
            yes = self.expression()
            self._require(":")
            tree = self._made(Choice(tree, yes, self.expression(), question.at))
        self._depth -= 1
        return tree

    def _joined(self, op: str) -> Node:
        part: Callable[[], Node] = (lambda: self._joined("&&")) if op == "||" else self._comparison
        parts, at = [part()], self.next.at
        while self._takes(op):
            parts.append(part())
        return parts[0] if len(parts) == 1 else self._made(Join(op, tuple(parts), at), len(parts) - 1)

    def _comparison(self) -> Node:
        left = self._sum()
        while self.next.text in _COMPARING and self.next.kind in ("sign", "name"):
            op = self._token()
            left = self._made(Binary(op.text, left, self._sum(), op.at))
        return left

    def _sum(self) -> Node:
        left = self._product()
        while self.next.kind == "sign" and self.next.text in ("+", "-"):
            op = self._token()
            left = self._made(Binary(op.text, left, self._product(), op.at))
        return left

    def _product(self) -> Node:
        left = self._unary()
        while self.next.kind == "sign" and self.next.text in ("*", "/", "%"):
            op = self._token()
            left = self._made(Binary(op.text, left, self._unary(), op.at))
        return left

    def _unary(self) -> Node:
        token = self.next
        if token.kind != "sign" or token.text not in ("!", "-"):
            return self._member()
        self._place += 1
        if token.text == "-" and self.next.kind == "int":
            return self._number(self._token(), sign=-1, at=token.at)
        self._deeper()
        operand = self._unary()
        self._depth -= 1
        return self._made(Not(operand, token.at) if token.text == "!" else Minus(operand, token.at))

    def _member(self) -> Node:
        tree = self._primary()
        while self._takes("."):
            name = self._name()
            if name.text not in CALLS or self.next.text != "(":
                raise NotARule("rule_function_unknown", name.at, name.text)
            tree = self._call(name, tree)
        return tree

    def _primary(self) -> Node:
        token = self._token()
        match token.kind:
            case "int":
                return self._number(token, sign=1, at=token.at)
            case "string":
                return self._made(Literal(token.value, token.at))
            case "name":
                return self._named(token)
        if token.text == "(":
            inside = self.expression()
            self._require(")")
            return inside
        if token.text == "[":
            return self._made(Items(self._separated("]"), token.at))
        self._place -= 1
        raise self.unexpected()

    def _named(self, token: Token) -> Node:
        if token.text in ("true", "false"):
            return self._made(Literal(token.text == "true", token.at))
        if self.next.text == "(":
            if token.text != "size":
                raise NotARule("rule_function_unknown", token.at, token.text)
            return self._call(token, None)
        if token.text == "in":
            self._place -= 1
            raise self.unexpected()
        if token.text not in ROOTS or self.next.text != ".":
            raise NotARule("rule_fact_unknown", token.at, token.text)
        self._place += 1
        full = f"{token.text}.{self._name().text}"
        if full not in FACTS:
            raise NotARule("rule_fact_unknown", token.at, full)
        return self._made(FactName(full, token.at))

    def _call(self, name: Token, subject: Node | None) -> Node:
        self._require("(")
        arguments = self._separated(")")
        if subject is None:
            subject, arguments = (arguments[0], arguments[1:]) if arguments else (None, ())
        if subject is None or len(arguments) != CALLS[name.text]:
            raise NotARule("rule_arguments", name.at, name.text)
        return self._made(Call(name.text, subject, arguments, name.at))

    def _separated(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self._takes(end):
            if found:
                self._require(",")
            found.append(self.expression())
        return tuple(found)

    def _number(self, token: Token, *, sign: int, at: int) -> Node:
        value = sign * int(token.value)
        if not _LEAST <= value <= _MOST:
            raise NotARule("rule_number_too_large", token.at, token.text)
        return self._made(Literal(value, at))

    def _made(self, node: Node, count: int = 1) -> Node:
        self._nodes += count
        if self._nodes > MAX_NODES:
            raise NotARule("rule_too_costly", node.at)
        return node

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NotARule("rule_too_deep", self.next.at, self.next.text)

    def _token(self) -> Token:
        if self.ended():
            raise self.unexpected()
        self._place += 1
        return self._tokens[self._place - 1]

    def _name(self) -> Token:
        if self.next.kind != "name":
            raise self.unexpected()
        return self._token()

    def _takes(self, sign: str) -> bool:
        if self.next.kind == "sign" and self.next.text == sign:
            self._place += 1
            return True
        return False

    def _require(self, sign: str) -> None:
        if not self._takes(sign):
            raise self.unexpected()
