"""What an operator does: settlement, the audit."""

from __future__ import annotations

from litestar import Controller, get, post
from litestar.di import NamedDependency

from marketplace import audit, settlement
from marketplace.registry import Registry
from web.access import Operator, province_only


class OperatorController(Controller):
    """Calls of an operator."""

    path = "/api/v1/operator"
    tags = ["operator"]
    guards = [province_only]

    @post("/settlement", status_code=200)
    async def settle(
        self, operator: NamedDependency[Operator], registry: NamedDependency[Registry]
    ) -> settlement.Settled:
        """Settle what is due: what a till can still reverse is left alone."""
        return await settlement.settle(registry, everything=False)

    @get("/audit")
    async def audit(self, operator: NamedDependency[Operator]) -> audit.Audit:
        """Check every invariant."""
        return await audit.audit()
