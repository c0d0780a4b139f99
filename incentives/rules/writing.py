"""A tree back as text: the text that is run, so that what runs is what was read."""

from __future__ import annotations

import json

from incentives.rules.facts import Scalar
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


def literal(value: Scalar) -> str:
    """A value as CEL writes it."""
    if isinstance(value, str):
        return f"'{value}'" if '"' in value else f'"{value}"'
    return json.dumps(value)


def written(node: Node) -> str:
    """`node` as CEL, with parentheses wherever one could doubt."""
    match node:
        case Literal(value):
            negative = isinstance(value, int) and value < 0
            return f"({literal(value)})" if negative else literal(value)
        case FactName(name):
            return name
        case Items(items):
            return f"[{', '.join(written(item) for item in items)}]"
        case Not(operand):
            return f"!({written(operand)})"
        case Minus(operand):
            return f"(-({written(operand)}))"
        case Binary(op, left, right):
            return f"({written(left)} {op} {written(right)})"
        case Join(op, parts):
            return f"({f' {op} '.join(written(part) for part in parts)})"
        case Choice(condition, yes, no):
            return f"({written(condition)} ? {written(yes)} : {written(no)})"
        case Call("size", subject, _):
            return f"size({written(subject)})"
        case Call(function, subject, arguments):
            return f"({written(subject)}).{function}({', '.join(map(written, arguments))})"
