"""The kernel: everything that a redemption needs.

Owns residents, publishers with their stores, offers with their terms, redemptions, coupons, lots, settlement, the
registry, and the ledger that decides every race between them. Imports nothing from the packages above it; what it
needs from there (eligibility) is a Protocol that `app.py` fills in.
"""
