"""Draws the figures of a run as SVG. Run with a Python that has matplotlib: `python plot.py latest.json FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

OURS, THEIRS = "#2e7d5b", "#9aa5a0"


def redemptions(figures: dict[str, Any], file: Path) -> None:
    """Redemptions per second, ours above each comparator."""
    few = figures["peer"]
    pairs = [
        ("one hot offer\n256 clients / pgbench", figures["hot"]["ours"], figures["hot"]["pgbench"]),
        ("1,000 offers\n256 clients / pgbench", figures["spread"]["ours"], figures["spread"]["pgbench"]),
        ("one hot offer, 32 clients\n/ FastAPI + SQLAlchemy", few["ours"]["hot"], few["peer"]["hot"]),
        ("1,000 offers, 32 clients\n/ FastAPI + SQLAlchemy", few["ours"]["spread"], few["peer"]["spread"]),
    ]
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    places = range(len(pairs))
    for shift, which, colour, name in ((-0.2, 1, OURS, "chutan"), (0.2, 2, THEIRS, "the comparator")):
        rates = [pair[which]["per_second"] for pair in pairs]
        bars = axes.barh([place + shift for place in places], rates, height=0.38, color=colour, label=name)
        axes.bar_label(bars, labels=[f"{rate:,.0f}" for rate in rates], padding=3)
    axes.set_yticks(list(places), [pair[0] for pair in pairs])
    axes.invert_yaxis()
    axes.set_xlabel("redemptions per second")
    axes.margins(x=0.12)
    _save(figure, axes, file)


def growth(rows: list[dict[str, Any]], file: Path) -> None:
    """Processor time per redemption against what is already there."""
    figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
    labels = [f"{row['residents']:,} residents\n{row['transfers']:,} transfers" for row in rows]
    for which, colour in (("hot", OURS), ("spread", THEIRS)):
        axes.plot(labels, [row[f"{which}_us"] for row in rows], marker="o", color=colour, label=which)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("µs per redemption")
    _save(figure, axes, file)


def _save(figure: Any, axes: Any, file: Path) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "chutan"  # the same figures are the same file
    measured, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    redemptions(measured, folder / "benchmarks.svg")
    if measured.get("growth"):
        growth(measured["growth"], folder / "benchmarks-growth.svg")
