"""Groups into the journal: locks first, then the judgement, then every row at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from marketplace import db
from marketplace.errors import ChutanError, Refused
from marketplace.ledger.accounts import Account, Balance, open_and_lock
from marketplace.ledger.groups import (
    Entry,
    Group,
    Hold,
    IdempotencyKey,
    Insert,
    Leg,
    Pending,
    Post,
    Relation,
    Release,
    Step,
    Transfer,
)
from marketplace.ledger.judging import judge

_JOURNAL = ("id", "group_id", "debit", "credit", "amount", "kind", "phase", "pending_id", "expires_at",
            "credit_limit", "subject", "created_at")  # fmt: skip

Places = dict[int, ChutanError]


class Spoilt(Exception):
    """Groups that turned out to be impossible while they were written: the transaction is to be done without them."""

    def __init__(self, refusals: Places) -> None:
        super().__init__(refusals)
        self.refusals = refusals


class Answered(NamedTuple):
    """What a request was answered, now or when it was made first."""

    answer: Any


Outcome = Answered | ChutanError


async def apply(groups: Sequence[Group], refused: Mapping[int, ChutanError] | None = None) -> list[Outcome]:
    """Judge `groups` in order and write those that can happen, inside the open transaction.

    Answers, for each, its answer (that of the first request with its key) or why it was refused; a refused group leaves
    no trace. `refused` are places known to be impossible. Raises Spoilt when a change fails after its group was judged.
    """
    outcomes: dict[int, Outcome] = dict(refused or {})
    holds = await _holds(groups)
    balances = await _locked(groups, holds)
    outcomes |= await _answered([(n, group) for n, group in enumerate(groups) if n not in outcomes])
    open_groups = [(n, group) for n, group in enumerate(groups) if n not in outcomes]
    outcomes |= await _fall_short([(n, step) for n, group in open_groups for step in group.requires])
    resolved = await _resolved(holds)

    entries: list[tuple[Group, Entry]] = []
    taken: list[tuple[int, Group]] = []
    for n, group in open_groups:
        if n in outcomes:
            continue
        try:
            entries += [(group, entry) for entry in judge(group, balances, holds, resolved)]
        except Refused as refusal:
            outcomes[n] = refusal
        else:
            outcomes[n] = Answered(group.answer)
            taken.append((n, group))
    await _write(entries)
    await _take_effect(taken)
    return [outcomes[n] for n in range(len(groups))]


# ---------------------------------------------------------------- what is there
async def holds_of(subjects: Collection[UUID]) -> dict[UUID, dict[UUID, Pending]]:
    """The holds about each of `subjects` that are still open, by id; subjects without one are left out."""
    rows = await db.fetch(
        """SELECT p.id, p.debit, p.credit, p.amount, p.kind, p.subject, p.expires_at FROM ledger_transfer p
           WHERE p.subject = ANY($1) AND p.phase = 'pending'
             AND NOT EXISTS (SELECT 1 FROM ledger_transfer r WHERE r.pending_id = p.id)
           ORDER BY p.id""",
        list(subjects),
    )
    holds: dict[UUID, dict[UUID, Pending]] = {}
    for row in rows:
        holds.setdefault(row["subject"], {})[row["id"]] = _pending(row)
    return holds


async def answered(key: IdempotencyKey) -> Answered | None:
    """The answer that this request got before, if it did. Raises Refused `idempotency_key_reused` for another one's."""
    outcome = (await _known([key])).get(key.id)
    return None if outcome is None else _same_request(key, outcome)


async def remember(key: IdempotencyKey, answer: Any, *, at: datetime) -> bool:
    """Store the answer with the effect, in the open transaction; False when another request with this key was first.

    A twin that is under way is waited for.
    """
    return not await _unremembered([(0, key, answer, at)])


async def held_up(groups: Sequence[Group]) -> set[int]:
    """The places of those of `groups` that need an account which another transaction holds; in an open transaction."""
    holds = await _holds(groups)
    needed = [{account for leg in group.legs for account in _sides(leg, holds)} for group in groups]
    rows = await db.fetch(
        """WITH free AS MATERIALIZED (
               SELECT id FROM ledger_account WHERE id = ANY($1) AND limited FOR NO KEY UPDATE SKIP LOCKED)
           SELECT id FROM ledger_account WHERE id = ANY($1) AND limited AND id NOT IN (SELECT id FROM free)""",
        list(set().union(*needed)),
    )
    held = {row["id"] for row in rows}
    return {n for n, accounts in enumerate(needed) if accounts & held}


