"""The log: every line comes, in order, and the quick line for a request is what any other would be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from web.logs import configure_logging, log_request


@pytest.fixture(autouse=True)
def in_json() -> Iterator[None]:
    configure_logging(json=True)
    yield
    structlog.reset_defaults()
    configure_logging(json=False)


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def a_request() -> dict[str, Any]:
    return {"request_id": "r", "method": "GET", "route": "/", "status": 200, "ms": 0.5}


async def test_a_line_is_written_soon_and_a_warning_takes_what_came_before_with_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = structlog.get_logger("test")

    log.info("first")
    assert told(capsys) == []
    log.warning("second")
    assert [line["event"] for line in told(capsys)] == ["first", "second"]
    log.info("third")
    await asyncio.sleep(0.3)
    assert [line["event"] for line in told(capsys)] == ["third"]


async def test_many_lines_do_not_wait(capsys: pytest.CaptureFixture[str]) -> None:
    for n in range(300):
        structlog.get_logger("test").info("line", n=n)
    assert [line["n"] for line in told(capsys)] == list(range(256))


def test_without_a_loop_a_line_is_written_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger("test").info("alone")
    assert [line["event"] for line in told(capsys)] == ["alone"]


def test_a_requests_line_is_as_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    log_request(**a_request())
    structlog.get_logger("test").info("request", **a_request())
    quick, usual = told(capsys)
    assert quick.keys() == usual.keys()
    assert {k: v for k, v in quick.items() if k != "timestamp"} == {
        k: v for k, v in usual.items() if k != "timestamp"
    }
    assert [str(line["timestamp"])[-1] for line in (quick, usual)] == ["Z", "Z"]
