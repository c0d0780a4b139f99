"""The benchmarks still run: the load generator over a real socket, the figures of rounds, and the report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
import uvicorn

import app
from marketplace import db, ledger
from marketplace.settings import Settings
from tests.bench import intake, load, qualifying, redeeming, report, world
from tests.bench.running import HOST
from tests.bench.world import World


@pytest.fixture
async def served(database: str, tmp_path: Path) -> AsyncIterator[tuple[World, int]]:
    """A small world, and the port that our application serves it on."""
    made = await world.make(residents=20, offers=3)
    server = uvicorn.Server(
        uvicorn.Config(app.wired(Settings(home=tmp_path)), host=HOST, port=0, log_config=None)
    )
    async with ledger.batching():
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110  (uvicorn tells nobody)
            await asyncio.sleep(0.01)
        yield made, server.servers[0].sockets[0].getsockname()[1]
        server.should_exit = True
        await serving


def a_plan(made: World, port: int, **more: Any) -> dict[str, Any]:
    return {
        "host": HOST,
        "port": port,
        "clients": 4,
        "seconds": 0.3,
        "tokens": made.tokens(),
        "run": token_hex(4),
    } | more


async def test_every_answer_to_the_load_is_a_redemption(served: tuple[World, int]) -> None:
    made, port = served

    seen = await load.load(a_plan(made, port, kind="redemptions", offers=[str(o) for o in made.spread]))

    assert set(seen["statuses"]) == {"201"}, seen["bodies"]
    assert await db.fetch_value("SELECT count(*) FROM redemption") == seen["answers"] > 0
    taken = {row["offer"] for row in await db.fetch("SELECT DISTINCT offer FROM redemption")}
    assert taken <= set(made.spread)


async def test_pages_are_loaded_with_and_without_a_token(served: tuple[World, int]) -> None:
    made, port = served
    page = {"kind": "pages", "path": "/api/v1/offers?limit=20", "accept": "application/json"}

    anybody = await load.load(a_plan(made, port, **page, tokens=None))
    resident = await load.load(a_plan(made, port, **page))

    assert set(anybody["statuses"]) == set(resident["statuses"]) == {"200"}


async def test_a_plan_chooses_by_chance_and_never_twice_the_same_key(served: tuple[World, int]) -> None:
    made, port = served
    requests = load.redemptions(a_plan(made, port, offers=[str(o) for o in made.spread]))

    some = [next(requests).decode() for _ in range(200)]

    assert len({request.split("Idempotency-Key: ")[1].split("\r\n")[0] for request in some}) == 200
    assert {request[-38:-2] for request in some} == {str(offer) for offer in made.spread}


def test_rides_of_one_rider_never_overlap() -> None:
    rides = list(intake._rides(2 * intake.RIDERS, from_day=10))

    assert len({ride["trip_id"] for ride in rides}) == len(rides)
    assert len({(ride["rider_id"], ride["started_at"][:10]) for ride in rides}) == len(rides)


async def test_every_rule_is_judged_in_every_round(database: str) -> None:
    resident, records = await qualifying.make(offers=10, done=3)

    figures = await qualifying.qualified(resident, records, rounds=2)

    assert figures["offers"] == 10
    assert 0 < figures["eligible"] < 10


# ---------------------------------------------------------------- the report
def a_load(per_second: float) -> dict[str, float]:
    return {"per_second": per_second, "p50_ms": 5.0, "p99_ms": 41.0, "max_ms": 60.0, "server_us": 300.0,
            "postgres_us": 200.0, "client_us": 20.0}  # fmt: skip


def a_run() -> dict[str, Any]:
    """The figures of a run, canned."""
    floor = {"clients": 16, "per_second": 2_000.0, "latency_ms": 8.0, "postgres_us": 300.0, "client_us": 15.0}
    medians = {
        f"ours_{which}_{clients}": a_load(4_000) for which in ("hot", "spread") for clients in (256, 32)
    }
    medians |= {f"peer_{which}_32": a_load(400) for which in ("hot", "spread")}
    for clients in redeeming.CLIENTS_TRIED:
        medians[f"pgbench_hot_{clients}"] = floor | {"clients": clients, "per_second": 2_000.0 / clients}
        medians[f"pgbench_spread_{clients}"] = floor | {
            "clients": clients,
            "per_second": 5_000.0 / 32 * clients,
        }
    page = {form: a_load(4_000) for form in ("html", "json")}
    return redeeming.figures(medians) | {
        "serve": {"start_seconds": 2.5, "memory_mb": 150.0},
        "catalogue": {"signed_out": page, "signed_in": page},
        "intake": {"import_per_second": 9_000.0, "api_per_second": 12_000.0, "call_p50_ms": 90.0},
        "qualification": {"offers": 1_000, "first_ms": 200.0, "ms": 9.0, "p99_ms": 15.0, "judged_ms": 19.0},
        "settlement": {"records": 30_000, "seconds": 4.0, "per_second": 7_500.0},
        "audit": {"transfers": 1_000_000, "seconds": 20.0, "memory_mb": 90.0, "seconds_per_million": 20.0,
                  "ended": True},
        "insight": {"redemptions": 1_000_000, "rows": 500_000, "fold_seconds": 60.0, "p50_ms": 100.0, "p99_ms": 140.0},
        "growth": [{"residents": 10_000, "transfers": 12_000, "hot": 4_000.0, "hot_us": 500.0, "spread": 3_000.0,
                    "spread_us": 600.0}],
        "machine": {"when": "2026-11-24", "processor": "a processor", "cores": 2, "memory_gb": 8, "system": "Linux",
                    "python": "3.11", "postgres": {"server_version": "18", "fsync": "on"}, "load_before": 0.1,
                    "rounds": 3, "seconds": 4.0, "residents": 100_000},
    }  # fmt: skip


def test_ratios_are_against_the_best_of_pgbench_and_the_better_case_of_the_plain_service() -> None:
    figures = a_run()

    assert figures["hot"]["ratio"] == 2.0
    assert figures["spread"]["ratio"] == 0.8
    assert figures["peer"]["ratio"] == 10.0
    assert figures["p99_ms"] == 41.0


def test_a_figure_that_falls_short_is_called_so() -> None:
    verdicts = {row[0]: row[4] for row in report.rows(a_run())}

    assert verdicts["one hot offer, 256 clients, against pgbench"] == "good"
    assert verdicts["intake by the import"] == "**falls short**"
    assert verdicts["intake by the channel API, 1,000 a call"] == "goal reached"
    assert verdicts["audit, per 1,000,000 transfers"] == "goal reached"
    assert verdicts["start of serve on an existing database"] == "good"


def test_the_document_has_every_target_and_both_pictures() -> None:
    document = report.document(a_run())

    assert all(target.name in document for target in report.TARGETS)
    assert report.PICTURE in document
    assert report.GROWTH_PICTURE in document
    assert "not quiet" not in document


def test_an_audit_without_an_answer_is_named() -> None:
    figures = a_run()
    figures["audit"]["ended"] = False

    assert "stopped after 20 s" in report.document(figures)
    assert ["no answer", "**falls short**"] in [row[3:] for row in report.rows(figures)]


def test_a_machine_that_was_busy_is_named() -> None:
    figures = a_run()
    figures["machine"]["load_before"] = 4.2

    assert "not quiet" in report.document(figures)
