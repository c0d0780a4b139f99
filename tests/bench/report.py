"""The report: every figure beside its target, as a document that is generated and never edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

PICTURE, GROWTH_PICTURE = "pictures/benchmarks.svg", "pictures/benchmarks-growth.svg"


_METHOD: Final = """\
## How it is measured

- **The world**: {residents:,} residents with grams and a token, one hot offer and 1,000 others, each with a stock, a
  limit per resident and a budget of its own. Residents and offers are chosen by chance. Everybody has a database of
  their own in one cluster, with the settings that the product runs with.
- **Ours** is `python app.py serve`, one worker, over HTTP with keep-alive; each redemption under a new key.
- **pgbench** calls [one PL/pgSQL function](../tests/bench/floor.sql), prepared, over the socket, at the best of 1 to 32
  clients. The function stores the same facts (four holds, redemption, coupon, key with answer) under the same
  guarantees on a leaner schema; it looks up no token and speaks no HTTP.
- **FastAPI + SQLAlchemy** is [the plain service](../tests/bench/peer.py): pydantic models, a session per request,
  SELECT ... FOR UPDATE, a pool of 10, one worker with uvloop and httptools. The ratio is the lower of hot and spread.
- All have made some redemptions, and their tables are vacuumed and analysed, before anything is measured. Servers are
  started for each round and stopped after it, and never run at the same time. A warm-up and a checkpoint come before
  each measurement. Every load ends with a look at the books: `audit` for ours.
"""


_PROFILE: Final = """\
By sampling the server under the hot load (py-spy): the event loop with epoll, reading and parsing 20 %, writing answers
10 %, the batches 25 % (COPY 7 %, other statements 7 %, judgement 5 %), building the redemption 12 %, token, limit, key
and JSON 10 %, the log line 2 %; no function stands out, and 30 % are calls of the kernel. The rest is waiting: a batch
takes nine round trips, one batch is under way at a time, and between two of them the same process reads requests. The
next steps, in the order of what they would bring: HTTP and the ledger's queue in processes of their own, so that both
cores are always busy; fewer round trips, by reading keys and terms with the locks.
"""


@dataclass(frozen=True)
class Target:
    """What `name` should be, `at_least` and as a `goal`; `place` is where the run's figures have it."""

    name: str
    place: str
    at_least: float
    goal: float
    unit: str
    less_is_better: bool = False

    def verdict(self, measured: float) -> str:
        if self._reached(measured, self.goal):
            return "goal reached"
        return "good" if self._reached(measured, self.at_least) else "**falls short**"

    def _reached(self, measured: float, target: float) -> bool:
        return measured <= target if self.less_is_better else measured >= target


TARGETS = (
    Target("one hot offer, 256 clients, against pgbench", "hot.ratio", 1.5, 2.5, "x"),
    Target("spread over 1,000 offers, 256 clients, against pgbench", "spread.ratio", 0.7, 1, "x"),
    Target("32 clients, against FastAPI + SQLAlchemy", "peer.ratio", 10, 15, "x"),
    Target("99th percentile at 32 clients", "p99_ms", 60, 40, "ms", less_is_better=True),
    Target("a page of 20 of 500 offers, HTML, signed out", "catalogue.signed_out.html.per_second", 3_000, 5_000, "/s"),
    Target("the same, JSON", "catalogue.signed_out.json.per_second", 6_000, 8_000, "/s"),
    Target("the same, HTML, judged for the resident", "catalogue.signed_in.html.per_second", 150, 300, "/s"),
    Target("the same, JSON, judged for the resident", "catalogue.signed_in.json.per_second", 150, 300, "/s"),
    Target("one resident over 1,000 offers with rules", "qualification.ms", 20, 10, "ms", less_is_better=True),
    Target("intake by the import", "intake.import_per_second", 10_000, 20_000, "records/s"),
    Target("intake by the channel API, 1,000 a call", "intake.api_per_second", 5_000, 10_000, "records/s"),
    Target("a publisher's dashboard, 1,000,000 redemptions", "insight.p99_ms", 300, 150, "ms", less_is_better=True),
    Target("settlement into the embedded registry", "settlement.per_second", 5_000, 10_000, "records/s"),
    Target("audit, per 1,000,000 transfers", "audit.seconds_per_million", 60, 30, "s", less_is_better=True),
    Target("memory of the audit", "audit.memory_mb", 400, 400, "MB", less_is_better=True),
    Target("start of serve on an existing database", "serve.start_seconds", 3, 2, "s", less_is_better=True),
    Target("memory of a worker after the loads", "serve.memory_mb", 250, 180, "MB", less_is_better=True),
)  # fmt: skip


