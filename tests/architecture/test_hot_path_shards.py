"""The hot path stays within shards: what its statements name is compared with the keys that docs/scaling.md declares.

The statements are those that the verbs really send. A statement that reaches a distributed table by anything else than
its key, or what stands for the key today, has to be in the document with the reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlglot import exp, parse_one

from incentives.channels import RideRecord, open_channel, submit_records
from marketplace import db, ledger
from marketplace.identity.stores import MemoryStore
from marketplace.identity.tokens import Principal, issue_token, principal_of
from marketplace.offers.lifecycle import forget_terms
from marketplace.redemptions import token_of
from marketplace.residents import link
from tests import builders

DOCUMENT = Path(__file__).parents[2] / "docs" / "scaling.md"


# ------------------------------------------------------------------ what the document declares
class Declared(NamedTuple):
    """How a table is spread; `found_by` are the columns that say on which shard a row is."""

    kind: str
    found_by: frozenset[str]


def rows_under(heading: str) -> list[list[str]]:
    """The cells of the table under `heading`, without their backticks."""
    part = DOCUMENT.read_text(encoding="utf-8").split(f"\n### {heading}\n")[1].split("\n#")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines[2:]]


Keys = Mapping[str, Declared]
Reasons = Mapping[tuple[str, str], int]


def declared() -> dict[str, Declared]:
    return {
        table: Declared(kind, frozenset(re.findall(r"\w+", found_by)))
        for table, kind, _, found_by, _ in rows_under("Every table")
    }


def excepted() -> Reasons:
    """Tables and columns that the hot path may find rows by though more than one shard has to be asked, and in how many
    of its statements it may."""
    return {
        (table, column): int(times)
        for table, column, times, _ in rows_under("Statements that ask more shards")
    }


# ------------------------------------------------------------------ what a statement names
Columns = Mapping[str, frozenset[str]]
Enough = Callable[[str, frozenset[str]], bool]


class Reached(NamedTuple):
    """A table that a statement reaches, and the columns by which it says which rows."""

    table: str
    by: frozenset[str]


def reached(statement: str, columns: Columns, enough: Enough) -> list[Reached]:
    """The tables of `statement` with the columns by which it finds their rows, `enough` to go on from them or not."""
    tree = parse_one(statement, read="postgres")
    made_here = {cte.alias for cte in tree.find_all(exp.CTE)}
    return [
        found
        for scope in tree.find_all(exp.Select, exp.Update, exp.Delete, exp.Insert)
        for found in _of_scope(scope, columns, enough, made_here)
    ]


def _of_scope(
    scope: exp.Expression, columns: Columns, enough: Enough, made_here: set[str]
) -> Iterator[Reached]:
    if isinstance(scope, exp.Insert):
        target = scope.this
        names = {identifier.name for identifier in target.expressions}
        yield Reached(target.this.name, frozenset(names))
        return
    tables = _tables(scope, made_here)
    found = _found_by(list(_equalities(scope)), tables, columns, enough)
    for alias, table in tables.items():
        yield Reached(table, found[alias])


def _tables(scope: exp.Expression, made_here: set[str]) -> dict[str, str]:
    """The stored tables of a scope by their alias; what a statement brings with it is none of them."""
    return {
        table.alias_or_name: table.name
        for table in scope.find_all(exp.Table)
        if _scope_of(table) is scope
        and isinstance(table.this, exp.Identifier)
        and table.name not in made_here
    }


def _scope_of(node: exp.Expression) -> exp.Expression | None:
    return node.find_ancestor(exp.Select, exp.Update, exp.Delete, exp.Insert)


class _Equal(NamedTuple):
    """Two sides that are equal in every row; from an outer join that holds only for rows of the table `within`."""

    left: exp.Expression
    right: exp.Expression
    within: str | None


def _equalities(scope: exp.Expression) -> Iterator[_Equal]:
    """What must be equal for a row of the scope: the conjuncts of its conditions, none from inside an OR."""
    where = scope.args.get("where")
    conditions = [(where.this, None)] if where else []
    conditions += [
        (join.args["on"], join.this.alias_or_name if join.side == "LEFT" else None)
        for join in [*scope.args.get("joins", []), *_joins_of_from(scope)]
        if join.args.get("on")
    ]
    for condition, within in conditions:
        for part in condition.flatten() if isinstance(condition, exp.And) else [condition]:
            inner = part.unnest()
            if isinstance(inner, exp.EQ):
                yield _Equal(inner.this, inner.expression, within)
            elif isinstance(inner, exp.In) and not inner.args.get("query"):
                yield _Equal(inner.this, exp.Placeholder(), within)


def _joins_of_from(scope: exp.Expression) -> list[exp.Expression]:
    source = scope.args.get("from_") or scope.args.get("from")
    return [] if source is None else list(source.find_all(exp.Join))


def _found_by(
    equalities: Sequence[_Equal], tables: dict[str, str], columns: Columns, enough: Enough
) -> dict[str, frozenset[str]]:
    """By which columns the rows of each table (by alias) are found: by values first, then by rows that were found so.

    What follows from a row once it is found says nothing about how it was found.
    """
    found: dict[str, frozenset[str]] = {}

    def owner(column: exp.Column) -> str | None:
        if column.table:
            return (
                column.table if column.table in tables else None
            )  # of the statement's own rows, or of an outer scope
        return next((alias for alias, table in tables.items() if column.name in columns[table]), None)

    def known(side: exp.Expression) -> bool:
        return all(owner(column) is None or owner(column) in found for column in side.find_all(exp.Column))

    while True:
        fixed: dict[str, set[str]] = {alias: set() for alias in tables}
        for left, right, within in equalities:
            for one, other in ((left, right), (right, left)):
                alias = owner(one) if isinstance(one, exp.Column) else None
                if alias is not None and within in (None, alias) and known(other):
                    fixed[alias].add(one.name)
        more = {alias: frozenset(by) for alias, by in fixed.items()
                if alias not in found and enough(tables[alias], frozenset(by))}  # fmt: skip
        if not more:
            return {alias: frozenset(by) for alias, by in fixed.items()} | found
        found |= more


def crossing(
    sent: Sequence[Reached], keys: Keys, reasons: Reasons
) -> tuple[list[Reached], Counter[tuple[str, str]]]:
    """What of `sent` crosses shards without a reason, and how often each reason was needed."""
    wrong, used = [], Counter[tuple[str, str]]()
    for found in sent:
        declaration = keys[found.table]
        if declaration.kind != "distributed" or declaration.found_by & found.by:
            continue
        excuses = {(found.table, column) for column in found.by} & reasons.keys()
        used.update(excuses)
        if not excuses:
            wrong.append(found)
    return wrong, used


# ------------------------------------------------------------------ what the hot path sends
@pytest.fixture
async def columns(database: str) -> dict[str, frozenset[str]]:
    rows = await db.fetch(
        """SELECT table_name, array_agg(column_name::text) AS names FROM information_schema.columns
           WHERE table_schema = 'public' GROUP BY table_name"""
    )
    return {row["table_name"]: frozenset(row["names"]) for row in rows}


@pytest.fixture
async def sent(columns: Columns, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that are sent while the test runs; what is copied into a table as the insert that it is."""
    statements: list[str] = []
    fetch, execute, insert_many = db.fetch, db.execute, db.insert_many

    async def recorded_fetch(sql: str, *arguments: Any) -> Any:
        statements.append(sql)
        return await fetch(sql, *arguments)

    async def recorded_execute(sql: str, *arguments: Any) -> Any:
        statements.append(sql)
        return await execute(sql, *arguments)

    async def recorded_insert(table: str, names: Sequence[str], rows: Any) -> None:
        if rows:
            statements.append(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(names)})")
        await insert_many(table, names, rows)

    monkeypatch.setattr(db, "fetch", recorded_fetch)
    monkeypatch.setattr(db, "execute", recorded_execute)
    monkeypatch.setattr(db, "insert_many", recorded_insert)
    return statements


