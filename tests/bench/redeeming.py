"""The redemption figures: ours, the plain service and pgbench by turns, several short rounds of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_hex
from statistics import median
from typing import Any

from tests.bench import comparators
from tests.bench.cluster import Cluster
from tests.bench.comparators import CLIENTS_TRIED, Floor
from tests.bench.running import Server, load, ours
from tests.bench.world import World

MANY, FEW = 256, 32
WARM_SECONDS = 1.5

Say = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """What a run is made in."""

    cluster: Cluster
    home: Path
    python: str  # of the plain service
    seconds: float
    rounds: int
    say: Say


async def measure(
    bench: Bench, our_world: World, *, ours_in: str, peer_in: str, floor_in: str
) -> dict[str, Any]:
    """All of it, on three databases with the same residents and offers."""
    await _season(bench, our_world, ours_in=ours_in, peer_in=peer_in, floor_in=floor_in)
    taken: dict[str, list[dict[str, float]]] = {}
    starts: list[float] = []
    memory: list[float] = []
    for number in range(bench.rounds):
        bench.say(f"redemptions, round {number + 1} of {bench.rounds}")
        in_turn = (
            ("hot", "spread") if number % 2 == 0 else ("spread", "hot")
        )  # a server remembers who has called
        with ours(bench.cluster.url(ours_in), bench.home) as server:
            starts.append(server.start_seconds)
            for clients in (MANY, FEW):
                for which in in_turn:
                    taken.setdefault(f"ours_{which}_{clients}", []).append(
                        await loaded(bench, server, our_world, which, clients)
                    )
            memory.append(server.memory_mb())
        with comparators.serving_peer(bench.python, bench.cluster.url(peer_in), bench.home) as server:
            for which in in_turn:
                taken.setdefault(f"peer_{which}_{FEW}", []).append(
                    await loaded(bench, server, our_world, which, FEW)
                )
        for which in ("hot", "spread"):
            for clients in CLIENTS_TRIED:
                taken.setdefault(f"pgbench_{which}_{clients}", []).append(
                    asdict(
                        await _floor(bench, our_world, floor_in, which, clients, max(2, bench.seconds / 2))
                    )
                )
    for database in (peer_in, floor_in):
        await comparators.require_right(bench.cluster, database)
    medians = {name: _medians(rounds) for name, rounds in taken.items()}
    return figures(medians) | {
        "rounds": taken,
        "serve": {"start_seconds": round(median(starts), 2), "memory_mb": max(memory)},
    }


async def _season(bench: Bench, our_world: World, *, ours_in: str, peer_in: str, floor_in: str) -> None:
    """Some redemptions everywhere, then statistics: nobody is to be measured with plans for tables that are empty."""
    bench.say("a first few redemptions for everybody")
    with ours(bench.cluster.url(ours_in), bench.home) as server:
        _warm(server, our_world, "spread", MANY)
    with comparators.serving_peer(bench.python, bench.cluster.url(peer_in), bench.home) as server:
        _warm(server, our_world, "spread", FEW)
    await _floor(bench, our_world, floor_in, "spread", FEW, 2)
    for database in (ours_in, peer_in, floor_in):
        await bench.cluster.run("VACUUM ANALYZE", database)


def _warm(server: Server, our_world: World, which: str, clients: int) -> None:
    load(_plan(server, our_world, which, clients) | {"seconds": WARM_SECONDS})


async def _floor(
    bench: Bench, our_world: World, database: str, which: str, clients: int, seconds: float
) -> Floor:
    await bench.cluster.calm()
    return comparators.pgbench(
        bench.cluster, database, which=which, clients=clients, seconds=seconds, home=bench.home,
        residents=len(our_world.residents), offers=len(our_world.spread),
    )  # fmt: skip


async def loaded(
    bench: Bench, server: Server, our_world: World, which: str, clients: int
) -> dict[str, float]:
    """Redemptions over HTTP for some seconds, after a warm-up that does not count."""
    _warm(server, our_world, which, clients)
    await bench.cluster.calm()
    server_before, postgres_before = server.cpu_seconds(), bench.cluster.cpu_seconds()
    seen = load(_plan(server, our_world, which, clients) | {"seconds": bench.seconds})
    each_us = 1e6 / seen["answers"]
    return {
        "per_second": seen["per_second"], "p50_ms": seen["p50_ms"], "p99_ms": seen["p99_ms"], "max_ms": seen["max_ms"],
        "server_us": round((server.cpu_seconds() - server_before) * each_us, 1),
        "postgres_us": round((bench.cluster.cpu_seconds() - postgres_before) * each_us, 1),
        "client_us": seen["client_cpu_us"],
    }  # fmt: skip


def _plan(server: Server, our_world: World, which: str, clients: int) -> dict[str, Any]:
    return {
        "kind": "redemptions", "port": server.port, "clients": clients, "due": "201", "run": token_hex(8),
        "offers": [str(offer) for offer in ([our_world.hot] if which == "hot" else our_world.spread)],
        "tokens": our_world.tokens(),
    }  # fmt: skip


def _medians(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(median(each[name] for each in rounds), 2) for name in rounds[0]}


def figures(medians: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The medians as the report wants them, with their ratios: against pgbench at its own best number of clients."""
    few = {which: medians[f"ours_{which}_{FEW}"] for which in ("hot", "spread")}
    peer = {which: medians[f"peer_{which}_{FEW}"] for which in ("hot", "spread")}
    ratios = {which: _ratio(few[which], peer[which]) for which in ("hot", "spread")}
    answer: dict[str, Any] = {}
    for which in ("hot", "spread"):
        tried = [medians[f"pgbench_{which}_{clients}"] for clients in CLIENTS_TRIED]
        best = max(tried, key=lambda each: each["per_second"])
        answer[which] = {
            "ratio": _ratio(medians[f"ours_{which}_{MANY}"], best),
            "ours": medians[f"ours_{which}_{MANY}"],
            "pgbench": best,
            "tried": {f"{each['clients']:g}": each["per_second"] for each in tried},
        }
    answer["peer"] = {
        "ratio": min(ratios.values()),
        "ratios": ratios,
        "ours": few,
        "peer": peer,
    }
    answer["p99_ms"] = max(each["p99_ms"] for each in few.values())
    return answer


def _ratio(ours_: dict[str, float], theirs: dict[str, float]) -> float:
    return round(ours_["per_second"] / theirs["per_second"], 2)
