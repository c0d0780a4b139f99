"""What was acknowledged against what is stored, and the audit: how every scenario ends."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from marketplace.pools.sealing import unsealed_code
from tests.faults.client import Crowd, Intent
from tests.faults.machines import command, connected

_STATUS_AFTER = {
    "cancel": {"cancelled"},
    "redeem": {"issued", "fulfilled", "verified", "cancelled", "expired"},
}


class Books:
    """What a database holds of the crowd's doings."""

    def __init__(self, tables: dict[str, list[dict[str, Any]]]) -> None:
        self.answers = {
            (row["principal"], row["key"]): json.loads(row["answer"]) for row in tables["idempotency"]
        }
        self.keys = Counter(row["key"] for row in tables["idempotency"])
        self.redemptions = {row["id"]: row for row in tables["redemption"]}
        self.verifications = {row["id"]: row for row in tables["verification"]}
        self.codes = {row["redemption"]: row["code"] for row in tables["coupon"]} | {
            row["redemption"]: unsealed_code(row["id"], row["sealed"]) for row in tables["pool_code"]
        }
        for answer in self.answers.values():
            if "coupon" in answer and answer["coupon"]["code"] is None:  # no code is stored with an answer
                answer["coupon"]["code"] = self.codes[answer["id"]]

    def answers_to(self, intents: Iterable[Intent]) -> list[dict[str, Any]]:
        wanted = {intent.key for intent in intents}
        return [answer for (_, key), answer in self.answers.items() if key in wanted]


async def close(crowd: Crowd, *, url: str, home: Path) -> None:
    """The end of a scenario: no answer was a fault, nothing acknowledged is lost, no key had two effects, and
    `app.py audit` finds nothing."""
    books = await read(url)
    problems = [
        *crowd.faults,
        *contradictions(crowd.intents, books),
        *await audited(home=home, url=url),
    ]
    assert not problems, problems[:20]


async def audited(*, home: Path, url: str) -> list[str]:
    """What `app.py audit` finds; empty when all is well."""
    result = await command("audit", home=home, url=url, exits=(0, 1))
    return [f"audit: {check['name']} {check['detail']}" for check in result["checks"] if not check["ok"]]


async def read(url: str) -> Books:
    queries = {
        "idempotency": "SELECT principal, key, answer::text AS answer FROM idempotency",
        "redemption": "SELECT id::text AS id, resident::text AS resident, status, price_g FROM redemption",
        "verification": "SELECT id::text AS id, redemption::text AS redemption, reversed_at FROM verification",
        "coupon": "SELECT redemption::text AS redemption, code FROM coupon",
        "pool_code": """SELECT redemption::text AS redemption, id, sealed FROM pool_code
                        WHERE redemption IS NOT NULL""",
    }
    async with connected(url) as connection:
        return Books(
            {name: [dict(row) for row in await connection.fetch(sql)] for name, sql in queries.items()}
        )


def contradictions(intents: list[Intent], books: Books) -> list[str]:
    """Everything in which the stored and the acknowledged differ."""
    return [*_of_answers(intents, books), *_of_effects(intents, books), *_of_states(intents, books)]


def _of_answers(intents: list[Intent], books: Books) -> Iterable[str]:
    stored = {key: answer for (_, key), answer in books.answers.items()}
    for intent in intents:
        given = [(status, body) for status, body in intent.answers if 200 <= status < 300]
        if any(answer != given[0] for answer in given):
            yield f"{intent.key}: answered differently: {given}"
        if given and stored.get(intent.key) != given[0][1]:
            yield f"{intent.key}: acknowledged {given[0]}, stored {stored.get(intent.key)}"
        if not given and intent.final is not None and intent.key in stored:
            yield f"{intent.key}: refused as {intent.final}, and yet it had an effect"
    for key, times in books.keys.items():
        if times > 1:
            yield f"{key}: stored {times} times"


def _of_effects(intents: list[Intent], books: Books) -> Iterable[str]:
    """Every effect has one key, and every key that had one has one effect."""
    effects = {
        "redeem": books.redemptions.keys(),
        "verify": books.verifications.keys(),
        "cancel": {id for id, row in books.redemptions.items() if row["status"] == "cancelled"},
        "reverse": {id for id, row in books.verifications.items() if row["reversed_at"] is not None},
    }
    for verb, there in effects.items():
        keyed = Counter(answer["id"] for answer in books.answers_to(i for i in intents if i.verb == verb))
        if keyed != Counter(there):
            yield f"{verb}: effects without a key {set(there) - set(keyed)}, keys without one {set(keyed) - set(there)}"


def _of_states(intents: list[Intent], books: Books) -> Iterable[str]:
    """Every acknowledgement is still true, or was lawfully followed by another."""
    undone = {intent.about for intent in intents if intent.verb == "reverse"}
    for intent in intents:
        if not intent.acknowledged or intent.final is None:
            continue
        answer = intent.final[1]
        if intent.verb in _STATUS_AFTER:
            row = books.redemptions.get(answer["id"])
            if row is None or row["status"] not in _STATUS_AFTER[intent.verb]:
                yield f"{intent.key}: {intent.verb} acknowledged, and now {row}"
        if intent.verb == "redeem" and books.codes.get(answer["id"]) != answer["coupon"]["code"]:
            yield f"{intent.key}: the coupon was {answer['coupon']}, and now {books.codes.get(answer['id'])}"
        if intent.verb == "verify":
            row = books.verifications.get(answer["id"])
            if row is None or (row["reversed_at"] is not None and answer["id"] not in undone):
                yield f"{intent.key}: verification acknowledged, and now {row}"


__all__ = ["Books", "audited", "close", "contradictions", "read"]