def _sides(leg: Leg, holds: Mapping[UUID, Pending]) -> tuple[UUID, ...]:
    if isinstance(leg, Transfer):
        return leg.debit.id, leg.credit.id
    hold = holds.get(leg.pending)
    return () if hold is None else (hold.debit, hold.credit)


async def undo_and_hold(
    subject: UUID, *, at: datetime, until: datetime, refusal: str, refusal_hold: str
) -> list[Leg]:
    """Legs that undo how the holds about `subject` were resolved at the instant `at`: posted amounts go back, and every
    hold is made again in full, also what it gave back then; `refusal_hold` is told when that is gone meanwhile, or no
    longer within the limit that the hold was judged by.
    """
    rows = await db.fetch(
        """SELECT t.phase, t.amount, p.amount AS held, p.credit_limit, t.kind,
                  d.asset, d.id AS debit, d.code AS debit_code, d.owner AS debit_owner, d.limited AS debit_limited,
                  c.id AS credit, c.code AS credit_code, c.owner AS credit_owner, c.limited AS credit_limited
           FROM ledger_transfer t JOIN ledger_transfer p ON p.id = t.pending_id
           JOIN ledger_account d ON d.id = t.debit JOIN ledger_account c ON c.id = t.credit
           WHERE t.subject = $1 AND t.created_at = $2 ORDER BY t.id""",
        subject, at,
    )  # fmt: skip
    legs: list[Leg] = []
    for row in rows:
        debit = Account(
            row["debit"], row["asset"], row["debit_code"], row["debit_owner"], row["debit_limited"]
        )
        credit = Account(
            row["credit"], row["asset"], row["credit_code"], row["credit_owner"], row["credit_limited"]
        )
        if row["phase"] == "post":
            legs.append(Transfer(debit=credit, credit=debit, amount=row["amount"], kind="reverse", subject=subject,
                                 refusal=refusal))  # fmt: skip
        gave_back = row["phase"] == "void" or row["amount"] < row["held"]
        legs.append(Hold(debit=debit, credit=credit, amount=row["held"], kind=row["kind"], subject=subject,
                         refusal=refusal_hold, credit_limit=row["credit_limit"] if gave_back else None,
                         expires_at=until))  # fmt: skip
    return legs


async def _holds(groups: Sequence[Group]) -> dict[UUID, Pending]:
    wanted = [leg.pending for group in groups for leg in group.legs if isinstance(leg, Post | Release)]
    if not wanted:
        return {}
    rows = await db.fetch(
        """SELECT id, debit, credit, amount, kind, subject, expires_at FROM ledger_transfer
           WHERE id = ANY($1) AND phase = 'pending'""",
        wanted,
    )
    return {row["id"]: _pending(row) for row in rows}


async def _locked(groups: Sequence[Group], holds: Mapping[UUID, Pending]) -> dict[UUID, Balance]:
    """The limited accounts that `groups` move, locked, with their balances."""
    moved = [leg for group in groups for leg in group.legs if isinstance(leg, Transfer)]
    held = {hold.debit for hold in holds.values()} | {hold.credit for hold in holds.values()}
    return await open_and_lock([account for leg in moved for account in (leg.debit, leg.credit)], held)


async def _resolved(holds: Mapping[UUID, Pending]) -> set[UUID]:
    """Which of `holds` are resolved already; read after their accounts were locked."""
    if not holds:
        return set()
    rows = await db.fetch("SELECT pending_id FROM ledger_transfer WHERE pending_id = ANY($1)", list(holds))
    return {row["pending_id"] for row in rows}


async def _answered(groups: Sequence[tuple[int, Group]]) -> dict[int, Outcome]:
    """Those of `groups` that were answered before, or whose key another request has used."""
    keyed = [(n, group.key) for n, group in groups if group.key is not None]
    known = await _known([key for _, key in keyed])
    found: dict[int, Outcome] = {}
    for n, key in keyed:
        outcome = known.get(key.id)
        if outcome is not None:
            try:
                found[n] = _same_request(key, outcome)
            except Refused as reused:
                found[n] = reused
    return found


