"""The marketplace's question "may this resident have it?", answered by a CEL rule over the resident's facts."""

from __future__ import annotations

from uuid import UUID

from incentives.rules import CelEligibility, check_rule
from marketplace import db
from marketplace.errors import FieldError, Invalid
from marketplace.wallets import wallet_of


class RuleEligibility:
    """Fills in marketplace's `Eligibility`."""

    async def reasons(self, *, resident: UUID, expression: str) -> list[str]:
        """[] when the rule lets `resident` have it, else ["not_eligible"]."""
        person = await db.fetch_row(
            "SELECT city, verified_at IS NOT NULL AS verified FROM resident WHERE id = $1", resident
        )
        wallet = await wallet_of(resident)
        facts = {
            "resident": dict(person) if person else {},
            "wallet": {"available_g": wallet.available_g, "earned_g": wallet.earned_g},
        }
        return await CelEligibility().reasons(facts, expression)

    def check(self, expression: str) -> list[FieldError]:
        """What is wrong with a rule as it is written."""
        try:
            check_rule(expression)
        except Invalid as invalid:
            return list(invalid.errors)
        return []
