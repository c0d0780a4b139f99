"""Who reads from the replica is known: a further one is a decision, and belongs into docs/scaling.md with why."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
MAY_READ_WHAT_IS_OLD = {
    "incentives/forecasts/forecasting.py", "marketplace/registry/reading.py", "web/kept.py", "web/pages/operator.py",
}  # fmt: skip


def test_the_replica_is_read_where_a_second_does_not_matter_and_nowhere_else():
    modules = [
        path
        for layer in ("marketplace", "merchants", "incentives", "web")
        for path in (ROOT / layer).rglob("*.py")
    ]
    reading = {
        path.relative_to(ROOT).as_posix() for path in modules
        if "node_modules" not in path.parts and any(
            use in path.read_text(encoding="utf-8") for use in ("db.replica(", 'node="replica"')
        )
    }  # fmt: skip
    assert reading == MAY_READ_WHAT_IS_OLD
