"""Offers: what a publisher gives, at a price in grams; their terms, their life, and the catalogue.

Invariants:

- terms as they stood are kept for ever: every edit makes a new version, and a redemption points to the one it was
  taken under;
- an offer reaches residents only after it was whole, submitted and approved;
- stock and limits are counters in the ledger, judged by the terms in force: changing a cap rewrites nothing;
- `live`, `ended` and `sold_out` follow from time and stock when they are asked, they need no clockwork.
"""
