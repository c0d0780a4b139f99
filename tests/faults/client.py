"""A seeded crowd of residents and tills that remembers every answer it was given.

Each request is one intent under one key, sent again until it has an answer that settles it. What was acknowledged is
compared with what is stored by `tests/faults/books.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from tests.faults.machines import PATIENCE_SECONDS
from tests.faults.world import Offered, World

NOT_YET = frozenset({429, 503})
UNDERSTOOD = frozenset({200, 201, 400, 401, 403, 404, 409, 422})


@dataclass
class Intent:
    """Something that somebody wants once: every try goes under the same key."""

    verb: str
    path: str
    token: str
    key: str
    body: dict[str, Any] | None
    about: str = ""  # the redemption or verification, for what follows one
    answers: list[tuple[int, Any]] = field(default_factory=list)
    unanswered: int = 0  # tries that may have had their effect though nobody heard of it

    @property
    def final(self) -> tuple[int, Any] | None:
        """The answer that settled it, if one did."""
        return next((answer for answer in reversed(self.answers) if not _is_transient(*answer)), None)

    @property
    def acknowledged(self) -> bool:
        return any(200 <= status < 300 for status, _ in self.answers)


def _is_transient(status: int, body: Any) -> bool:
    return status in NOT_YET or body.get("code") == "idempotency_in_flight"


class Crowd:
    """The residents of a world and its tills, as a client of the server at `base_url`."""

    def __init__(self, world: World, base_url: str, *, seed: int) -> None:
        self.world = world
        self.intents: list[Intent] = []
        self.statuses: Counter[int] = Counter()
        self.faults: list[str] = []  # answers that no client should ever get
        self._chance = Random(seed)
        self._seed = seed
        self._over = True
        self._http = httpx.AsyncClient(
            base_url=base_url, trust_env=False, timeout=PATIENCE_SECONDS,
            limits=httpx.Limits(max_connections=400, max_keepalive_connections=400),
        )  # fmt: skip

    async def close(self) -> None:
        await self._http.aclose()

    # -------------------------------------------------------------- single requests
    def intend(self, verb: str, path: str, token: str, body: dict[str, Any] | None, *, about: str = "",
               key: str = "") -> Intent:  # fmt: skip
        intent = Intent(verb, path, token, key or f"s{self._seed}-{len(self.intents)}", body, about)
        self.intents.append(intent)
        return intent

    def redeeming(self, resident: int, offer: Offered, *, key: str = "") -> Intent:
        return self.intend(
            "redeem", "/api/v1/redemptions", self.world.tokens[resident], {"offer_id": offer.id}, key=key
        )

    def cancelling(self, resident: int, redemption: str) -> Intent:
        path = f"/api/v1/redemptions/{redemption}/cancel"
        return self.intend("cancel", path, self.world.tokens[resident], None, about=redemption)

    def verifying(self, code: str, redemption: str, *, key: str = "") -> Intent:
        body = {"code": code, "bill_fen": 5_000}
        path = "/api/v1/till/verifications"
        return self.intend("verify", path, self.world.till_token, body, about=redemption, key=key)

    def reversing(self, verification: str) -> Intent:
        path = f"/api/v1/till/verifications/{verification}/reverse"
        return self.intend("reverse", path, self.world.till_token, None, about=verification)

    async def send(self, intent: Intent) -> tuple[int, Any] | None:
        """One try; None when no answer came."""
        headers = {"Authorization": f"Bearer {intent.token}", "Idempotency-Key": intent.key}
        try:
            answer = await self._http.post(intent.path, json=intent.body, headers=headers)
            body = answer.json()
        except (httpx.TransportError, ValueError):
            intent.unanswered += 1
            return None
        status = answer.status_code
        self.statuses[status] += 1
        if status not in UNDERSTOOD and not (status in NOT_YET and "retry-after" in answer.headers):
            self.faults.append(f"{intent.verb}: {status} {answer.text[:300]}")
        intent.answers.append((status, body))
        return status, body

    async def ask(self, intent: Intent, *, seconds: float = PATIENCE_SECONDS) -> tuple[int, Any] | None:
        """Try until it is settled; None when it is not after `seconds`, or the crowd has gone home."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self.send(intent)
            if intent.final is not None:
                return intent.final
            if self._over:
                return None
            await asyncio.sleep(self._chance.uniform(0.02, 0.2))
        return None

    async def get(self, path: str, token: str | None = None) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return await self._http.get(path, headers=headers)

    async def post(self, path: str, body: Any) -> httpx.Response:
        return await self._http.post(path, json=body)

    # -------------------------------------------------------------- the crowd
    @asynccontextmanager
    async def at_work(
        self, *, actors: int = 32, offers: Sequence[Offered] | None = None
    ) -> AsyncIterator[None]:
        """Within the block residents redeem, cancel, go to a till and change their minds."""
        self._over = False
        chosen = offers or self.world.offers
        tasks = [
            asyncio.create_task(self._live(n, Random(f"{self._seed}-{n}"), chosen)) for n in range(actors)
        ]
        try:
            yield
        finally:
            self._over = True
            await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_SECONDS)

    async def _live(self, resident: int, chance: Random, offers: Sequence[Offered]) -> None:
        while not self._over:
            answer = await self.ask(self.redeeming(resident, chance.choice(offers)))
            if answer is not None and answer[0] == 201 and answer[1]["status"] == "issued":
                await self._use(resident, chance, answer[1])
            await asyncio.sleep(chance.uniform(0, 0.1))

    async def _use(self, resident: int, chance: Random, redeemed: dict[str, Any]) -> None:
        redemption, wish = redeemed["id"], chance.random()
        if wish < 0.3:
            await self.ask(self.cancelling(resident, redemption))
        elif wish < 0.8:
            verified = await self.ask(self.verifying(redeemed["coupon"]["code"], redemption))
            if verified is not None and verified[0] == 201 and chance.random() < 0.3:
                await self.ask(self.reversing(verified[1]["id"]))

    async def settle_doubts(self) -> int:
        """Ask again for everything that nobody answered, now that the server is well; answers how much that was."""
        doubtful = [intent for intent in self.intents if intent.final is None]
        for start in range(0, len(doubtful), 50):
            self._over = False
            await asyncio.gather(*(self.ask(intent) for intent in doubtful[start : start + 50]))
        self._over = True
        assert all(intent.final is not None for intent in doubtful), "a doubt was not settled"
        return len(doubtful)

    async def repeat(self, *, at_most: int = 40) -> None:
        """Send some of what was acknowledged once more: `books` sees whether the answers are the same."""
        acknowledged = [intent for intent in self.intents if intent.acknowledged]
        again = self._chance.sample(acknowledged, min(at_most, len(acknowledged)))
        await asyncio.gather(*(self.send(intent) for intent in again))


__all__ = ["NOT_YET", "Crowd", "Intent"]