async def _known(keys: Sequence[IdempotencyKey]) -> dict[UUID, tuple[bytes, Any]]:
    if not keys:
        return {}
    rows = await db.fetch(
        "SELECT id, request_hash, answer FROM idempotency WHERE id = ANY($1)", [key.id for key in keys]
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def _same_request(key: IdempotencyKey, known: tuple[bytes, Any]) -> Answered:
    request_hash, answer = known
    if request_hash != key.request_hash:
        raise Refused("idempotency_key_reused")
    return Answered(answer)


# ---------------------------------------------------------------- what is written
async def _write(entries: Sequence[tuple[Group, Entry]]) -> None:
    await db.insert_many(
        "ledger_transfer",
        _JOURNAL,
        [
            (e.id, group.id, e.debit, e.credit, e.amount, e.kind, e.phase, e.pending_id, e.expires_at,
             e.credit_limit, e.subject, group.at)
            for group, e in entries
        ],
    )  # fmt: skip


async def _take_effect(groups: Sequence[tuple[int, Group]]) -> None:
    """Write what belongs to `groups`, and their keys with their answers. Raises Spoilt."""
    for relation, rows in _by_relation(insert for _, group in groups for insert in group.inserts):
        await db.insert_many(relation.name, relation.columns, rows)
    spoilt = await _fall_short([(n, step) for n, group in groups for step in group.changes])
    keyed = [(n, group.key, group.answer, group.at) for n, group in groups if group.key is not None]
    for n in await _unremembered(keyed):
        spoilt.setdefault(n, Refused("idempotency_in_flight"))
    if spoilt:
        raise Spoilt(spoilt)


def _by_relation(inserts: Iterable[Insert]) -> list[tuple[Relation, list[tuple[Any, ...]]]]:
    rows: dict[Relation, list[tuple[Any, ...]]] = {}
    for insert in inserts:
        rows.setdefault(insert.into, []).append(insert.values)
    return [(relation, rows[relation]) for relation in sorted(rows, key=attrgetter("rank"))]


async def _fall_short(steps: Sequence[tuple[int, Step]]) -> Places:
    """Run `steps`, all with the same statement at once; answers the places of the groups where one did not succeed."""
    by_statement: dict[str, list[tuple[int, Step]]] = {}
    for n, step in steps:
        by_statement.setdefault(step.sql, []).append((n, step))
    refusals: Places = {}
    for sql, placed in by_statement.items():
        arrays = [list(values) for values in zip(*(step.values for _, step in placed), strict=True)]
        succeeded = {row[0] for row in await db.fetch(sql, *arrays)}
        for number, (n, step) in enumerate(placed, start=1):
            if number not in succeeded:
                refusals.setdefault(n, Refused(step.refusal))
    return refusals


async def _unremembered(keyed: Sequence[tuple[int, IdempotencyKey, Any, datetime]]) -> set[int]:
    """Store answers under their keys; answers the places whose key another request has stored first."""
    if not keyed:
        return set()
    rows = await db.fetch(
        """INSERT INTO idempotency (id, principal, operation, key, request_hash, answer, created_at)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::json[],
                                $7::timestamptz[])
           ORDER BY 1 ON CONFLICT DO NOTHING RETURNING id""",
        [key.id for _, key, _, _ in keyed], [key.principal for _, key, _, _ in keyed],
        [key.operation for _, key, _, _ in keyed], [key.key for _, key, _, _ in keyed],
        [key.request_hash for _, key, _, _ in keyed], [answer for _, _, answer, _ in keyed], [at for *_, at in keyed],
    )  # fmt: skip
    stored = {row[0] for row in rows}
    lost = set()
    for n, key, _, _ in keyed:
        if key.id in stored:
            stored.remove(key.id)  # of twins in one batch, the first has it
        else:
            lost.add(n)
    return lost


def _pending(row: db.Row) -> Pending:
    return Pending(
        debit=row["debit"], credit=row["credit"], amount=row["amount"], kind=row["kind"],
        subject=row["subject"], expires_at=row["expires_at"],
    )  # fmt: skip
