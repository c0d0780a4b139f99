"""The program with one thing broken: `python -m tests.faults.broken NAME serve ...`.

Most of these take a safeguard away, to see that the suite notices; it would be worth nothing otherwise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import app
from marketplace.ledger import journal, submission
from marketplace.ledger.accounts import Balance


def no_balance_guard() -> None:
    """The ledger's judgement takes every account for full, and every counter for unlimited."""
    Balance.available = property(lambda _: 2**60)  # type: ignore[assignment,method-assign]
    Balance.counted = property(lambda _: 0)  # type: ignore[assignment,method-assign]


def no_memory_of_keys() -> None:
    """No key is known: every request is the first."""

    async def nothing(_: Any) -> dict[Any, Any]:
        return {}

    journal._known = nothing


def a_short_queue() -> None:
    """No safeguard less: the queue is full with fewer requests than a test can send."""
    submission.WAITING_AT_MOST = 20  # type: ignore[misc]
    submission.AT_MOST = 20  # type: ignore[misc]


BREAKS: dict[str, Callable[[], None]] = {
    "no_balance_guard": no_balance_guard,
    "no_memory_of_keys": no_memory_of_keys,
    "a_short_queue": a_short_queue,
}

if __name__ == "__main__":
    BREAKS[sys.argv.pop(1)]()
    app.cli()
