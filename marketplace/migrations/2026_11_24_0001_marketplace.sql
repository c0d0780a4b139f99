-- The kernel's tables. Amounts are bigint in the unit their name ends in.

-- Which database this is: made by `demo` or not.
CREATE TABLE installation (
    id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    demonstration boolean NOT NULL DEFAULT false,
    seed bytea CHECK ((seed IS NOT NULL) = demonstration),  -- what the demonstration's sign-ins are derived from
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO installation DEFAULT VALUES;

-- ------------------------------------------------------------------ ledger
CREATE TABLE ledger_account (
    id uuid PRIMARY KEY,
    asset text NOT NULL CHECK (asset IN ('CO2E_G', 'CNY_FEN', 'UNIT')),
    code text NOT NULL CHECK (code <> ''),
    owner uuid,
    limited boolean NOT NULL,
    debits_pending bigint NOT NULL DEFAULT 0 CHECK (debits_pending >= 0),
    debits_posted bigint NOT NULL DEFAULT 0 CHECK (debits_posted >= 0),
    credits_pending bigint NOT NULL DEFAULT 0 CHECK (credits_pending >= 0),
    credits_posted bigint NOT NULL DEFAULT 0 CHECK (credits_posted >= 0),
    CONSTRAINT ledger_account_not_overdrawn
        CHECK (NOT limited OR credits_posted - debits_posted - debits_pending >= 0),
    CONSTRAINT ledger_account_unlimited_has_no_balance
        CHECK (limited OR (debits_pending = 0 AND debits_posted = 0 AND credits_pending = 0 AND credits_posted = 0))
) WITH (fillfactor = 80);
CREATE INDEX ledger_account_owner ON ledger_account (owner) WHERE owner IS NOT NULL;

CREATE TABLE ledger_transfer (
    id uuid PRIMARY KEY,
    group_id uuid NOT NULL,
    debit uuid NOT NULL,
    credit uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    kind text NOT NULL CHECK (kind <> ''),
    phase text NOT NULL CHECK (phase IN ('posted', 'pending', 'post', 'void')),
    pending_id uuid UNIQUE,          -- a hold is resolved exactly once
    expires_at timestamptz,          -- of a hold: it may be posted until then
    credit_limit bigint CHECK (credit_limit >= 0),  -- the cap that the credit account was judged by
    subject uuid,                    -- what it is about: a redemption, an activity record, a lot
    created_at timestamptz NOT NULL,
    CHECK (debit <> credit),
    CHECK ((phase IN ('post', 'void')) = (pending_id IS NOT NULL)),
    CHECK (expires_at IS NULL OR phase = 'pending')
);
CREATE INDEX ledger_transfer_debit ON ledger_transfer (debit, id);
CREATE INDEX ledger_transfer_credit ON ledger_transfer (credit, id);
CREATE INDEX ledger_transfer_subject ON ledger_transfer (subject) WHERE subject IS NOT NULL;

-- Balances move here and nowhere else: whoever inserts a transfer moves them.
CREATE FUNCTION ledger_move_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong uuid;
BEGIN
    SELECT t.id INTO wrong
    FROM moved t
    LEFT JOIN ledger_account d ON d.id = t.debit
    LEFT JOIN ledger_account c ON c.id = t.credit
    WHERE d.id IS NULL OR c.id IS NULL OR d.asset <> c.asset
    LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'transfer % names an unknown account or crosses assets', wrong
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'ledger_transfer_accounts';
    END IF;

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

    -- A hold is looked up by its id, and only where one is resolved: a join would be free to read the whole journal.
    UPDATE ledger_account a SET
        debits_pending = a.debits_pending + m.debits_pending,
        debits_posted = a.debits_posted + m.debits_posted,
        credits_pending = a.credits_pending + m.credits_pending,
        credits_posted = a.credits_posted + m.credits_posted
    FROM (
        SELECT account,
               sum(debits_pending)::bigint AS debits_pending, sum(debits_posted)::bigint AS debits_posted,
               sum(credits_pending)::bigint AS credits_pending, sum(credits_posted)::bigint AS credits_posted
        FROM (
            SELECT t.debit AS account,
                   CASE WHEN t.phase = 'pending' THEN t.amount WHEN t.pending_id IS NOT NULL
                        THEN -(SELECT p.amount FROM ledger_transfer p WHERE p.id = t.pending_id) ELSE 0 END AS debits_pending,
                   CASE WHEN t.phase IN ('posted', 'post') THEN t.amount ELSE 0 END AS debits_posted,
                   0 AS credits_pending, 0 AS credits_posted
            FROM moved t
            UNION ALL
            SELECT t.credit, 0, 0,
                   CASE WHEN t.phase = 'pending' THEN t.amount WHEN t.pending_id IS NOT NULL
                        THEN -(SELECT p.amount FROM ledger_transfer p WHERE p.id = t.pending_id) ELSE 0 END,
                   CASE WHEN t.phase IN ('posted', 'post') THEN t.amount ELSE 0 END
            FROM moved t
        ) AS sides
        GROUP BY account
    ) AS m
    WHERE a.id = m.account AND a.limited;

    SELECT t.id INTO wrong
    FROM moved t JOIN ledger_account c ON c.id = t.credit
    WHERE t.credit_limit IS NOT NULL
      AND c.credits_posted + c.credits_pending - c.debits_posted - c.debits_pending > t.credit_limit
    LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'transfer % goes over the limit of its credit account', wrong
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'ledger_transfer_credit_limit';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_transfer_moves_balances AFTER INSERT ON ledger_transfer
    REFERENCING NEW TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION ledger_move_balances();

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER ledger_transfer_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transfer
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Balances are the sum of transfers: only the trigger above may write them.
CREATE FUNCTION ledger_guard_balances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'balances move by transfers only' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_account_balances_move_by_transfer BEFORE UPDATE ON ledger_account
    FOR EACH ROW EXECUTE FUNCTION ledger_guard_balances();
CREATE FUNCTION ledger_account_starts_empty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.debits_pending + NEW.debits_posted + NEW.credits_pending + NEW.credits_posted <> 0 THEN
        RAISE EXCEPTION 'an account starts empty' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_account_starts_empty BEFORE INSERT ON ledger_account
    FOR EACH ROW EXECUTE FUNCTION ledger_account_starts_empty();
CREATE TRIGGER ledger_account_is_kept BEFORE DELETE OR TRUNCATE ON ledger_account
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE idempotency (
    principal text NOT NULL,
    operation text NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    request_hash bytea NOT NULL,
    answer json NOT NULL,                -- as it was given, its order too
    created_at timestamptz NOT NULL,
    PRIMARY KEY (principal, operation, key)
);
CREATE TRIGGER idempotency_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON idempotency
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- --------------------------------------------------------------- residents
CREATE TABLE resident (
    id uuid PRIMARY KEY,
    phone text UNIQUE CHECK (phone ~ '^1[3-9][0-9]{9}$'),
    person_hash text UNIQUE,             -- keyed hash of a verified identity document
    name text,
    city text NOT NULL DEFAULT '420100' CHECK (city ~ '^42[0-9]{4}$'),
    language text NOT NULL DEFAULT 'zh-CN' CHECK (language IN ('zh-CN', 'en')),
    registry_account uuid NOT NULL UNIQUE,  -- the pseudonym under which the registry knows the resident
    created_at timestamptz NOT NULL,
    verified_at timestamptz,
    CHECK ((person_hash IS NULL) = (verified_at IS NULL))
);

CREATE TABLE channel (
    key text PRIMARY KEY CHECK (key ~ '^[a-z][a-z0-9-]{1,39}$'),
    name text NOT NULL,
    methodology text NOT NULL,           -- the methodology its records are quantified by
    created_at timestamptz NOT NULL
);

CREATE TABLE channel_link (
    id uuid PRIMARY KEY,
    channel text NOT NULL REFERENCES channel,
    subject text NOT NULL CHECK (length(subject) BETWEEN 1 AND 128),
    resident uuid NOT NULL REFERENCES resident,
    linked_at timestamptz NOT NULL,
    ended_at timestamptz CHECK (ended_at >= linked_at)
);
CREATE UNIQUE INDEX channel_link_one_holder ON channel_link (channel, subject) WHERE ended_at IS NULL;
CREATE INDEX channel_link_resident ON channel_link (resident);

-- A long-lived credential: a till, the demonstration's sign-ins. Only its hash is kept.
CREATE TABLE access_token (
    hash bytea PRIMARY KEY CHECK (length(hash) = 32),
    role text NOT NULL CHECK (role IN ('resident', 'staff', 'till', 'operator', 'channel', 'bank')),
    subject text NOT NULL,
    demonstration boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
);

-- An OAuth 2.0 client: a channel with a secret, a bank with its public key.
CREATE TABLE oauth_client (
    client_id text PRIMARY KEY CHECK (client_id <> ''),
    role text NOT NULL CHECK (role IN ('channel', 'bank')),
    subject text NOT NULL,               -- the channel's key, the bank's publisher id
    secret_hash text,
    public_jwk jsonb,
    created_at timestamptz NOT NULL,
    CHECK ((secret_hash IS NULL) <> (public_jwk IS NULL))
);

CREATE TABLE operator (
    id uuid PRIMARY KEY,
    login text NOT NULL UNIQUE,
    name text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL
);

-- -------------------------------------------------------------- publishers
CREATE TABLE publisher (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('merchant', 'venue', 'bank')),
    name text NOT NULL CHECK (name <> ''),
    city text NOT NULL CHECK (city ~ '^42[0-9]{4}$'),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'closed')),
    registry_account uuid NOT NULL UNIQUE,
    created_at timestamptz NOT NULL
);