def at(figures: Mapping[str, Any], place: str) -> float:
    """The figure at a dotted place. Raises KeyError when the run has none."""
    found: Any = figures
    for name in place.split("."):
        found = found[name]
    return float(found)


def written(number: float) -> str:
    """A number as people read it."""
    return f"{number:,.0f}" if number >= 100 else f"{number:g}"


def rows(figures: Mapping[str, Any]) -> list[list[str]]:
    """What, at least, goal, measured, verdict."""
    found = []
    for target in TARGETS:
        measured = at(figures, target.place)
        shown, verdict = f"{written(measured)} {target.unit}", target.verdict(measured)
        if target.place == "audit.seconds_per_million" and not figures["audit"]["ended"]:
            shown, verdict = "no answer", "**falls short**"
        wanted = (f"{written(each)} {target.unit}" for each in (target.at_least, target.goal))
        found.append([target.name, *wanted, shown, verdict])
    return found


def document(figures: Mapping[str, Any]) -> str:
    """The whole of docs/benchmarks.md."""
    return "\n".join([
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit. One run measures everything, one after the other, on one machine that",
        "the load generator and the database share with the server.",
        "",
        *_machine(figures["machine"]),
        "",
        *_table(["what", "at least", "goal", "measured", ""], rows(figures)),
        "",
        f"![Redemptions per second, ours and the comparators]({PICTURE})",
        "",
        "## Redemptions",
        "",
        *_redemptions(figures),
        "",
        *_where(figures),
        "",
        "## The others",
        "",
        *_others(figures),
        "",
        *(_growth(figures["growth"]) if figures.get("growth") else []),
        _METHOD.format(residents=figures["machine"]["residents"]),
    ])  # fmt: skip


def _table(head: list[str], body: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *body]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _machine(machine: Mapping[str, Any]) -> list[str]:
    settings = ", ".join(
        f"{name} {value}" for name, value in machine["postgres"].items() if name != "server_version"
    )
    measured_on = (
        f"{machine['when']}: {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB; "
        f"{machine['system']}, Python {machine['python']}, PostgreSQL {machine['postgres']['server_version']}"
        f" ({settings}). {machine['rounds']} rounds of {machine['seconds']:g} s each; medians."
    )
    if machine["load_before"] <= 0.5:
        return [measured_on]
    warning = (
        f"**The machine was not quiet**: its load was {machine['load_before']} before the run began, so that rates per"
        " second are too low, and ratios are uncertain."
    )
    return [measured_on, "", warning]


def _redemptions(figures: Mapping[str, Any]) -> list[str]:
    few = figures["peer"]
    lines = [
        ["ours, hot, 256 clients", figures["hot"]["ours"]],
        [f"pgbench, hot, {written(figures['hot']['pgbench']['clients'])} clients", figures["hot"]["pgbench"]],
        ["ours, spread, 256 clients", figures["spread"]["ours"]],
        [f"pgbench, spread, {written(figures['spread']['pgbench']['clients'])} clients", figures["spread"]["pgbench"]],
        ["ours, hot, 32 clients", few["ours"]["hot"]],
        ["FastAPI + SQLAlchemy, hot, 32 clients", few["peer"]["hot"]],
        ["ours, spread, 32 clients", few["ours"]["spread"]],
        ["FastAPI + SQLAlchemy, spread, 32 clients", few["peer"]["spread"]],
    ]  # fmt: skip
    body = [
        [name, *(written(of[figure]) if figure in of else "" for figure in (
            "per_second", "p50_ms", "p99_ms", "server_us", "postgres_us", "client_us"))]
        for name, of in lines
    ]  # fmt: skip
    tried = [
        [which, *(written(rate) for rate in figures[which]["tried"].values())] for which in ("hot", "spread")
    ]
    return [
        *_table(
            ["", "per second", "median, ms", "99 %, ms", "server, µs", "PostgreSQL, µs", "client, µs"], body
        ),
        "",
        "The last three are processor time per redemption. pgbench by its number of clients:",
        "",
        *_table(["", *(str(clients) for clients in figures["hot"]["tried"])], tried),
    ]


