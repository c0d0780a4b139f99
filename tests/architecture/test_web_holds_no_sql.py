"""The web asks the domain: what it wants from the database is a question with a name there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
STATEMENT = re.compile(r"(WITH|SELECT|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM)\s")
ASKING = {"fetch", "fetch_row", "fetch_value", "execute", "insert_many", "raw"}
# Whether the database answers and is migrated is a question about the database itself.
EXEMPT = {"web/api/health.py"}


def sql_in(path: Path) -> list[str]:
    """Where the module at `path` holds SQL or hands some to the database."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str() as text) if id(node) not in prose and STATEMENT.match(text.strip()):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {text.strip()[:40]}")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="db"), attr=verb)) if verb in ASKING:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: db.{verb}")
    return found


def modules() -> list[Path]:
    return [path for path in (ROOT / "web").rglob("*.py") if "node_modules" not in path.parts]


def test_no_sql_stands_in_web_but_where_its_health_is_asked():
    holding = {path.relative_to(ROOT).as_posix(): found for path in modules() if (found := sql_in(path))}
    assert set(holding) == EXEMPT, holding


def test_sql_is_recognised_where_it_stands():
    for name in ("marketplace/journeys.py", "marketplace/wallets.py", "marketplace/publishers.py"):
        assert sql_in(ROOT / name)
