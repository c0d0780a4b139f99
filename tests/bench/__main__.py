"""The benchmarks: `python -m tests.bench`, or `make bench`, which brings what the comparators need."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from tests.bench import (
    books,
    catalogue,
    comparators,
    growth,
    insight,
    intake,
    qualifying,
    redeeming,
    report,
    world,
)
from tests.bench.cluster import Cluster, cluster
from tests.bench.redeeming import Bench
from tests.bench.running import ROOT, run

OURS, PEER, FLOOR, MALL, INTAKE, INSIGHT, GROWING, RULES = (
    f"bench_{name}" for name in ("ours", "peer", "floor", "mall", "intake", "insight", "growing", "rules")
)
DOCUMENT = ROOT / "docs" / "benchmarks.md"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--python", required=True, help="a Python with the packages of the group `bench`")
    parser.add_argument("--home", type=Path, default=ROOT / "var" / "bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    parser.add_argument("--residents", type=int, default=100_000)
    parser.add_argument("--offers", type=int, default=1_000)
    parser.add_argument("--donations", type=int, default=30_000)
    parser.add_argument("--transfers", type=int, default=1_000_000, help="for the audit, at least")
    parser.add_argument("--redemptions", type=int, default=1_000_000, help="of a publisher's dashboard")
    parser.add_argument(
        "--grow", type=int, metavar="RESIDENTS", help="only how cost grows, up to so many residents"
    )
    return parser.parse_args()


async def measured(bench: Bench, given: argparse.Namespace) -> dict[str, Any]:
    """Everything but growth."""
    bench.say(f"the world: {given.residents:,} residents, {given.offers + 1:,} offers, three databases")
    url = await bench.cluster.empty(OURS)
    async with world.opened(url, bench.home):
        made = await world.make(residents=given.residents, offers=given.offers)
    await comparators.make_peer(bench.cluster, PEER, bench.python, made)
    await comparators.make_floor(bench.cluster, FLOOR, residents=given.residents, offers=given.offers)
    figures = await redeeming.measure(bench, made, ours_in=OURS, peer_in=PEER, floor_in=FLOOR)
    figures |= await books.measure(bench, made, OURS, donations=given.donations, transfers=given.transfers)
    figures["catalogue"] = await catalogue.measure(bench, MALL)
    figures["intake"] = await intake.measure(bench, INTAKE)
    figures["qualification"] = await qualifying.measure(bench, RULES)
    figures["insight"] = await insight.measure(bench, INSIGHT, redemptions=given.redemptions)
    return figures


async def machine(postgres: Cluster, given: argparse.Namespace) -> dict[str, Any]:
    """What it is measured on, asked before anything is loaded."""
    return {
        "when": datetime.now().astimezone().strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgres": await postgres.settings(),
        "load_before": round(os.getloadavg()[0], 1),
        "rounds": given.rounds,
        "seconds": given.seconds,
        "residents": given.residents,
    }


def _processor() -> str:
    with Path("/proc/cpuinfo").open() as lines:
        return next(
            (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
            platform.machine(),
        )


async def main() -> None:
    given = arguments()
    home = given.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    latest = home / "latest.json"
    begun = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - begun:5.0f} s  {what}", flush=True)

    with cluster(home) as postgres:
        bench = Bench(postgres, home, given.python, given.seconds, given.rounds, say)
        try:
            figures: dict[str, Any] = json.loads(latest.read_text()) if latest.exists() else {}
            if given.grow:
                figures["growth"] = await growth.measure(
                    bench, GROWING, FLOOR, offers=given.offers, largest=given.grow
                )
            else:
                on = await machine(postgres, given)
                figures = {"growth": figures.get("growth"), "machine": on} | await measured(bench, given)
        finally:
            for database in (OURS, PEER, FLOOR, MALL, INTAKE, INSIGHT, GROWING, RULES):
                await postgres.drop(database)
    latest.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
    if given.grow:
        print(json.dumps(figures["growth"], indent=2))
    if "machine" not in figures:
        print(f"{latest}: only how cost grows; make bench writes the document")
        return
    DOCUMENT.write_text(report.document(figures))
    run(
        [
            given.python,
            str(ROOT / "tests" / "bench" / "plot.py"),
            str(latest),
            str(DOCUMENT.parent / "pictures"),
        ]
    )
    if not given.grow:
        for row in report.rows(figures):
            print(f"{row[0]:<56} {row[1]:>17} {row[2]:>17} {row[3]:>17}  {row[4].strip('*')}")


if __name__ == "__main__":
    asyncio.run(main())
