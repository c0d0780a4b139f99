"""Settlement 清算: what was consumed is retired in the registry, once.

A consumption record goes `pending → sending → recorded`; a lost answer makes it `unknown`, and it is sent again under
the same id. A worker holds a record by a lease; what it writes after losing the lease is refused.
"""

from marketplace.settlement.worker import Count, Settled, counts, settle

__all__ = ["Count", "Settled", "counts", "settle"]
