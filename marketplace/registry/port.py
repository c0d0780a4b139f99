"""What the marketplace asks of a registry, whoever runs it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable
from uuid import UUID

Serials = tuple[int, int]  # the first serial, and the one after the last


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuance:
    """Grams that came into being: to whom (a pseudonym), under which methodology version, vintage and city."""

    id: UUID
    account: UUID
    serials: Serials
    methodology: str
    methodology_version: int
    vintage: int
    city: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """Grams that are used for good (`incentive_redemption`, to a publisher) or have lapsed (`expiry`)."""

    id: UUID
    account: UUID
    counterparty: UUID | None
    purpose: str
    serials: tuple[Serials, ...]

    @property
    def amount_g(self) -> int:
        return sum(end - start for start, end in self.serials)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The registry's word that it recorded the entry that we named `id`."""

    id: UUID
    amount_g: int
    recorded_at: datetime


@runtime_checkable
class Registry(Protocol):
    """A registry. Every call may be repeated with the same ids: it has its effect once."""

    async def issue(self, issuances: Sequence[Issuance]) -> None:
        """Record new reductions; inside the crediting transaction where the registry is embedded."""

    async def retire(self, retirements: Sequence[Retirement]) -> dict[UUID, Receipt]:
        """Record retirements; those that it answers for are final."""

    async def lookup(self, ids: Collection[UUID]) -> dict[UUID, Receipt]:
        """Which of `ids` it has recorded: asked when an answer was lost."""
