"""Who pays which fen: an amount divided by shares, to the fen, so that a larger one never costs anybody less.

Each fen of a budget has one payer, by a fixed turn that comes back after 10,000 fen (or the part of it that all shares
are whole in): the n-th fen goes, of those whose payments are still below their share of n, to whom it brings closest
(the quota method of Balinski and Young, "The Quota Method of Apportionment", 1975). So of any total each pays the share
rounded up or down, the payments are the total, and of a further amount each pays the difference, which is never below
zero. Rounding each total by largest remainders is not like that: a fen more in all can be one less for somebody.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import gcd
from typing import Final

WHOLE_BP: Final = 10_000
MAX_FUNDERS: Final = 10


def split(total_fen: int, shares_bp: Sequence[int]) -> list[int]:
    """What each pays of `total_fen`, in fen: together all of it."""
    turn = _turn(tuple(shares_bp))
    rounds, rest = divmod(total_fen, len(turn))
    return [
        rounds * (share * len(turn) // WHOLE_BP) + turn.count(n, 0, rest) for n, share in enumerate(shares_bp)
    ]


def matched(paid_fen: Sequence[int], shares_bp: Sequence[int]) -> int:
    """The largest total that everybody has paid their part of."""
    low, high = 0, sum(paid_fen)
    while low < high:
        total = (low + high + 1) // 2
        if all(part <= paid for part, paid in zip(split(total, shares_bp), paid_fen, strict=True)):
            low = total
        else:
            high = total - 1
    return low


@lru_cache(maxsize=1_024)
def _turn(shares_bp: tuple[int, ...]) -> bytes:
    """Who pays the first fen, the second, ..., until all have paid exactly their shares."""
    assert sum(shares_bp) == WHOLE_BP
    assert all(share > 0 for share in shares_bp)
    paid, turn = [0] * len(shares_bp), bytearray()
    for fen in range(1, WHOLE_BP // gcd(*shares_bp) + 1):
        below = [n for n, share in enumerate(shares_bp) if paid[n] * WHOLE_BP < fen * share]
        payer = max(below, key=lambda n: (shares_bp[n] / (paid[n] + 1), -n))
        paid[payer] += 1
        turn.append(payer)
    return bytes(turn)
