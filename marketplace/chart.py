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
FUNDERS: Final = account("CNY_FEN", "funders")
UNITS: Final = account("UNIT", "units")  # the other side of every counter


@lru_cache(maxsize=16_384)  # a batch of records asks for each wallet several times
def wallet(resident: UUID) -> Account:
    """A resident's grams."""
    return account("CO2E_G", "wallet", resident, limited=True)


def stock(offer: UUID) -> Account:
    """Counts the units of an offer that are sold or held; its cap is the stock of the terms in force."""
    return account("UNIT", "stock", offer, limited=True)


def uses(offer: UUID, resident: UUID) -> Account:
    """Counts a resident's uses of an offer; its cap is the limit of the terms in force."""
    return account("UNIT", "uses", offer, limited=True, scope=f":{resident}")


def budget(campaign: UUID) -> Account:
    """What a campaign may still spend, in fen."""
    return account("CNY_FEN", "budget", campaign, limited=True)


def payable(publisher: UUID) -> Account:
    """What is owed to a publisher for discounts that others fund, in fen."""
    return account("CNY_FEN", "payable", publisher)
