"""What an operator should look at before approving an offer: hints out of facts, none of which decides anything.

- `dear`, `cheap`: grams per yuan of face value are 3 times those of the middle live offer of the kind, or a third of
  them. Look; from 10 times on, grave.
- `high_value`: the face value is 5 times that of the middle live offer of the kind. Look; from 20 times on, grave.
- `self_dealing`: numbers that the publisher's own people gave are among those who redeemed its offers in the last 90
  days. Look; from a tenth of all its redemptions on, grave.
- `burst`: 20 redemptions or more in one hour, and at least half of those of the last 30 days. Look.
- `fits_hardly_anyone`: the rule lets pass at most 2 in 100 of the residents whom it was tried with. Look.
- `new_publisher`: here for less than 14 days, or nothing of it was ever verified. A note.

Where there are fewer than 5 live offers of the kind with a face value, or fewer than 20 residents to try the rule with,
nothing is said: a comparison with so little is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from statistics import median
from typing import Any, Final, Literal

import msgspec

Severity = Literal["note", "look", "grave"]
FEWEST_PEERS: Final = 5
FEWEST_TRIED: Final = 20
NEW_FOR_DAYS: Final = 14
_BURST: Final = 20


class Peer(msgspec.Struct, frozen=True):
    """What a live offer of the same kind costs, and is worth at most."""

    price_g: int
    face_value_fen: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a submitted offer and its publisher. `tried` residents were judged by its rule, `passed` of
    them may take it; `own` of the `redeemed` redemptions were by the publisher's people; `busiest_hour` is the most
    redemptions in one hour of the `lately` ones."""

    price_g: int
    face_value_fen: int | None
    peers: Sequence[Peer] = ()
    publisher_age_days: int
    ever_verified: bool
    redeemed: int = 0
    own: int = 0
    lately: int = 0
    busiest_hour: int = 0
    tried: int = 0
    passed: int = 0


class Risk(msgspec.Struct, frozen=True):
    """A hint, how grave it is, and what it goes by."""

    code: str
    severity: Severity
    facts: dict[str, Any] = {}


def risks(facts: Facts) -> list[Risk]:
    """The hints about an offer, the gravest first."""
    found = [
        *_price(facts),
        *_value(facts),
        *_self_dealing(facts),
        *_burst(facts),
        *_rule(facts),
        *_newcomer(facts),
    ]
    return sorted(found, key=lambda risk: ("grave", "look", "note").index(risk.severity))


def _price(facts: Facts) -> list[Risk]:
    if not facts.face_value_fen or len(facts.peers) < FEWEST_PEERS:
        return []
    usual = median(Fraction(peer.price_g, peer.face_value_fen) for peer in facts.peers)
    own = Fraction(facts.price_g, facts.face_value_fen)
    code, times = ("dear", own / usual) if own >= usual else ("cheap", usual / own)
    if times < 3:
        return []
    return [
        Risk(code, "grave" if times >= 10 else "look", {"times": round(times), "peers": len(facts.peers)})
    ]


def _value(facts: Facts) -> list[Risk]:
    if not facts.face_value_fen or len(facts.peers) < FEWEST_PEERS:
        return []
    times = facts.face_value_fen / median(Fraction(peer.face_value_fen) for peer in facts.peers)
    if times < 5:
        return []
    return [Risk("high_value", "grave" if times >= 20 else "look", {"times": round(times)})]


def _self_dealing(facts: Facts) -> list[Risk]:
    if not facts.own:
        return []
    grave = facts.own * 10 >= facts.redeemed
    return [
        Risk("self_dealing", "grave" if grave else "look", {"own": facts.own, "redeemed": facts.redeemed})
    ]


def _burst(facts: Facts) -> list[Risk]:
    if facts.busiest_hour < _BURST or facts.busiest_hour * 2 < facts.lately:
        return []
    return [Risk("burst", "look", {"busiest": facts.busiest_hour, "lately": facts.lately})]


def _rule(facts: Facts) -> list[Risk]:
    if facts.tried < FEWEST_TRIED or facts.passed * 50 > facts.tried:
        return []
    return [Risk("fits_hardly_anyone", "look", {"passed": facts.passed, "tried": facts.tried})]


def _newcomer(facts: Facts) -> list[Risk]:
    if facts.publisher_age_days >= NEW_FOR_DAYS and facts.ever_verified:
        return []
    return [Risk("new_publisher", "note", {"days": facts.publisher_age_days})]


__all__ = ["Facts", "Peer", "Risk", "Severity", "risks"]