async def the_hot_path(sent: list[str]) -> list[str]:
    """Redeem, verify, cancel and credit, as they come; answers what they send without what sets the scene."""
    campaign = await builders.a_campaign(100_000)
    offer = await builders.an_offer(kind="cash_coupon", stock=9, limit=9, campaign=campaign)
    codes = await builders.an_offer(kind="code")
    resident = await builders.a_resident()
    till = await builders.a_till(of=offer)
    token = await issue_token(Principal("resident", str(resident)))
    await open_channel(key="bike", name="单车", methodology="bike-wuhan")
    await link(channel="bike", subject="r1", resident=resident)
    for shown in (offer, codes):
        forget_terms(shown.id)
    sent.clear()
    async with ledger.batching():
        await principal_of(token, store=MemoryStore())
        first = await builders.redeem(resident, offer, builders.a_key(resident, "1"))
        second = await builders.redeem(resident, offer, builders.a_key(resident, "2"))
        third = await builders.redeem(resident, offer, builders.a_key(resident, "3"))
        await builders.redeem(resident, codes, builders.a_key(resident, "4"))
        await builders.verify(till, first["coupon"]["code"], bill_fen=5_000, key=builders.a_key(till, "1"))
        shown = await token_of(resident=resident, redemption=UUID(second["id"]))
        await builders.verify(till, token=shown.token, bill_fen=5_000, key=builders.a_key(till, "2"))
        await builders.cancel(resident, UUID(third["id"]), builders.a_key(resident, "5"))
    ride = RideRecord(trip_id="t1", rider_id="r1", bike_id="b", started_at="2026-05-01T08:00:00",
                      ended_at="2026-05-01T08:20:00", track_distance_m=Decimal(3_000))  # fmt: skip
    await submit_records("bike", [ride])
    return list(sent)


