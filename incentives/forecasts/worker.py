"""The process that works a forecast out: a question on stdin, the answer on stdout, both MessagePack.

It is a process of its own so that a second of arithmetic holds up nobody's redemption, and so that it can be ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from incentives.forecasts.working import Found, Question, work_out

TIMEOUT_SECONDS: Final = 20
_MOST_BYTES: Final = 512 * 2**20
_ROOT: Final = Path(__file__).resolve().parents[2]


async def worked_out(question: Question) -> Found:
    """What `work_out` answers, from a process of its own. Raises TimeoutError, and ends it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, cwd=_ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": os.pathsep.join([str(_ROOT), *sys.path]), "PATH": os.environ.get("PATH", "")},
    )  # fmt: skip
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            answer, _ = await process.communicate(msgspec.msgpack.encode(question))
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise OSError(f"the process of a forecast ended with {process.returncode}")
    return msgspec.msgpack.decode(answer, type=Found)


def _main() -> None:
    with contextlib.suppress(OSError, AttributeError, ImportError, ValueError):
        import resource  # noqa: PLC0415  (not on Windows)

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
        os.nice(10)
    question = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Question)
    sys.stdout.buffer.write(msgspec.msgpack.encode(work_out(question)))


if __name__ == "__main__":
    _main()
