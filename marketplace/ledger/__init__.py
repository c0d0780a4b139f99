"""The double-entry ledger: the one mechanism for everything that can run out.

Accounts and immutable transfers after TigerBeetle's published data model (two-phase transfers, linked groups), on
PostgreSQL. The ledger knows nothing of residents or offers. Its invariants, held by the database as well:

- a transfer is never changed; a hold (pending transfer) is resolved exactly once, by `post` or by `void`;
- the balances of a limited account are the sum of its transfers, and `available` is never below zero;
- an unlimited account has no balance of its own, so that nothing global is ever locked;
- a group happens whole or not at all; an idempotency key has one effect.

`submit` is the interface for one group in its own right, `submit_all` for several; in a server both go out in batches
(`batching`). `apply` takes many inside a transaction that is open.
"""

from marketplace.ledger.accounts import Account, Balance, account, balances, open_and_lock
from marketplace.ledger.groups import (
    Group,
    Hold,
    IdempotencyKey,
    Insert,
    Leg,
    Pending,
    Post,
    Relation,
    Release,
    Step,
    Transfer,
)
from marketplace.ledger.journal import Answered, answered, apply, holds_of, remember, undo_and_hold
from marketplace.ledger.submission import batching, submit, submit_all

__all__ = [
    "Account",
    "Answered",
    "Balance",
    "Group",
    "Hold",
    "IdempotencyKey",
    "Insert",
    "Leg",
    "Pending",
    "Post",
    "Relation",
    "Release",
    "Step",
    "Transfer",
    "account",
    "answered",
    "apply",
    "balances",
    "batching",
    "holds_of",
    "open_and_lock",
    "remember",
    "submit",
    "submit_all",
    "undo_and_hold",
]
