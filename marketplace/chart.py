"""The chart of accounts: what each account of the ledger stands for."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from uuid import UUID

from marketplace.ledger import Account, account

ISSUANCE: Final = account("CO2E_G", "issuance")  # where credited grams come from
CONSUMPTION: Final = account("CO2E_G", "consumption")  # captured, not yet retired in the registry
RETIRED: Final = account("CO2E_G", "retired")
EXPIRED: Final = account("CO2E_G", "expired")
UNITS: Final = account("UNIT", "units")  # the other side of every counter of units
PROMISES: Final = account("CNY_FEN", "promises")  # the other side of every counter of discounts

_kept = lru_cache(maxsize=2**16)  # accounts follow from their owner: they are worked out once


@_kept
def wallet(resident: UUID) -> Account:
    """A resident's grams."""
    return account("CO2E_G", "wallet", resident, limited=True)


# A `period` names a Shanghai day or week (`clock.day_name`, `clock.week_name`); without one a counter counts for ever.
@_kept
def stock(offer: UUID, period: str = "") -> Account:
    """Counts the units of an offer that are sold or held; its cap is the stock of the terms in force."""
    return account("UNIT", "stock", offer, limited=True, scope=period)


@_kept
def pool(offer: UUID) -> Account:
    """How many codes an offer's pool has that nobody has yet."""
    return account("UNIT", "pool", offer, limited=True)


def uses(offer: UUID, resident: UUID, period: str = "") -> Account:
    """Counts a resident's uses of an offer; its cap is the limit of the terms in force."""
    return account("UNIT", "uses", offer, limited=True, scope=f":{resident}{period}")


def shared_uses(limit: UUID, resident: UUID, period: str = "") -> Account:
    """Counts a resident's uses of all offers under a shared limit; its cap is that of the limit in force."""
    return account("UNIT", "shared_uses", limit, limited=True, scope=f":{resident}{period}")


@_kept
def promised(offer: UUID, period: str = "") -> Account:
    """Counts the fen that an offer's coupons promise or gave; its cap is the budget of the terms in force."""
    return account("CNY_FEN", "promised", offer, limited=True, scope=period)


@_kept
def budget(campaign: UUID) -> Account:
    """What a campaign may still spend, in fen."""
    return account("CNY_FEN", "budget", campaign, limited=True)


def funder(funder: UUID) -> Account:
    """What a campaign's funder has given and was given back, in fen."""
    return account("CNY_FEN", "funder", funder)


@_kept
def contribution(funder: UUID) -> Account:
    """What a campaign's funder paid in that the others have not matched yet, in fen."""
    return account("CNY_FEN", "contribution", funder, limited=True)


@_kept
def payable(publisher: UUID) -> Account:
    """What is owed to a publisher for discounts that others fund, in fen."""
    return account("CNY_FEN", "payable", publisher)
