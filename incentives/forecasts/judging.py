"""A rule, asked of a sample of residents: on what share of the hours of each weekday it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from incentives.eligibility import FIRST
from incentives.forecasts.replay import Judged
from incentives.rules import Asked, Facts, Rule

EVERYBODY: Final = Judged()
_NOON: Final = 12


def judged(rule: Rule, facts: Facts, *, busy: Sequence[float]) -> Judged:
    """How `rule` stands to who has `facts`. A share of the day counts the hours by how `busy` they are (24 of them)."""
    weekdays = range(1, 8) if "now.weekday" in rule.names else (1,)
    hours = range(24) if "now.hour" in rule.names else (_NOON,)
    weight = sum(busy[hour] for hour in hours)
    shares = [
        sum(busy[hour] for hour in hours if _holds(rule, facts, weekday, hour)) / weight
        for weekday in weekdays
    ]
    return Judged(tuple(shares * (7 // len(shares))), first_only=_first_only(rule, facts, weekdays, hours))


def _holds(rule: Rule, facts: Facts, weekday: int, hour: int) -> bool:
    return rule.holds(Asked({**facts, "now": {"weekday": weekday, "hour": hour}}))


def _first_only(rule: Rule, facts: Facts, weekdays: Sequence[int], hours: Sequence[int]) -> bool:
    if FIRST not in rule.names:
        return False
    later = {**facts, "resident": {**facts.get("resident", {}), "first_redemption": False}}
    return not any(_holds(rule, later, weekday, hour) for weekday in weekdays for hour in hours)
