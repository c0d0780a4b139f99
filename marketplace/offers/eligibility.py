"""Who may take an offer: the port through which a rule is asked. `app.py` fills it in."""

from __future__ import annotations

from typing import Protocol, runtime_checkable
from uuid import UUID

from marketplace.errors import FieldError


@runtime_checkable
class Eligibility(Protocol):
    """Judges the rules that offers carry as `eligibility`."""

    async def reasons(self, *, resident: UUID, expression: str) -> list[str]:
        """Why `resident` may not take an offer with this rule, as codes; empty if they may."""

    def check(self, expression: str) -> list[FieldError]:
        """What is wrong with the rule as it is written; empty if it can be judged."""


class NoRules:
    """Where no rules can be judged: none may be written, and an offer that carries one is nobody's."""

    async def reasons(self, *, resident: UUID, expression: str) -> list[str]:
        return ["not_eligible"]

    def check(self, expression: str) -> list[FieldError]:
        return [FieldError("eligibility", "not_available")]