def _where(figures: Mapping[str, Any]) -> list[str]:
    """What bounds redemptions, from the run's own figures; the shares are of a profile, and change slowly."""
    lines = ["## Where the time goes", ""]
    for which in ("hot", "spread"):
        ours, floor = figures[which]["ours"], figures[which]["pgbench"]
        whole = ours["server_us"] + ours["postgres_us"] + ours["client_us"]
        cores, busy = ours["per_second"] * whole / 1e6, ours["per_second"] * ours["server_us"] / 1e4
        lines.append(
            f"- {which}: {written(whole)} µs of processor a redemption, {cores:.2f} cores in all. The server's one"
            f" process is busy {busy:.0f} % of the time, and could answer {written(1e6 / ours['server_us'])}/s if it"
            f" never waited. PostgreSQL takes {written(ours['postgres_us'])} µs in batches,"
            f" {written(floor['postgres_us'])} µs one at a time."
        )
    return [*lines, "", _PROFILE]


def _others(figures: Mapping[str, Any]) -> list[str]:
    audit, settlement, pages = figures["audit"], figures["settlement"], figures["catalogue"]
    insight, rules = figures["insight"], figures["qualification"]
    body = [
        [f"{who.replace('_', ' ')}, {form.upper()}",
         *(written(of[x]) for x in ("per_second", "p50_ms", "p99_ms", "server_us"))]
        for who, forms in pages.items() for form, of in forms.items()
    ]  # fmt: skip
    ended = (
        ""
        if audit["ended"]
        else f" **The audit was stopped after {audit['seconds']:g} s without an answer.**"
    )
    return [
        *_table(["page", "per second", "median, ms", "99 %, ms", "server, µs"], body),
        "",
        f"`settle` recorded {settlement['records']:,} consumption records in {settlement['seconds']:g} s; `audit` read",
        f"{audit['transfers']:,} transfers in {audit['seconds']:g} s. Both include the start of the command.{ended}",
        "",
        f"The rules of {rules['offers']:,} live offers, each another, are judged for a resident with 1,000 activity",
        f"records in {rules['ms']:g} ms (median; 99 %: {rules['p99_ms']:g} ms), the facts read from the database every",
        f"time; with stock, limits and balances, as the catalogue judges, in {rules['judged_ms']:g} ms. The first",
        f"time, when no rule was made ready yet, takes {rules['first_ms']:g} ms.",
        "",
        f"A dashboard of 90 days and the 90 before, of {insight['redemptions']:,} redemptions of 20 offers at 5 stores",
        f"by 100,000 residents, takes {insight['p50_ms']:g} ms in the median, one after the other. They were added up",
        f"in {insight['fold_seconds']:g} s, into {insight['rows']:,} rows by hour, offer and store.",
    ]


def _growth(rows_: list[Mapping[str, Any]]) -> list[str]:
    body = [
        [f"{row['residents']:,}", f"{row['transfers']:,}",
         *(written(row[x]) if x in row else "" for x in
           ("hot", "hot_us", "pgbench_hot", "spread", "spread_us", "pgbench_spread"))]
        for row in rows_
    ]  # fmt: skip
    return [
        "## How cost grows",
        "",
        "Written by `make bench GROW=1`: redemptions per second at 256 clients, and the processor time of server and",
        "database for each; pgbench beside it.",
        "",
        *_table(["residents", "transfers before", "hot", "µs", "pgbench", "spread", "µs", "pgbench"], body),
        "",
        f"![Processor time per redemption, by residents and transfers]({GROWTH_PICTURE})",
        "",
    ]


__all__ = ["GROWTH_PICTURE", "PICTURE", "TARGETS", "at", "document", "rows"]
