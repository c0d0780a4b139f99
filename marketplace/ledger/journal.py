"""Groups into the journal: keys first, then locks, then the judgement, then every row at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from marketplace import db
from marketplace.errors import ChutanError, Refused
from marketplace.ledger.accounts import Account, lock, open_accounts
from marketplace.ledger.groups import Group, Hold, IdempotencyKey, Leg, Post, Release, Transfer
from marketplace.ledger.judging import Entry, Pending, judge

_COLUMNS = ("id", "group_id", "debit", "credit", "amount", "kind", "phase", "pending_id", "expires_at",
            "credit_limit", "subject", "created_at")  # fmt: skip


async def submit(group: Group) -> Any:
    """Make `group` happen, once per key, in a transaction of its own; answers its stored answer.

    A repeat of the same request answers what the first one was answered. Raises Refused with the code of the leg or
    effect that stood in the way, or `idempotency_key_reused`; then nothing has happened.
    """
    async with db.transaction():
        if group.key is not None and not await remember(group.key, group.answer, at=group.at):
            first = await answered(group.key)
            if first is None:
                raise Refused("idempotency_in_flight")
            return first.answer
        outcome = (await apply([group]))[0]
        if outcome is not None:
            raise outcome
        return group.answer


async def apply(groups: Sequence[Group]) -> list[ChutanError | None]:
    """Judge `groups` in order and write those that can happen, inside the open transaction.

    Answers, for each, None or why it was refused; a refused group leaves no trace. A group with effects that fails
    in one of them raises, as its transaction is spoilt.
    """
    transfers = [leg for group in groups for leg in group.legs if isinstance(leg, Transfer)]
    await open_accounts([account for leg in transfers for account in (leg.debit, leg.credit)])
    holds = await _holds(groups)
    ids = {leg.debit.id for leg in transfers} | {leg.credit.id for leg in transfers}
    ids |= {hold.debit for hold in holds.values()} | {hold.credit for hold in holds.values()}
    balances = await lock(ids)
    resolved = await _resolved(holds)

    outcomes: list[ChutanError | None] = []
    entries: list[tuple[Group, Entry]] = []
    for group in groups:
        try:
            judged = judge(group, balances, holds, resolved)
        except Refused as refusal:
            outcomes.append(refusal)
            continue
        outcomes.append(None)
        entries += [(group, entry) for entry in judged]
    await _write(entries)
    for group, outcome in zip(groups, outcomes, strict=True):
        if outcome is None:
            await _take_effect(group)
    return outcomes


async def holds_of(subject: UUID) -> dict[UUID, Pending]:
    """The holds about `subject` that are still open, by id."""
    rows = await db.fetch(
        """SELECT p.id, p.debit, p.credit, p.amount, p.kind, p.subject, p.expires_at FROM ledger_transfer p
           WHERE p.subject = $1 AND p.phase = 'pending'
             AND NOT EXISTS (SELECT 1 FROM ledger_transfer r WHERE r.pending_id = p.id)
           ORDER BY p.id""",
        subject,
    )
    return {row["id"]: _pending(row) for row in rows}


class Answered(NamedTuple):
    """What an earlier request with the same key was answered."""

    answer: Any


async def answered(key: IdempotencyKey) -> Answered | None:
    """The answer that this request got before, if it did. Raises Refused `idempotency_key_reused` for another one's."""
    row = await db.fetch_row(
        "SELECT request_hash, answer FROM idempotency WHERE principal = $1 AND operation = $2 AND key = $3",
        key.principal, key.operation, key.key,
    )  # fmt: skip
    if row is None:
        return None
    if row["request_hash"] != key.request_hash:
        raise Refused("idempotency_key_reused")
    return Answered(row["answer"])


async def remember(key: IdempotencyKey, answer: Any, *, at: datetime) -> bool:
    """Store the answer with the effect, in the open transaction; False when another request with this key was first.

    A twin that is under way is waited for.
    """
    return bool(await db.execute(
        """INSERT INTO idempotency (principal, operation, key, request_hash, answer, created_at)
           VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING""",
        key.principal, key.operation, key.key, key.request_hash, answer, at,
    ))  # fmt: skip


async def undo_and_hold(
    subject: UUID, *, at: datetime, until: datetime, refusal: str, refusal_hold: str
) -> list[Leg]:
    """Legs that undo how the holds about `subject` were resolved at the instant `at`: posted amounts go back, and every
    hold is made again in full, also what it gave back then; `refusal_hold` is told when that is gone meanwhile.
    """
    rows = await db.fetch(
        """SELECT t.phase, t.amount, p.amount AS held, t.kind, d.asset, d.id AS debit, d.code AS debit_code,
                  d.owner AS debit_owner, d.limited AS debit_limited, c.id AS credit, c.code AS credit_code,
                  c.owner AS credit_owner, c.limited AS credit_limited
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
        legs.append(Hold(debit=debit, credit=credit, amount=row["held"], kind=row["kind"], subject=subject,
                         refusal=refusal_hold, expires_at=until))  # fmt: skip
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


async def _resolved(holds: dict[UUID, Pending]) -> set[UUID]:
    """Which of `holds` are resolved already; read after their accounts were locked."""
    if not holds:
        return set()
    rows = await db.fetch("SELECT pending_id FROM ledger_transfer WHERE pending_id = ANY($1)", list(holds))
    return {row["pending_id"] for row in rows}


async def _write(entries: Sequence[tuple[Group, Entry]]) -> None:
    await db.insert_many(
        "ledger_transfer",
        _COLUMNS,
        [
            (e.id, group.id, e.debit, e.credit, e.amount, e.kind, e.phase, e.pending_id, e.expires_at,
             e.credit_limit, e.subject, group.at)
            for group, e in entries
        ],
    )  # fmt: skip


async def _take_effect(group: Group) -> None:
    for effect in group.effects:
        if await db.execute(effect.sql, *effect.arguments) != effect.rows:
            raise Refused(effect.refusal)


def _pending(row: db.Row) -> Pending:
    return Pending(
        debit=row["debit"], credit=row["credit"], amount=row["amount"], kind=row["kind"],
        subject=row["subject"], expires_at=row["expires_at"],
    )  # fmt: skip