async def bodies_of_functions(statements: Sequence[str]) -> list[str]:
    """The statements inside our own functions that `statements` call."""
    bodies = await db.fetch(
        """SELECT proname, prosrc FROM pg_proc
           WHERE pronamespace = 'public'::regnamespace AND prorettype <> 'trigger'::regtype"""
    )
    inside = []
    for row in bodies:
        if any(f"{row['proname']}(" in statement for statement in statements):
            body = row["prosrc"].split("BEGIN", 1)[1].rsplit("END", 1)[0]
            inside += [part.replace("RETURN QUERY", "").strip() for part in body.split(";") if part.strip()]
    return inside


# ------------------------------------------------------------------ tests
async def test_every_table_is_declared_with_columns_that_it_has(columns):
    keys = declared()
    assert set(keys) == set(columns)
    assert {declaration.kind for declaration in keys.values()} == {"distributed", "reference", "local"}
    for table, declaration in keys.items():
        assert bool(declaration.found_by) == (declaration.kind == "distributed"), table
        assert declaration.found_by <= columns[table], table
    for table, column in excepted():
        assert column in columns[table]
        assert keys[table].kind == "distributed"


async def test_the_hot_path_crosses_shards_only_where_the_document_says_why(sent, columns):
    statements = await the_hot_path(sent)
    statements += await bodies_of_functions(statements)
    keys, reasons = declared(), excepted()

    def enough(table: str, by: frozenset[str]) -> bool:
        one = Reached(table, by)
        return bool(by) and one not in crossing([one], keys, reasons)[0]

    found = [it for statement in set(statements) for it in reached(statement, columns, enough)]

    assert {
        "redemption", "coupon", "verification", "consumption_record", "lot", "activity_record", "ledger_transfer",
        "ledger_account", "idempotency", "access_token", "pool_code", "registry_entry",
    } <= {it.table for it in found}  # fmt: skip
    wrong, used = crossing(found, keys, reasons)
    assert wrong == []
    assert used == reasons, "other statements ask more shards than the document says"


async def test_no_transfer_has_two_limited_accounts_so_that_each_has_one_home(sent):
    await the_hot_path(sent)
    both = await db.fetch(
        """SELECT t.kind FROM ledger_transfer t JOIN ledger_account d ON d.id = t.debit
           JOIN ledger_account c ON c.id = t.credit WHERE d.limited AND c.limited"""
    )
    assert both == []
    assert await db.fetch_value("SELECT count(DISTINCT kind) FROM ledger_transfer") >= 3


@pytest.mark.parametrize(
    ("statement", "by"),
    [
        ("SELECT 1 FROM redemption WHERE offer = $1", {"offer"}),
        ("SELECT 1 FROM redemption r WHERE r.resident = $1 OR r.id = $2", set()),
        ("SELECT 1 FROM redemption r WHERE r.resident > $1", set()),
        ("SELECT 1 FROM redemption r WHERE NOT (r.resident = $1)", set()),
        ("SELECT 1 FROM redemption r JOIN coupon c ON c.redemption = r.id WHERE c.code = $1", {"id"}),
        ("SELECT 1 FROM redemption r JOIN lot l ON l.resident = r.resident", set()),
        ("SELECT 1 FROM redemption WHERE resident IN ($1, $2)", {"resident"}),
        ("SELECT 1 FROM redemption WHERE resident = ANY($1)", {"resident"}),
        ("SELECT EXISTS (SELECT 1 FROM redemption r WHERE r.resident = x.id) FROM resident x", {"resident"}),
        ("UPDATE redemption r SET status = g.s FROM unnest($1::uuid[]) AS g (id, s) WHERE r.id = g.id", {"id"}),
        ("SELECT 1 FROM coupon c LEFT JOIN redemption r ON r.id = c.redemption WHERE c.code = $1", {"id"}),
        ("SELECT 1 FROM redemption r LEFT JOIN coupon c ON r.id = $1", set()),
        ("UPDATE redemption SET status = 'expired'", set()),
        ("DELETE FROM redemption WHERE resident = $1", {"resident"}),
        ("INSERT INTO redemption (id, resident) SELECT * FROM unnest($1::uuid[], $2::uuid[])", {"id", "resident"}),
        ("WITH due AS (SELECT id FROM redemption WHERE resident = $1) SELECT 1 FROM due", {"resident"}),
    ],
)  # fmt: skip
async def test_what_a_statement_fixes_is_recognised(statement, by, columns):
    assert {
        it.by for it in reached(statement, columns, lambda _, by: bool(by)) if it.table == "redemption"
    } == {frozenset(by)}


def test_a_statement_without_the_key_is_found_out():
    keys = {"redemption": Declared("distributed", frozenset({"resident"}))}
    by_offer, by_resident = (Reached("redemption", frozenset({column})) for column in ("offer", "resident"))
    assert crossing([by_offer, by_resident], keys, {}) == ([by_offer], {})
    assert crossing([by_offer], keys, {("redemption", "offer"): 1}) == ([], {("redemption", "offer"): 1})
