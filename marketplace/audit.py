"""Whether the books are right: every invariant of the ledger, the lots, the redemptions and the registry.

Each check is one query for what contradicts it, read in a single snapshot; a check is fine when there is nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from marketplace import db
from marketplace.chart import CONSUMPTION, EXPIRED, ISSUANCE, RETIRED


class Check(msgspec.Struct, frozen=True):
    """One invariant: whether it holds, and if not, how many cases contradict it with the first of them."""

    name: str
    ok: bool
    detail: str


class Audit(msgspec.Struct, frozen=True):
    """What an audit found."""

    ok: bool
    checks: Sequence[Check]


class _Invariant(NamedTuple):
    name: str
    contradictions: str  # a query whose rows (case text) contradict the invariant


_SIDES: Final = """
    SELECT t.debit AS account, t.id, t.seq, NULL::bigint AS credit_limit,
           CASE t.phase WHEN 'pending' THEN t.amount WHEN 'posted' THEN 0 ELSE -p.amount END AS debits_pending,
           CASE WHEN t.phase IN ('posted', 'post') THEN t.amount ELSE 0 END AS debits_posted,
           0 AS credits_pending, 0 AS credits_posted
    FROM ledger_transfer t LEFT JOIN ledger_transfer p ON p.id = t.pending_id
    UNION ALL
    SELECT t.credit, t.id, t.seq, t.credit_limit, 0, 0,
           CASE t.phase WHEN 'pending' THEN t.amount WHEN 'posted' THEN 0 ELSE -p.amount END,
           CASE WHEN t.phase IN ('posted', 'post') THEN t.amount ELSE 0 END
    FROM ledger_transfer t LEFT JOIN ledger_transfer p ON p.id = t.pending_id"""

_REPLAYED: Final = f"""
    SELECT account, coalesce(sum(debits_pending), 0) AS debits_pending,
           coalesce(sum(debits_posted), 0) AS debits_posted,
           coalesce(sum(credits_pending), 0) AS credits_pending, coalesce(sum(credits_posted), 0) AS credits_posted
    FROM ({_SIDES}) AS sides GROUP BY account"""

_NET: Final = (
    f"SELECT account, credits_posted - debits_posted AS net, credits_pending FROM ({_REPLAYED}) AS replayed"
)

INVARIANTS: Final = (
    _Invariant("transfers_resolve_their_holds", """
        SELECT t.id::text AS "case" FROM ledger_transfer t LEFT JOIN ledger_transfer p ON p.id = t.pending_id
        WHERE t.pending_id IS NOT NULL
          AND (p.id IS NULL OR p.phase <> 'pending' OR (p.debit, p.credit) <> (t.debit, t.credit) OR t.amount > p.amount
               OR (t.phase = 'void' AND t.amount <> p.amount))
        UNION ALL
        SELECT pending_id::text FROM ledger_transfer WHERE pending_id IS NOT NULL
        GROUP BY pending_id HAVING count(*) > 1"""),
    _Invariant("transfers_stay_within_an_asset", """
        SELECT t.id::text AS "case" FROM ledger_transfer t
        LEFT JOIN ledger_account d ON d.id = t.debit LEFT JOIN ledger_account c ON c.id = t.credit
        WHERE d.id IS NULL OR c.id IS NULL OR d.asset <> c.asset"""),
    _Invariant("debits_equal_credits", """
        SELECT d.asset AS "case" FROM ledger_transfer t
        JOIN ledger_account d ON d.id = t.debit JOIN ledger_account c ON c.id = t.credit
        GROUP BY d.asset
        HAVING sum(t.amount) FILTER (WHERE d.asset = c.asset) IS DISTINCT FROM sum(t.amount)"""),
    _Invariant("no_account_is_overdrawn", """
        SELECT id::text AS "case" FROM ledger_account
        WHERE limited AND credits_posted - debits_posted - debits_pending < 0"""),
    _Invariant("balances_are_the_sum_of_transfers", f"""
        SELECT a.id::text AS "case" FROM ledger_account a LEFT JOIN ({_REPLAYED}) AS r ON r.account = a.id
        WHERE a.limited AND (a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted)
            IS DISTINCT FROM (coalesce(r.debits_pending, 0), coalesce(r.debits_posted, 0),
                              coalesce(r.credits_pending, 0), coalesce(r.credits_posted, 0))"""),
    _Invariant("issued_grams_are_all_accounted_for", f"""
        SELECT 'issued ' || issued || ', held by residents ' || wallets || ', used or lapsed ' || gone AS "case" FROM (
            SELECT coalesce(-sum(n.net) FILTER (WHERE n.account = '{ISSUANCE.id}'), 0) AS issued,
                   coalesce(sum(n.net) FILTER (WHERE a.code = 'wallet'), 0) AS wallets,
                   coalesce(sum(n.net) FILTER (
                       WHERE n.account IN ('{CONSUMPTION.id}', '{RETIRED.id}', '{EXPIRED.id}')), 0) AS gone
            FROM ({_NET}) AS n JOIN ledger_account a ON a.id = n.account WHERE a.asset = 'CO2E_G') AS total
        WHERE issued <> wallets + gone"""),
    _Invariant("credits_are_lots", """
        SELECT coalesce(l.record, t.subject)::text AS "case"
        FROM lot l FULL JOIN (SELECT subject, sum(amount) AS amount FROM ledger_transfer
                              WHERE kind = 'credit' GROUP BY subject) AS t
            ON t.subject = l.record
        WHERE l.amount_g IS DISTINCT FROM t.amount"""),
    _Invariant("lots_are_tiled_by_their_serials", """
        SELECT l.id::text AS "case" FROM lot l
        LEFT JOIN (SELECT lot, range_agg(serials) AS taken, sum(upper(serials) - lower(serials)) AS grams
                   FROM serial_range GROUP BY lot) AS r ON r.lot = l.id
        WHERE l.assigned_g <> coalesce(r.grams, 0)
           OR (r.lot IS NOT NULL
               AND r.taken <> int8multirange(int8range(l.first_serial, l.first_serial + l.assigned_g)))"""),
    _Invariant("serials_overlap_nowhere", """
        SELECT lower(serials)::text AS "case" FROM
            (SELECT serials, lag(upper(serials)) OVER (ORDER BY lower(serials)) AS before FROM serial_range) AS r
        WHERE before > lower(serials)"""),
    _Invariant("unspent_lots_are_the_wallets", f"""
        SELECT coalesce(w.owner, l.resident)::text AS "case"
        FROM (SELECT a.owner, n.net FROM ledger_account a JOIN ({_NET}) AS n ON n.account = a.id
              WHERE a.code = 'wallet') AS w
        FULL JOIN (SELECT resident, sum(amount_g - assigned_g) AS left_g FROM lot GROUP BY resident) AS l
            ON l.resident = w.owner
        LEFT JOIN (SELECT c.resident, sum(c.amount_g) AS waiting_g FROM consumption_record c
                   WHERE c.state <> 'reversed' AND NOT EXISTS (SELECT 1 FROM serial_range s WHERE s.consumption = c.id)
                   GROUP BY c.resident) AS c ON c.resident = l.resident
        WHERE coalesce(w.net, 0) <> coalesce(l.left_g, 0) - coalesce(c.waiting_g, 0)"""),
    _Invariant("redemptions_agree_with_their_holds", """
        SELECT r.id::text AS "case" FROM redemption r
        LEFT JOIN (SELECT p.subject, count(*) AS open FROM ledger_transfer p
                   WHERE p.phase = 'pending' AND NOT EXISTS (SELECT 1 FROM ledger_transfer x WHERE x.pending_id = p.id)
                   GROUP BY p.subject) AS h ON h.subject = r.id
        WHERE (r.status IN ('awaiting_payment', 'issued')) <> (coalesce(h.open, 0) > 0)"""),
    _Invariant("captures_have_one_consumption_record", """
        SELECT r.id::text AS "case" FROM redemption r
        LEFT JOIN (SELECT redemption, count(*) AS records, sum(amount_g) AS grams FROM consumption_record
                   WHERE state <> 'reversed' GROUP BY redemption) AS c ON c.redemption = r.id
        WHERE (r.status IN ('verified', 'fulfilled')) <> (coalesce(c.records, 0) = 1)
           OR (c.records IS NOT NULL AND c.grams <> r.price_g)"""),
    _Invariant("captured_grams_agree_with_the_ledger", f"""
        SELECT r.id::text AS "case" FROM redemption r
        LEFT JOIN (SELECT subject, sum(CASE WHEN credit = '{CONSUMPTION.id}' THEN amount ELSE -amount END) AS grams
                   FROM ledger_transfer WHERE phase IN ('posted', 'post') AND kind IN ('redeem', 'reverse')
                     AND '{CONSUMPTION.id}' IN (debit, credit) GROUP BY subject) AS t ON t.subject = r.id
        WHERE coalesce(t.grams, 0) <> CASE WHEN r.status IN ('verified', 'fulfilled') THEN r.price_g ELSE 0 END"""),
    _Invariant("recorded_consumption_is_in_the_registry", """
        SELECT coalesce(c.id, e.id)::text AS "case"
        FROM (SELECT * FROM consumption_record WHERE state NOT IN ('pending', 'reversed')) AS c
        FULL JOIN (SELECT * FROM registry_entry WHERE kind = 'retire') AS e ON e.id = c.id
        LEFT JOIN (SELECT consumption, range_agg(serials) AS serials FROM serial_range GROUP BY consumption) AS s
            ON s.consumption = c.id
        WHERE (c.state = 'recorded' AND e.id IS NULL)  -- the other way round an answer was lost, and will be asked for
           OR (e.id IS NOT NULL
               AND (c.id IS NULL OR e.amount_g <> c.amount_g OR e.serials IS DISTINCT FROM s.serials))"""),
    _Invariant("the_registry_issued_every_lot", """
        SELECT coalesce(l.id, e.id)::text AS "case" FROM lot l
        FULL JOIN (SELECT * FROM registry_entry WHERE kind = 'issue') AS e ON e.id = l.id
        WHERE l.id IS NULL OR e.id IS NULL OR e.amount_g <> l.amount_g
           OR e.serials <> int8multirange(int8range(l.first_serial, l.first_serial + l.amount_g))"""),
    _Invariant("retired_grams_agree_with_the_registry", f"""
        SELECT 'ledger ' || ledger || ', registry ' || registry AS "case" FROM (SELECT
            (SELECT coalesce(sum(net), 0) FROM ({_NET}) AS n WHERE account = '{RETIRED.id}') AS ledger,
            (SELECT coalesce(sum(e.amount_g), 0) FROM registry_entry e
             JOIN consumption_record c ON c.id = e.id AND c.state = 'recorded'
             WHERE e.kind = 'retire') AS registry) AS total
        WHERE ledger <> registry"""),
    # Each use by the limit that stood then: a limit may be lowered below what is used.
    _Invariant("limits_hold", f"""
        SELECT id::text AS "case" FROM (
            SELECT s.id, s.credit_limit,
                   sum(s.credits_pending + s.credits_posted - s.debits_pending - s.debits_posted)
                       OVER (PARTITION BY s.account ORDER BY s.seq) AS counted
            FROM ({_SIDES}) AS s JOIN ledger_account a ON a.id = s.account AND a.limited
            WHERE a.asset = 'UNIT' OR a.code = 'promised') AS running
        WHERE counted > credit_limit"""),
    _Invariant("redemptions_count_against_their_limits", """
        SELECT r.id::text AS "case" FROM redemption r JOIN offer_version v ON v.id = r.offer_version
        LEFT JOIN (SELECT t.subject, count(DISTINCT t.credit) FILTER (WHERE a.code = 'stock') AS stocks,
                          count(DISTINCT t.credit) FILTER (WHERE a.code = 'uses') AS uses,
                          count(DISTINCT t.credit) FILTER (WHERE a.code = 'promised') AS promises
                   FROM ledger_transfer t JOIN ledger_account a ON a.id = t.credit
                   WHERE t.kind = 'redeem' AND t.pending_id IS NULL AND a.code IN ('stock', 'uses', 'promised')
                   GROUP BY t.subject) AS c ON c.subject = r.id
        WHERE coalesce(c.stocks, 0) <> num_nonnulls(v.terms ->> 'stock_total', v.terms ->> 'stock_per_day')
           OR coalesce(c.uses, 0) <> num_nonnulls(
               v.terms ->> 'per_resident_limit', v.terms #>> '{limits,per_resident_per_day}',
               v.terms #>> '{limits,per_resident_per_week}')
           OR coalesce(c.promises, 0) <> CASE
               WHEN coalesce(v.terms #>> '{benefit,amount_fen}', v.terms #>> '{benefit,cap_fen}',
                             v.terms #>> '{benefit,value_fen}', v.terms #>> '{benefit,voucher_fen}', '0') = '0' THEN 0
               ELSE num_nonnulls(v.terms ->> 'budget_fen', v.terms ->> 'budget_per_day_fen') END"""),
    _Invariant("campaign_shares_are_of_the_whole", """
        SELECT c.id::text AS "case" FROM campaign c LEFT JOIN campaign_funder f ON f.campaign = c.id
        GROUP BY c.id HAVING coalesce(sum(f.share_bp), 0) <> 10000"""),
    # What each put in and was not given back is its share of the budget, rounded up or down, and together it is all.
    # What came in before there were funders by name is of the one who pays all.
    _Invariant("funders_paid_their_shares", """
        SELECT campaign::text AS "case" FROM (
            SELECT f.campaign, f.share_bp, b.funded,
                   CASE WHEN f.share_bp = 10000 THEN b.funded ELSE coalesce(sum(
                       CASE WHEN t.kind = 'fund' THEN t.amount ELSE -t.amount END), 0) END AS paid
            FROM campaign_funder f JOIN campaign c ON c.id = f.campaign
            JOIN (SELECT c.id, coalesce(sum(CASE WHEN t.kind = 'fund' THEN t.amount ELSE -t.amount END), 0) AS funded
                  FROM campaign c LEFT JOIN ledger_transfer t ON t.kind IN ('fund', 'return')
                                                            AND c.budget_account IN (t.debit, t.credit)
                  GROUP BY c.id) AS b ON b.id = c.id
            LEFT JOIN ledger_account a ON a.code = 'funder' AND a.owner = f.id
            LEFT JOIN ledger_transfer t ON t.kind IN ('fund', 'return') AND a.id IN (t.debit, t.credit)
                                       AND c.budget_account IN (t.debit, t.credit)
            GROUP BY f.id, f.campaign, f.share_bp, b.funded) AS parts
        GROUP BY campaign, funded
        HAVING sum(paid) <> funded OR bool_or(abs(paid * 10000 - funded * share_bp) >= 10000)"""),
    _Invariant("budgets_pay_coupons_and_nothing_else", """
        SELECT t.id::text AS "case" FROM ledger_transfer t
        JOIN ledger_account d ON d.id = t.debit JOIN ledger_account k ON k.id = t.credit
        WHERE (d.code = 'budget' AND (k.code, t.kind) NOT IN (('payable', 'redeem'), ('funder', 'return')))
           OR (k.code = 'budget'
               AND (d.code, t.kind) NOT IN (('payable', 'reverse'), ('funder', 'fund'), ('funders', 'fund')))"""),
    _Invariant("coupons_belong_to_redemptions", """
        SELECT r.id::text AS "case" FROM redemption r LEFT JOIN coupon c ON c.redemption = r.id
        WHERE (c.redemption IS NULL AND r.status IN ('issued', 'verified', 'fulfilled'))
           OR (c.redemption IS NOT NULL AND c.open <> (r.status = 'issued'))"""),
    _Invariant("pools_have_what_the_ledger_says", """
        SELECT coalesce(c.offer, a.owner)::text AS "case"
        FROM (SELECT offer, count(*) AS free FROM pool_code WHERE redemption IS NULL GROUP BY offer) AS c
        FULL JOIN (SELECT owner, credits_posted - debits_posted AS held FROM ledger_account
                   WHERE asset = 'UNIT' AND code = 'pool') AS a ON a.owner = c.offer
        WHERE coalesce(c.free, 0) <> coalesce(a.held, 0)"""),
    _Invariant("redemptions_of_codes_have_one_each", """
        SELECT coalesce(r.id, c.redemption)::text AS "case"
        FROM (SELECT r.id FROM redemption r JOIN offer o ON o.id = r.offer WHERE o.kind = 'code') AS r
        FULL JOIN (SELECT redemption FROM pool_code WHERE redemption IS NOT NULL) AS c ON c.redemption = r.id
        WHERE r.id IS NULL OR c.redemption IS NULL"""),
    _Invariant("verified_residents_are_persons_with_a_trail", """
        SELECT coalesce(r.id, e.resident)::text AS "case"
        FROM (SELECT id FROM resident WHERE person_hash IS NOT NULL AND verified_at IS NOT NULL AND name <> '') AS r
        FULL JOIN (SELECT resident, count(*) AS times FROM identity_event WHERE event = 'verified'
                   GROUP BY resident) AS e ON e.resident = r.id
        WHERE r.id IS NULL OR e.times IS DISTINCT FROM 1"""),
    _Invariant("closed_residents_have_a_trail_and_nothing_else", """
        SELECT r.id::text AS "case" FROM resident r WHERE r.closed_at IS NOT NULL
          AND (r.phone IS NOT NULL OR r.person_hash IS NOT NULL
               OR NOT EXISTS (SELECT 1 FROM identity_event e WHERE e.resident = r.id AND e.event = 'closed')
               OR EXISTS (SELECT 1 FROM lot l WHERE l.resident = r.id)
               OR EXISTS (SELECT 1 FROM redemption d WHERE d.resident = r.id)
               OR EXISTS (SELECT 1 FROM channel_link l WHERE l.resident = r.id AND l.ended_at IS NULL))"""),
)  # fmt: skip


async def audit() -> Audit:
    """Check every invariant in one snapshot of the database."""
    checks = []
    async with db.transaction():
        await db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        await db.execute("SET LOCAL statement_timeout = 0")
        for name, contradictions in INVARIANTS:
            row = await db.fetch_row(
                f'SELECT count(*) AS cases, min("case") AS first FROM ({contradictions}) AS found'
            )
            assert row is not None
            cases = row["cases"]
            checks.append(Check(name, cases == 0, f"{cases}: {row['first']}" if cases else ""))
    return Audit(all(check.ok for check in checks), checks)
