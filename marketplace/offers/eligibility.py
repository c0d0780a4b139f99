"""Who may take an offer: the port through which a rule is asked. `app.py` fills it in."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple, Protocol, runtime_checkable
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from marketplace.errors import FieldError

NOT_ELIGIBLE = "not_eligible"


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why an offer cannot be taken: `code` is what a redemption would be refused with.

    Of a rule, `why` says what about it is not met, with `facts`. `detail` is for people, in the caller's language.
    """

    code: str
    why: str | UnsetType = UNSET
    facts: dict[str, Any] | UnsetType = UNSET
    detail: str | UnsetType = UNSET


class Verdict(NamedTuple):
    """Why a rule says no; empty if it says yes. `first_only`: it says yes to a first redemption only."""

    reasons: list[Reason]
    first_only: bool = False


@runtime_checkable
class Eligibility(Protocol):
    """Judges the rules that offers carry as `eligibility`."""

    async def verdicts(self, *, resident: UUID, rules: Collection[str]) -> dict[str, Verdict]:
        """What each of `rules` says to `resident` now, the facts read once for all of them."""

    def check(self, expression: str) -> list[FieldError]:
        """What is wrong with the rule as it is written; empty if it can be judged."""


class NoRules:
    """Where no rules can be judged: none may be written, and an offer that carries one is nobody's."""

    async def verdicts(self, *, resident: UUID, rules: Collection[str]) -> dict[str, Verdict]:
        return {rule: Verdict([Reason(code=NOT_ELIGIBLE)]) for rule in rules}

    def check(self, expression: str) -> list[FieldError]:
        return [FieldError("eligibility", "not_available")]
