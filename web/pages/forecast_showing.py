"""A forecast as its page shows it: sentences, the funnel, a plot and the table beside it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from incentives.forecasts.forecasting import Day, Forecast
from incentives.forecasts.paths import Ending
from web.pages.rendering import Words, when

WIDTH, HEIGHT = 640, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 30
_DAILY: Final = 14


def forecast_shown(words: Words, made: Forecast) -> dict[str, Any]:
    """All that the page says of a forecast."""
    taken = made.taken
    return {
        "made": words("forecast.made", at=when(made.made_at), paths=made.paths, seed=str(made.seed)),
        "span": words("forecast.span", first=str(made.first), last=str(made.last)),
        "funnel": _funnel(words, made),
        "sample": words("forecast.sample", sampled=made.sampled),
        "basis": _basis(words, made),
        "headline": None if taken is None else words("forecast.headline", count=taken.p50),
        "range": None if taken is None else words("forecast.range", low=taken.p10, high=taken.p90),
        "ending": _ending(words, made),
        "plot": _plot(words, made) if made.days else None,
        "rows": _rows(made.days),
    }


def _funnel(words: Words, made: Forecast) -> list[dict[str, Any]]:
    most = next((step.count for step in made.funnel if step.count), 1)
    return [
        {
            "name": words(f"forecast.step.{step.step}"),
            "count": words("forecast.too_few") if step.count is None else f"{step.count:,}",
            "between": "" if step.count is None or step.low == step.high
            else words("forecast.between", low=step.low, high=step.high),
            "value": min(step.count or 0, most), "max": most,
        }
        for step in made.funnel
    ]  # fmt: skip


def _basis(words: Words, made: Forecast) -> str:
    rate = made.basis.rate
    said = words(f"forecast.basis.{made.basis.level}", offers=made.basis.offers, taken=made.basis.taken)
    return said + words("forecast.rate", low=rate.p10, usual=rate.p50, high=rate.p90)


def _ending(words: Words, made: Forecast) -> dict[str, Any] | None:
    """When the last coupon goes; None where nothing limits them."""
    if made.cap is None or made.taken is None:
        return None
    ending = made.ending or Ending(None, None, None, 0)
    never = words("forecast.not_within", last=str(made.last))
    return {
        "title": words(f"forecast.ends_by.{made.cap_by}", cap=made.cap),
        "rows": [
            (words(f"forecast.end_{name}"), never if day is None else str(day))
            for name, day in (("p10", ending.p10), ("p50", ending.p50), ("p90", ending.p90))
        ],
        "share": words("forecast.ends_share", percent=ending.within_bp // 100),
    }


def _rows(days: list[Day]) -> list[dict[str, Any]]:
    """Each day of a short time; of a long one every seventh and the last, with what is taken by its end."""
    shown = days if len(days) <= _DAILY else [*days[6:-1:7], days[-1]]
    return [{"day": str(one.day), "p10": one.by.p10, "p50": one.by.p50, "p90": one.by.p90} for one in shown]


# ------------------------------------------------------------------ the plot
def _plot(words: Words, made: Forecast) -> dict[str, Any]:
    """The plot's points, in the units of its view box: a band from P10 to P90, a line for P50, one for the cap."""
    most = max(1, made.days[-1].by.p90)
    top = _nice(most if made.cap is None else min(max(most, made.cap), 2 * most))
    points = [(None, 0, 0, 0), *((one.day, one.by.p10, one.by.p50, one.by.p90) for one in made.days)]

    def x(number: int) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * number / (len(points) - 1)

    def y(count: int) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * count / top

    def line(values: list[tuple[int, int]]) -> str:
        return " ".join(f"{x(number):.1f},{y(count):.1f}" for number, count in values)

    low = [(number, point[1]) for number, point in enumerate(points)]
    high = [(number, point[3]) for number, point in enumerate(points)]
    cap = made.cap if made.cap is not None and made.cap <= top else None
    return {
        "width": WIDTH, "height": HEIGHT, "left": _LEFT, "right": WIDTH - _RIGHT, "bottom": HEIGHT - _BOTTOM,
        "band": line([*high, *reversed(low)]), "middle": line([(n, point[2]) for n, point in enumerate(points)]),
        "cap": None if cap is None else f"{y(cap):.1f}",
        "levels": [{"y": f"{y(level):.1f}", "words": f"{level:,}"} for level in (0, top // 2, top)],
        "days": [{"x": f"{x(number):.1f}", "words": words_of_day(made.first, number), "anchor": anchor}
                 for number, anchor in ((0, "start"), (len(points) // 2, "middle"), (len(points) - 1, "end"))],
        "label": words("forecast.plot", first=str(made.first), last=str(made.last)),
    }  # fmt: skip


def words_of_day(first: date, number: int) -> str:
    """The day that ends at the point `number` of the plot, as month and day."""
    return (first + timedelta(days=max(0, number - 1))).strftime("%m-%d")


def _nice(count: int) -> int:
    """The least of 2, 4, 6, 10, 20, 40, ... that is not below `count`: a scale whose half is whole."""
    power = 1
    while True:
        for step in (2, 4, 6, 10):
            if step * power >= count:
                return step * power
        power *= 10
