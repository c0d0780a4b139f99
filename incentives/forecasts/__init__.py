"""Forecasts: what a draft would meet if it went live, played out from the last 13 weeks of residents' wallets.

Invariants:

- what is worked out is pure (`working` and what it stands on): the same data and seed give the same answer;
- what is read is a sample of bounded size, read off the hot path, one forecast at a time in a process;
- no answer tells of fewer than ten residents, nor of exactly how many there are.

The method, its assumptions and its errors are in `docs/simulation.md`.
"""
