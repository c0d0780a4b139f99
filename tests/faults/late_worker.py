"""A settlement worker that can be stopped in the middle: `python -m tests.faults.late_worker URL FILE`.

It claims what is due, says so by making FILE, and sends it to the registry only when FILE is gone again.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import msgspec

from marketplace import db, settlement
from marketplace.registry import EmbeddedRegistry, Receipt, Retirement


class Held(EmbeddedRegistry):
    """Sends when it is told to."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def retire(self, retirements: Sequence[Retirement]) -> dict[UUID, Receipt]:
        self._file.touch()
        while self._file.exists():  # noqa: ASYNC110  (another process takes it away)
            await asyncio.sleep(0.02)
        return await super().retire(retirements)


async def main(url: str, file: Path) -> None:
    async with db.opened(url):
        print(msgspec.json.encode(await settlement.settle(Held(file), everything=True)).decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
