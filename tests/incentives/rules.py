"""Rules and facts made by chance, for property tests: `rules()` are valid, whatever they say."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from incentives.rules.builder import AMONG, How, Row, Sheet, ops_of
from incentives.rules.facts import FACTS, Fact

GRAMS = [name for name, fact in FACTS.items() if fact.unit]
COUNTED = [name for name, fact in FACTS.items() if fact.type == "int"]
TEXTS = [name for name, fact in FACTS.items() if fact.type == "string"]
YES_OR_NO = [name for name, fact in FACTS.items() if fact.type == "bool"]
KEYS = ("metro", "wugang", "city-wuhan")


def facts() -> st.SearchStrategy[dict[str, dict[str, Any]]]:
    """The facts of somebody."""
    by_root: dict[str, dict[str, st.SearchStrategy[Any]]] = {}
    for fact in FACTS.values():
        root, _, rest = fact.name.partition(".")
        by_root.setdefault(root, {})[rest] = _value(fact)
    return st.fixed_dictionaries({root: st.fixed_dictionaries(named) for root, named in by_root.items()})


def _value(fact: Fact) -> st.SearchStrategy[Any]:
    if fact.type == "bool":
        return st.booleans()
    if fact.type == "list":
        return st.lists(st.sampled_from(KEYS), unique=True)
    return st.sampled_from(fact.choices) if fact.choices else st.integers(0, 1_000_000)


# ---------------------------------------------------------------- rules as text
def _numbers() -> st.SearchStrategy[str]:
    plain = st.one_of(st.sampled_from(COUNTED), st.integers(-10, 1_000_000).map(str))
    return st.recursive(
        plain,
        lambda inner: st.tuples(inner, st.sampled_from("+-*/%"), inner).map(lambda p: f"({p[0]} {p[1]} ({p[2]}))"),
        max_leaves=3,
    ).filter(lambda text: "/ (0)" not in text and "% (0)" not in text)  # fmt: skip


def _conditions() -> st.SearchStrategy[str]:
    orders = st.sampled_from(["<", "<=", ">", ">="])
    cities = st.sampled_from(FACTS["resident.city"].choices)
    return st.one_of(
        st.sampled_from(YES_OR_NO),
        st.sampled_from(["true", "false"]),
        st.tuples(_numbers(), orders, _numbers()).map(" ".join),
        st.tuples(st.sampled_from(GRAMS), orders, st.integers(0, 1_000_000).map(str)).map(" ".join),
        st.tuples(st.integers(0, 1_000_000).map(str), orders, st.sampled_from(GRAMS)).map(" ".join),
        st.tuples(st.sampled_from(GRAMS), st.sampled_from(["==", "!="]), st.integers(0, 9).map(str)).map(" ".join),
        st.tuples(st.sampled_from(["==", "!="]), cities).map(lambda p: f"resident.city {p[0]} '{p[1]}'"),
        st.lists(cities, min_size=1, max_size=4).map(lambda c: f"resident.city in {c}"),
        st.sampled_from(KEYS).map(lambda key: f'"{key}" in resident.programmes'),
        st.tuples(st.sampled_from(YES_OR_NO), st.sampled_from(["== true", "!= true", "== false"])).map(" ".join),
        st.sampled_from(YES_OR_NO).map("false != {}".format),
        cities.map(lambda city: f"resident.city.startsWith('{city[:4]}')"),
        st.just("size(resident.programmes) > 1"),
    )  # fmt: skip


def rules() -> st.SearchStrategy[str]:
    """Texts of rules: conditions, joined, negated and chosen between."""
    return st.recursive(
        _conditions(),
        lambda inner: st.one_of(
            st.lists(inner, min_size=2, max_size=3).map(" && ".join).map("({})".format),
            st.lists(inner, min_size=2, max_size=3).map(" || ".join).map("({})".format),
            inner.map("!({})".format),
            st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} ? {p[1]} : {p[2]})"),
        ),
        max_leaves=6,
    )


# ---------------------------------------------------------------- sheets of rows
def sheets() -> st.SearchStrategy[Sheet]:
    """What the builder can show: of one row it is `all`."""
    hows: st.SearchStrategy[How] = st.sampled_from(["all", "any"])
    rows = st.lists(st.sampled_from(list(FACTS.values())).flatmap(_row), min_size=1, max_size=6)
    return st.tuples(hows, rows).map(lambda p: Sheet(p[0] if len(p[1]) > 1 else "all", tuple(p[1])))


def _row(fact: Fact) -> st.SearchStrategy[Row]:
    return st.sampled_from(ops_of(fact)).flatmap(
        lambda op: _values(fact, op).map(lambda v: Row(fact.name, op, v))
    )


def _values(fact: Fact, op: str) -> st.SearchStrategy[tuple[Any, ...]]:
    if fact.type == "bool":
        return st.just(())
    if fact.type == "list":
        return st.sampled_from(KEYS).map(lambda key: (key,))
    if op in AMONG:
        return st.lists(st.sampled_from(fact.choices), min_size=1, max_size=5, unique=True).map(tuple)
    one = st.sampled_from(fact.choices) if fact.choices else st.integers(0, 10**12)
    return one.map(lambda value: (value,))
