"""The catalogue figures: a page of 500 live offers as HTML and as JSON, for anybody and for a signed-in resident."""

from __future__ import annotations

import json
from itertools import cycle, islice
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.request import Request, urlopen

from incentives.eligibility import RuleEligibility
from tests import builders
from tests.bench import world
from tests.bench.redeeming import FEW, WARM_SECONDS, Bench
from tests.bench.running import HOST, Server, load, ours

OFFERS, RESIDENTS, PUBLISHERS, PAGE = 500, 2_000, 20, 20
KINDS = ("cash_coupon", "discount", "gift", "ticket", "transit", "donation")
RULE = "wallet.earned_g >= 5000 && resident.city.startsWith('42')"
PATHS = {"html": ("/", "text/html"), "json": (f"/api/v1/offers?limit={PAGE}", "application/json")}


async def measure(bench: Bench, database: str) -> dict[str, Any]:
    """Pages per second, each way."""
    bench.say(f"a page of {OFFERS} live offers")
    url = await bench.cluster.empty(database)
    tokens = await _make(url, bench.home)
    figures: dict[str, Any] = {}
    with ours(url, bench.home) as server:
        _require_a_page(server, tokens[0])
        for who, theirs in (("signed_out", None), ("signed_in", tokens)):
            for form, (path, accept) in PATHS.items():
                plan = {"kind": "pages", "port": server.port, "clients": FEW, "due": "200", "path": path,
                        "accept": accept, "tokens": theirs, "run": token_hex(8)}  # fmt: skip
                load(plan | {"seconds": WARM_SECONDS})
                before = server.cpu_seconds()
                seen = load(plan | {"seconds": bench.seconds})
                figures.setdefault(who, {})[form] = {
                    "per_second": seen["per_second"], "p50_ms": seen["p50_ms"], "p99_ms": seen["p99_ms"],
                    "server_us": round((server.cpu_seconds() - before) / seen["answers"] * 1e6, 1),
                }  # fmt: skip
    return figures


async def _make(url: str, home: Path) -> list[str]:
    """Offers of several publishers: half have a stock, a limit and a budget, one in ten a rule. Answers tokens."""
    async with world.opened(url, home):
        residents = await world.make_residents(RESIDENTS)
        shops = [await builders.a_publisher(stores=["光谷店", "汉口店"]) for _ in range(PUBLISHERS)]
        campaign = await builders.a_campaign(world.BUDGET_FEN)
        for n, kind, shop in zip(range(OFFERS), cycle(KINDS), cycle(shops), strict=False):
            capped: dict[str, Any] = {"stock": 10_000, "limit": 3} if n % 2 else {}
            paid = {"campaign": campaign} if n % 2 and kind != "donation" else {}
            rule = {"eligibility": RULE} if n % 10 == 0 else {}
            await builders.an_offer(publisher=shop, kind=kind, price_g=100 + n, rules=RuleEligibility(),
                                    title=f"低碳好礼 {n:03d}", **capped, **paid, **rule)  # fmt: skip
    return [world.token_of(resident) for resident in islice(residents, RESIDENTS)]


def _require_a_page(server: Server, token: str) -> None:
    """What is measured is a full page, judged for the resident."""
    path, accept = PATHS["json"]
    asked = Request(
        f"http://{HOST}:{server.port}{path}", headers={"Authorization": f"Bearer {token}", "Accept": accept}
    )
    with urlopen(asked) as answer:
        items = json.load(answer)["items"]
    assert len(items) == PAGE
    assert all(item["eligible"] for item in items)