CREATE TABLE store (
    id uuid PRIMARY KEY,
    publisher uuid NOT NULL REFERENCES publisher,
    name text NOT NULL CHECK (name <> ''),
    address text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX store_publisher ON store (publisher);

CREATE TABLE campaign (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (name <> ''),
    funder text NOT NULL CHECK (funder <> ''),
    budget_account uuid NOT NULL REFERENCES ledger_account,
    created_at timestamptz NOT NULL
);

-- ------------------------------------------------------------------ offers
CREATE TABLE offer (
    id uuid PRIMARY KEY,
    publisher uuid NOT NULL REFERENCES publisher,
    status text NOT NULL CHECK (status IN ('draft', 'submitted', 'approved', 'rejected', 'live', 'paused', 'ended')),
    version integer NOT NULL CHECK (version >= 1),
    title text NOT NULL DEFAULT '',      -- of the current version, for lists and search
    kind text NOT NULL CHECK (kind IN ('cash_coupon', 'discount', 'gift', 'ticket', 'transit', 'code', 'rate_perk', 'donation')),
    starts_at timestamptz,
    ends_at timestamptz,
    reason text,                         -- why it was rejected
    created_at timestamptz NOT NULL,
    CHECK (ends_at > starts_at)
);
CREATE INDEX offer_publisher ON offer (publisher, id);
CREATE INDEX offer_status ON offer (status, id);

-- The terms as they stood: a coupon is judged by the version it was redeemed under.
CREATE TABLE offer_version (
    id uuid PRIMARY KEY,
    offer uuid NOT NULL REFERENCES offer,
    number integer NOT NULL CHECK (number >= 1),
    terms jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    UNIQUE (offer, number)
);
CREATE TRIGGER offer_version_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON offer_version
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE offer_event (
    id uuid PRIMARY KEY,
    offer uuid NOT NULL REFERENCES offer,
    event text NOT NULL,
    actor text NOT NULL,
    reason text,
    created_at timestamptz NOT NULL
);
CREATE INDEX offer_event_offer ON offer_event (offer, id);

-- An uploaded pool of third-party codes.
CREATE TABLE pool_code (
    id uuid PRIMARY KEY,
    offer uuid NOT NULL REFERENCES offer,
    code text NOT NULL CHECK (code <> ''),
    redemption uuid UNIQUE,
    UNIQUE (offer, code)
);
CREATE INDEX pool_code_free ON pool_code (offer, id) WHERE redemption IS NULL;

-- ------------------------------------------------------------- redemptions
CREATE TABLE redemption (
    id uuid PRIMARY KEY,
    resident uuid NOT NULL REFERENCES resident,
    offer uuid NOT NULL REFERENCES offer,
    offer_version uuid NOT NULL REFERENCES offer_version,
    publisher uuid NOT NULL REFERENCES publisher,
    status text NOT NULL CHECK (status IN ('awaiting_payment', 'issued', 'verified', 'fulfilled', 'cancelled', 'expired')),
    price_g bigint NOT NULL CHECK (price_g > 0),
    cash_fen bigint NOT NULL CHECK (cash_fen >= 0),
    created_at timestamptz NOT NULL,
    closed_at timestamptz,
    CHECK ((status IN ('awaiting_payment', 'issued')) = (closed_at IS NULL))
);
CREATE INDEX redemption_resident ON redemption (resident, id);
CREATE INDEX redemption_offer ON redemption (offer, id);
CREATE INDEX redemption_publisher ON redemption (publisher, id);
CREATE INDEX redemption_released ON redemption (resident, closed_at) WHERE status IN ('cancelled', 'expired');

CREATE TABLE coupon (
    redemption uuid PRIMARY KEY REFERENCES redemption,
    code text NOT NULL UNIQUE CHECK (code <> ''),
    token_key bytea CHECK (length(token_key) = 32),   -- none where nothing is shown at a till
    expires_at timestamptz NOT NULL,
    open boolean NOT NULL                              -- still to be verified or expired
);
CREATE INDEX coupon_due ON coupon (expires_at) WHERE open;

CREATE TABLE till (
    id uuid PRIMARY KEY,
    store uuid NOT NULL REFERENCES store,
    name text NOT NULL CHECK (name <> ''),
    created_at timestamptz NOT NULL
);

CREATE TABLE verification (
    id uuid PRIMARY KEY,
    redemption uuid NOT NULL REFERENCES redemption,
    store uuid NOT NULL REFERENCES store,
    till uuid NOT NULL,
    bill_fen bigint CHECK (bill_fen >= 0),
    discount_fen bigint NOT NULL CHECK (discount_fen >= 0),
    verified_at timestamptz NOT NULL,
    reversed_at timestamptz CHECK (reversed_at >= verified_at),
    CHECK (discount_fen <= bill_fen)
);
CREATE UNIQUE INDEX verification_once ON verification (redemption) WHERE reversed_at IS NULL;
CREATE INDEX verification_store ON verification (store, id);

-- -------------------------------------------------------- lots, settlement
CREATE SEQUENCE lot_block;   -- each lot owns a block of a thousand million serials

CREATE TABLE lot (
    id uuid PRIMARY KEY,
    resident uuid NOT NULL REFERENCES resident,
    record uuid NOT NULL UNIQUE,         -- the activity record: at most one lot
    methodology text NOT NULL,
    methodology_version integer NOT NULL,
    vintage integer NOT NULL,
    city text NOT NULL,
    amount_g bigint NOT NULL CHECK (amount_g BETWEEN 1 AND 1000000000),
    first_serial bigint NOT NULL UNIQUE,
    assigned_g bigint NOT NULL DEFAULT 0,
    credited_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > credited_at),
    CHECK (assigned_g BETWEEN 0 AND amount_g),
    CHECK (first_serial % 1000000000 = 0)
);
CREATE INDEX lot_resident ON lot (resident, expires_at) WHERE assigned_g < amount_g;
CREATE INDEX lot_due ON lot (expires_at) WHERE assigned_g < amount_g;

