"""Code pools: codes of a third party's, or our own, that residents are given one by one.

A pool is filled by uploads (`uploads`, `loading`, `generation`), each of which can be taken back as far as nobody has
its codes (`withdrawal`). Codes are sealed at rest (`sealing`). How many are left is the ledger's to say, so that the
last one goes to exactly one resident (`giving`), and its publisher is told once that few are left (`alarm`).

- the account `pool` of an offer has as much as there are codes that nobody has;
- a redemption of an offer of codes has one code, and a code at most one redemption;
- no code is stored, in a pool, an upload or an answer, but sealed.
"""

from marketplace.pools.alarm import low_pools, set_alarm
from marketplace.pools.counting import Pool, free_codes, has_codes, pool_of
from marketplace.pools.filling import PoolReport, add_codes
from marketplace.pools.generation import generate
from marketplace.pools.uploads import (
    MAX_NAME,
    Upload,
    begin,
    faults_of,
    receive,
    submit_file,
    upload_of,
    uploads_of,
)
from marketplace.pools.withdrawal import lapse_due, withdraw

__all__ = [
    "MAX_NAME", "Pool", "PoolReport", "Upload", "add_codes", "begin", "faults_of", "free_codes", "generate",
    "has_codes", "lapse_due", "low_pools", "pool_of", "receive", "set_alarm", "submit_file", "upload_of", "uploads_of",
    "withdraw",
]  # fmt: skip
