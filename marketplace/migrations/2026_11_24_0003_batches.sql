-- What a batch of groups needs of the ledger.

-- Make the accounts that are missing, then lock the limited ones: in id order, both of them, so that no two callers can
-- deadlock. Statements of a function see what was committed while they waited.
CREATE FUNCTION ledger_open_and_lock(
    ids uuid[], assets text[], codes text[], owners uuid[], limits boolean[], others uuid[]
) RETURNS TABLE (
    id uuid, debits_pending bigint, debits_posted bigint, credits_pending bigint, credits_posted bigint
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO ledger_account (id, asset, code, owner, limited)
    SELECT w.id, w.asset, w.code, w.owner, w.limited
    FROM unnest(ids, assets, codes, owners, limits) AS w (id, asset, code, owner, limited)
    WHERE NOT EXISTS (SELECT 1 FROM ledger_account k WHERE k.id = w.id)
    ORDER BY w.id
    ON CONFLICT DO NOTHING;

    RETURN QUERY
    SELECT a.id, a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted
    FROM ledger_account a
    WHERE a.id = ANY (ids || others) AND a.limited
    ORDER BY a.id
    FOR NO KEY UPDATE;
END $$;

-- The journal's rules, for a statement's transfers together. Each account is looked up once, however many transfers name
-- it, and holds are looked for only where there is one to resolve. A plan is kept for as long as its session, so it must
-- not depend on how large the tables were when it was made: accounts and holds are always found by their index.
CREATE OR REPLACE FUNCTION ledger_move_balances() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    wrong uuid;
    resolves boolean;
    fault text;
BEGIN
    SELECT EXISTS (SELECT 1 FROM moved WHERE pending_id IS NOT NULL) INTO resolves;
    IF resolves THEN
        SELECT t.id INTO wrong
        FROM moved t
        LEFT JOIN ledger_transfer p ON p.id = t.pending_id
        WHERE t.pending_id IS NOT NULL
          AND (p.id IS NULL OR p.phase <> 'pending' OR p.debit <> t.debit OR p.credit <> t.credit
               OR t.amount > p.amount OR (t.phase = 'void' AND t.amount <> p.amount)
               OR (t.phase = 'post' AND t.created_at >= p.expires_at))
        LIMIT 1;
        IF wrong IS NOT NULL THEN
            RAISE EXCEPTION 'transfer % does not resolve its hold', wrong
                USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'ledger_transfer_resolves';
        END IF;
    END IF;

    WITH moves AS (  -- what each transfer moves: how much pending, how much posted
        SELECT t.debit, t.credit, CASE WHEN t.phase = 'pending' THEN t.amount ELSE 0 END AS pending,
               CASE WHEN t.phase = 'posted' THEN t.amount ELSE 0 END AS posted
        FROM moved t WHERE t.pending_id IS NULL
        UNION ALL
        SELECT t.debit, t.credit, -p.amount, CASE WHEN t.phase = 'post' THEN t.amount ELSE 0 END
        FROM moved t JOIN ledger_transfer p ON p.id = t.pending_id WHERE resolves AND t.pending_id IS NOT NULL
    ), sums AS (
        SELECT account, sum(dp)::bigint AS dp, sum(d)::bigint AS d, sum(cp)::bigint AS cp, sum(c)::bigint AS c
        FROM (SELECT debit AS account, pending AS dp, posted AS d, 0 AS cp, 0 AS c FROM moves
              UNION ALL SELECT credit, 0, 0, pending, posted FROM moves) AS sides
        GROUP BY account
    ), changed AS (
        UPDATE ledger_account a SET
            debits_pending = a.debits_pending + s.dp, debits_posted = a.debits_posted + s.d,
            credits_pending = a.credits_pending + s.cp, credits_posted = a.credits_posted + s.c
        FROM sums s WHERE a.id = s.account AND a.limited
        RETURNING a.id, a.asset, a.credits_posted + a.credits_pending - a.debits_posted - a.debits_pending AS counted
    ), known AS (
        SELECT id, asset, counted FROM changed
        UNION ALL
        SELECT a.id, a.asset, NULL FROM sums s JOIN ledger_account a ON a.id = s.account
        WHERE NOT EXISTS (SELECT 1 FROM changed k WHERE k.id = s.account)
    )
    SELECT min(t.id::text),  -- all of them, not the first: a plan for the first would compare each with each
           min(CASE WHEN d.asset = c.asset THEN 'ledger_transfer_credit_limit' ELSE 'ledger_transfer_accounts' END)
    INTO wrong, fault
    FROM moved t LEFT JOIN known d ON d.id = t.debit LEFT JOIN known c ON c.id = t.credit
    WHERE (d.asset = c.asset) IS NOT TRUE OR c.counted > t.credit_limit;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'transfer % names an unknown account, crosses assets or goes over its limit', wrong
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = fault;
    END IF;
    RETURN NULL;
END $$;

-- The same two guards as before, decided without calling a function for each row.
DROP TRIGGER ledger_account_balances_move_by_transfer ON ledger_account;
CREATE TRIGGER ledger_account_balances_move_by_transfer BEFORE UPDATE ON ledger_account
    FOR EACH ROW WHEN (pg_trigger_depth() < 1) EXECUTE FUNCTION ledger_guard_balances();
DROP TRIGGER ledger_account_starts_empty ON ledger_account;
CREATE TRIGGER ledger_account_starts_empty BEFORE INSERT ON ledger_account
    FOR EACH ROW WHEN (NEW.debits_pending + NEW.debits_posted + NEW.credits_pending + NEW.credits_posted <> 0)
    EXECUTE FUNCTION ledger_account_starts_empty();

-- Most transfers resolve nothing, and an account is found by its id, which follows from its owner.
ALTER TABLE ledger_transfer DROP CONSTRAINT ledger_transfer_pending_id_key;
CREATE UNIQUE INDEX ledger_transfer_resolved_once ON ledger_transfer (pending_id) WHERE pending_id IS NOT NULL;
DROP INDEX ledger_account_owner;

-- The order in which a limited account moved: its lock is held while the number is drawn. It orders nothing else.
ALTER TABLE ledger_transfer ADD COLUMN seq bigint GENERATED ALWAYS AS IDENTITY;

-- A key is found by 16 bytes of its hash instead of three texts: its index only grows, and this one by a quarter as much.
ALTER TABLE idempotency ADD COLUMN id uuid;
ALTER TABLE idempotency DISABLE TRIGGER idempotency_is_kept;
UPDATE idempotency
SET id = encode(substring(sha256(convert_to(concat_ws(E'\n', principal, operation, key), 'UTF8')) FOR 16), 'hex')::uuid;
ALTER TABLE idempotency ENABLE TRIGGER idempotency_is_kept;
ALTER TABLE idempotency
    DROP CONSTRAINT idempotency_pkey,
    ADD PRIMARY KEY (id),
    ADD CONSTRAINT idempotency_id_is_of_its_key CHECK (
        id = encode(substring(sha256(convert_to(concat_ws(E'\n', principal, operation, key), 'UTF8')) FOR 16), 'hex')::uuid
    );

-- Nothing asks for redemptions by these.
DROP INDEX redemption_offer;
DROP INDEX redemption_publisher;

-- Wallets, budgets and what is owed are looked up by account; counters, whose moves carry a limit, are not.
DROP INDEX ledger_transfer_debit;
DROP INDEX ledger_transfer_credit;
CREATE INDEX ledger_transfer_debit ON ledger_transfer (debit, id) WHERE credit_limit IS NULL;
CREATE INDEX ledger_transfer_credit ON ledger_transfer (credit, id) WHERE credit_limit IS NULL;

-- A redemption names an offer, its version and its publisher, and one key says that the three belong together.
ALTER TABLE offer ADD UNIQUE (id, publisher);
ALTER TABLE offer_version ADD COLUMN publisher uuid;
ALTER TABLE offer_version DISABLE TRIGGER offer_version_is_immutable;
UPDATE offer_version v SET publisher = o.publisher FROM offer o WHERE o.id = v.offer;
ALTER TABLE offer_version ENABLE TRIGGER offer_version_is_immutable;
ALTER TABLE offer_version
    ALTER COLUMN publisher SET NOT NULL,
    DROP CONSTRAINT offer_version_offer_fkey,
    ADD FOREIGN KEY (offer, publisher) REFERENCES offer (id, publisher),
    ADD UNIQUE (id, offer, publisher);
ALTER TABLE redemption
    DROP CONSTRAINT redemption_offer_fkey,
    DROP CONSTRAINT redemption_publisher_fkey,
    DROP CONSTRAINT redemption_offer_version_fkey,
    ADD FOREIGN KEY (offer_version, offer, publisher) REFERENCES offer_version (id, offer, publisher);

-- A lot is spent from its front, and nothing else about it changes.
CREATE TRIGGER lot_is_only_spent BEFORE UPDATE ON lot FOR EACH ROW
    WHEN ((NEW.id, NEW.resident, NEW.record, NEW.methodology, NEW.methodology_version, NEW.vintage, NEW.city, NEW.amount_g,
           NEW.first_serial, NEW.credited_at, NEW.expires_at)
          IS DISTINCT FROM
          (OLD.id, OLD.resident, OLD.record, OLD.methodology, OLD.methodology_version, OLD.vintage, OLD.city, OLD.amount_g,
           OLD.first_serial, OLD.credited_at, OLD.expires_at)
          OR NEW.assigned_g < OLD.assigned_g)
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER lot_is_kept BEFORE DELETE OR TRUNCATE ON lot FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