CREATE TABLE consumption_record (
    id uuid PRIMARY KEY,
    redemption uuid NOT NULL REFERENCES redemption,
    resident uuid NOT NULL REFERENCES resident,
    publisher uuid NOT NULL REFERENCES publisher,
    amount_g bigint NOT NULL CHECK (amount_g > 0),
    captured_at timestamptz NOT NULL,
    settle_after timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'sending', 'recorded', 'unknown', 'rejected', 'dead', 'reversed')),
    attempts integer NOT NULL DEFAULT 0,
    leased_until timestamptz,
    fault text,
    receipt jsonb,
    recorded_at timestamptz,
    CHECK ((state = 'recorded') = (receipt IS NOT NULL))
);
CREATE UNIQUE INDEX consumption_record_once ON consumption_record (redemption) WHERE state <> 'reversed';
CREATE INDEX consumption_record_waiting ON consumption_record (settle_after, id)
    WHERE state IN ('pending', 'sending', 'unknown');

-- What each gram of a lot went to. Ranges never overlap.
CREATE TABLE serial_range (
    id uuid PRIMARY KEY,
    lot uuid NOT NULL REFERENCES lot,
    serials int8range NOT NULL CHECK (NOT isempty(serials) AND lower_inc(serials) AND NOT upper_inc(serials)),
    consumption uuid REFERENCES consumption_record,   -- none: it lapsed
    assigned_at timestamptz NOT NULL,
    CONSTRAINT serial_range_disjoint EXCLUDE USING gist (serials WITH &&)
);
CREATE INDEX serial_range_lot ON serial_range (lot);
CREATE INDEX serial_range_consumption ON serial_range (consumption) WHERE consumption IS NOT NULL;
CREATE TRIGGER serial_range_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON serial_range
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ---------------------------------------------------------------- registry
CREATE TABLE registry_entry (
    id uuid PRIMARY KEY,                 -- the client's id: sending it twice is one entry
    kind text NOT NULL CHECK (kind IN ('issue', 'retire', 'expire', 'transfer')),
    account uuid NOT NULL,               -- issue: to whom; retire, expire: from whom
    counterparty uuid,
    purpose text NOT NULL,
    amount_g bigint NOT NULL CHECK (amount_g > 0),
    serials int8multirange NOT NULL CHECK (NOT isempty(serials)),
    batch jsonb NOT NULL,                -- methodology, version, vintage, city
    recorded_at timestamptz NOT NULL
);
CREATE INDEX registry_entry_account ON registry_entry (account, id);
CREATE TRIGGER registry_entry_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON registry_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
