"""Rules for people who write no code: rows of fact, comparison and value, of which all or any must hold.

A sheet of rows is written as CEL and read back from it. A rule that is no such sheet is shown as text.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from incentives.rules.checking import check
from incentives.rules.facts import FACTS, Fact, Scalar
from incentives.rules.parsing import Binary, FactName, Items, Join, Node, Not, parsed
from incentives.rules.parsing import Literal as Value
from incentives.rules.writing import literal

MAX_ROWS: Final = 20
How = Literal["all", "any"]

ORDERING: Final = {"at_least": ">=", "at_most": "<=", "more_than": ">", "less_than": "<"}
AMONG: Final = {"one_of": "==", "none_of": "!="}
_SIGNS: Final = {"all": "&&", "any": "||"}


class Row(NamedTuple):
    """One condition. `values` is empty for yes or no, several for `one_of` and `none_of`, else one."""

    fact: str
    op: str
    values: tuple[Scalar, ...] = ()


class Sheet(NamedTuple):
    """Rows of which all or any must hold; of one row it is all."""

    how: How
    rows: tuple[Row, ...]


def ops_of(fact: Fact) -> tuple[str, ...]:
    """The comparisons that a row of the fact may have: one kind of value for all of them."""
    match fact.name, fact.type:
        case _, "bool":
            return ("yes", "no")
        case _, "list":
            return ("member", "not_member")
        case "now.hour", _:
            return ("at_least", "less_than")
        case "resident.tier", _:
            return ("at_least", "at_most")
    return tuple(AMONG if fact.choices else ORDERING)


def text_of(sheet: Sheet) -> str:
    """The rule that a sheet is, as CEL; empty without rows."""
    return f" {_SIGNS[sheet.how]} ".join(_written(row) for row in sheet.rows)


def _written(row: Row) -> str:
    values = [literal(value) for value in row.values]
    match row.op:
        case "yes":
            return row.fact
        case "no":
            return f"!{row.fact}"
        case "member":
            return f"{values[0]} in {row.fact}"
        case "not_member":
            return f"!({values[0]} in {row.fact})"
        case "one_of" | "none_of" if len(values) == 1:
            return f"{row.fact} {AMONG[row.op]} {values[0]}"
        case "one_of":
            return f"{row.fact} in [{', '.join(values)}]"
        case "none_of":
            return f"!({row.fact} in [{', '.join(values)}])"
    return f"{row.fact} {ORDERING[row.op]} {values[0]}"


def sheet_of(text: str) -> Sheet | None:
    """The sheet that a rule is, None when rows cannot show it. Raises NotARule."""
    tree = parsed(text)
    check(tree)
    how: How = "any" if isinstance(tree, Join) and tree.op == "||" else "all"
    parts = tree.parts if isinstance(tree, Join) else (tree,)
    rows = [_row(part) for part in parts]
    if len(rows) > MAX_ROWS or not all(rows):
        return None
    return Sheet(how, tuple(row for row in rows if row is not None))


def _row(node: Node) -> Row | None:
    match node:
        case FactName(name):
            return Row(name, "yes")
        case Not(FactName(name)):
            return Row(name, "no")
        case Binary("in", left, right):
            return _among(left, right, negated=False)
        case Not(Binary("in", left, right)):
            return _among(left, right, negated=True)
        case Binary(sign, FactName(name), Value(value)) if not isinstance(value, bool):
            signs = {
                sign: op for op, sign in (AMONG if "one_of" in ops_of(FACTS[name]) else ORDERING).items()
            }
            return _allowed(Row(name, signs.get(sign, ""), (value,)))
    return None


def _among(left: Node, right: Node, *, negated: bool) -> Row | None:
    match left, right:
        case FactName(name), Items(items):
            values = tuple(item.value for item in items if isinstance(item, Value))
            return _allowed(Row(name, "none_of" if negated else "one_of", values))
        case Value(value), FactName(name):
            return _allowed(Row(name, "not_member" if negated else "member", (value,)))
    return None


def _allowed(row: Row) -> Row | None:
    """The row, if the form has a place for it."""
    fact = FACTS[row.fact]
    if row.op not in ops_of(fact) or len(set(row.values)) != len(row.values):
        return None
    if fact.choices:
        return row if set(row.values) <= set(fact.choices) else None
    return row if all(not isinstance(value, int) or value >= 0 for value in row.values) else None


__all__ = ["AMONG", "MAX_ROWS", "How", "Row", "Sheet", "ops_of", "sheet_of", "text_of"]
