"""The registry 登记系统: the authority on who holds which reductions.

`Registry` is the port; `EmbeddedRegistry` keeps the registry in the same database. Its entries are never changed, and
one id of the client's makes one entry, however often it is sent.
"""

from marketplace.registry.embedded import EmbeddedRegistry
from marketplace.registry.port import Issuance, Receipt, Registry, Retirement

__all__ = ["EmbeddedRegistry", "Issuance", "Receipt", "Registry", "Retirement"]
