"""A dashboard's tables, in words: each says what the chart beside it shows, and the chart is drawn from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from marketplace import clock
from merchants.insight import Insight, Numbers, OfferNumbers
from web.locale import worded
from web.pages.rendering import Words

TIMES: Final = (
    "exposures", "details", "redeemed", "verified", "reversed", "cancelled", "expired", "returned",
)  # fmt: skip
_DRAWN_AT_FIRST: Final = frozenset({"redeemed", "verified", "returned"})
_COMPARED: Final = (
    "exposures", "details", "redeemed", "used", "returned", "reversed", "cancelled", "expired", "bill_fen",
    "discount_fen",
)  # fmt: skip


class Cell(NamedTuple):
    """What a cell says, and the number that is drawn of it; None where there is nothing to draw."""

    words: str
    value: int | float | None = None


class Column(NamedTuple):
    """A column's heading; a `drawn` one is a series of the chart, which shows it at first or when it is asked for."""

    words: str
    drawn: bool = False
    at_first: bool = True


class Table(NamedTuple):
    """A table and how its chart is drawn: of which kind, and what its axes are called, with their units."""

    name: str
    chart: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    across: str = ""
    up: str = ""
    note: str = ""


def figures(words: Words, found: Insight) -> list[dict[str, Any]]:
    """The numbers of the whole period, each with the period before and the change."""
    return [
        {"name": words(f"insight.column.{name}"), "value": _shown(name, getattr(found.totals, name)),
         "previous": words("insight.before", before=_shown(name, getattr(found.previous, name))),
         **_change(getattr(found.totals, name), getattr(found.previous, name))}
        for name in _COMPARED
    ]  # fmt: skip


def tables(words: Words, found: Insight) -> list[Table]:
    """The tables in the order of the page."""
    return [
        _funnel(words, found), _timeline(words, found), _hours(words, found), _stores(words, found),
        _offers(words, found), _left(words, found),
    ]  # fmt: skip


def _funnel(words: Words, found: Insight) -> Table:
    columns = [Column(words("insight.this_period"), drawn=True)]
    columns += [Column(words(f"insight.{name}")) for name in ("previous_period", "change", "of_before")]
    rows = [
        (words(f"insight.step.{one.step}"),
         [Cell(f"{one.count:,}", one.count), Cell(f"{one.previous:,}"),
          Cell(_change(one.count, one.previous)["change"]),
          Cell("—" if one.of_before_bp is None else _percent(one.of_before_bp))])
        for one in found.funnel
    ]  # fmt: skip
    return Table(
        "funnel", "funnel", words("insight.funnel"), columns, rows, note=words("insight.funnel_note")
    )


def _timeline(words: Words, found: Insight) -> Table:
    style = "%m-%d %H:00" if found.period.grain == "hour" else "%m-%d"
    rows = [
        (one.start.astimezone(clock.SHANGHAI).strftime(style), _times(one.numbers)) for one in found.timeline
    ]
    across = words(f"insight.axis.{found.period.grain}")
    return Table("timeline", "line", words("insight.timeline"), _times_columns(words), rows, across,
                 words("insight.axis.times"))  # fmt: skip


def _hours(words: Words, found: Insight) -> Table:
    rows = [(f"{one.hour:02d}", _times(one.numbers)) for one in found.hours]
    return Table("hours", "bar", words("insight.hours"), _times_columns(words), rows,
                 words("insight.axis.hour_of_day"), words("insight.axis.times"))  # fmt: skip


def _stores(words: Words, found: Insight) -> Table:
    names = ("verified", "reversed", "returned")
    columns = [Column(words(f"insight.column.{name}"), drawn=True) for name in names]
    columns += [Column(words(f"insight.column.{name}")) for name in ("bill_fen", "discount_fen")]
    rows = [
        (one.name, [*_cells(one.numbers, names), *(Cell(_shown(name, getattr(one.numbers, name)))
                                                  for name in ("bill_fen", "discount_fen"))])
        for one in found.stores
    ]  # fmt: skip
    return Table("stores", "across", words("insight.stores"), columns, rows, words("insight.axis.store"),
                 words("insight.axis.times"), note=words("insight.stores_note"))  # fmt: skip


def _offers(words: Words, found: Insight) -> Table:
    names = (*TIMES[:4], "fulfilled", *TIMES[4:])
    columns = [
        Column(words(f"insight.column.{name}"), drawn=name in TIMES, at_first=name in _DRAWN_AT_FIRST)
        for name in names
    ]
    columns.append(Column(words("insight.column.discount_fen")))
    rows = [
        (f"{one.title}（{words(f'status.{one.status}')}）",
         [*_cells(one.numbers, names), Cell(_shown("discount_fen", one.numbers.discount_fen))])
        for one in found.offers
    ]  # fmt: skip
    return Table("offers", "across", words("insight.offers"), columns, rows, words("insight.axis.offer"),
                 words("insight.axis.times"))  # fmt: skip


def _left(words: Words, found: Insight) -> Table:
    columns = [
        Column(words("insight.stock_left_of"), drawn=True), Column(words("insight.stock_left")),
        Column(words("insight.budget_left_of"), drawn=True), Column(words("insight.budget_left")),
    ]  # fmt: skip
    rows = [(one.title, _left_cells(words, one)) for one in found.offers]
    return Table("left", "across", words("insight.left"), columns, rows, words("insight.axis.offer"),
                 words("insight.axis.percent"), note=words("insight.left_note"))  # fmt: skip


def _left_cells(words: Words, one: OfferNumbers) -> list[Cell]:
    cells = [_share(one.stock_left, one.stock_total)]
    if one.stock_left is None:
        cells.append(Cell(words("offer.unlimited")))
    else:
        total = "" if one.stock_total is None else f" / {one.stock_total:,}"
        cells.append(Cell(f"{one.stock_left:,}{total}"))
    cells.append(_share(one.budget_left_fen, one.budget_fen))
    if one.budget_left_fen is None or one.budget_fen is None:
        return [*cells, Cell(words("insight.no_budget"))]
    return [*cells, Cell(f"{worded('left_fen', one.budget_left_fen)} / {worded('of_fen', one.budget_fen)}")]


def _share(left: int | None, total: int | None) -> Cell:
    if left is None or not total:
        return Cell("—")
    share_bp = left * 10_000 // total
    return Cell(_percent(share_bp), share_bp / 100)


# ------------------------------------------------------------------ in words
def _times_columns(words: Words) -> list[Column]:
    return [
        Column(words(f"insight.column.{name}"), drawn=True, at_first=name in _DRAWN_AT_FIRST)
        for name in TIMES
    ]


def _times(numbers: Numbers) -> list[Cell]:
    return _cells(numbers, TIMES)


def _cells(numbers: Numbers, names: Iterable[str]) -> list[Cell]:
    return [Cell(f"{getattr(numbers, name):,}", getattr(numbers, name)) for name in names]


def _shown(name: str, amount: int) -> str:
    if not name.endswith("_fen"):
        return f"{amount:,}"
    return f"{'−' if amount < 0 else ''}{worded(name, abs(amount))}"


def _change(now: int, before: int) -> dict[str, str]:
    """By how much `now` differs from `before`; of nothing there is no share."""
    if before <= 0:
        return {"change": "—", "way": "none"}
    change_bp = round((now - before) * 10_000 / before)
    way = "up" if change_bp > 0 else "down" if change_bp < 0 else "none"
    return {"change": f"{'+' if change_bp > 0 else ''}{_percent(change_bp)}", "way": way}


def _percent(share_bp: int) -> str:
    return f"{Decimal(share_bp) / 100:.1f}%"
