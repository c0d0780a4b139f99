-- Pools of codes: sealed at rest, filled by uploads that are resumed, counted by the ledger, watched by an alarm.

-- What the codes of this database are sealed under is known by a digest of the key, from the first code on.
ALTER TABLE installation ADD COLUMN pool_key_digest bytea CHECK (length(pool_key_digest) = 32);

-- What publishers are told of by and by, once each; the effect it is about is in the same transaction.
CREATE TABLE publisher_event (
    id uuid PRIMARY KEY,
    publisher uuid NOT NULL REFERENCES publisher,
    kind text NOT NULL CHECK (kind <> ''),
    subject uuid NOT NULL,               -- what it is about: an offer
    facts jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX publisher_event_publisher ON publisher_event (publisher, id);
CREATE TRIGGER publisher_event_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON publisher_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- One batch of codes on its way into a pool.
CREATE TABLE code_upload (
    id uuid PRIMARY KEY,
    offer uuid NOT NULL,
    publisher uuid NOT NULL,
    source text NOT NULL CHECK (source IN ('file', 'pasted', 'sent', 'generated')),
    name text NOT NULL CHECK (length(name) <= 120),
    state text NOT NULL CHECK (state IN ('receiving', 'received', 'loading', 'loaded', 'failed', 'withdrawn')),
    fault text CHECK (fault <> ''),      -- why it failed
    expires_at timestamptz,              -- of its codes: they are given out until then
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    received_bytes bigint NOT NULL CHECK (received_bytes BETWEEN 0 AND size_bytes),
    digest bytea CHECK (length(digest) = 32),   -- keyed hash of the content: the same again is not loaded again
    prefix text,                         -- of generated codes, and how many letters follow it
    length integer,
    lines integer NOT NULL CHECK (lines >= 0),
    loaded integer NOT NULL DEFAULT 0 CHECK (loaded <= lines),
    added integer NOT NULL DEFAULT 0 CHECK (added >= 0),
    refused integer NOT NULL DEFAULT 0 CHECK (refused >= 0),
    withdrawn integer NOT NULL DEFAULT 0 CHECK (withdrawn >= 0),
    lapsed integer NOT NULL DEFAULT 0 CHECK (lapsed >= 0),
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    leased_until timestamptz,            -- a process is at it
    finished_at timestamptz,
    exported_at timestamptz CHECK (exported_at IS NULL OR source = 'generated'),
    exported_by text CHECK ((exported_by IS NULL) = (exported_at IS NULL)),
    FOREIGN KEY (offer, publisher) REFERENCES offer (id, publisher),
    CHECK (loaded = added + refused),
    CHECK (added >= withdrawn + lapsed),
    CHECK (state <> 'loaded' OR loaded = lines),
    CHECK ((state = 'failed') = (fault IS NOT NULL)),
    CHECK ((source = 'generated') = (prefix IS NOT NULL)),
    CHECK ((prefix IS NULL) = (length IS NULL))
);
CREATE INDEX code_upload_offer ON code_upload (offer, id);
CREATE INDEX code_upload_open ON code_upload (id) WHERE state IN ('receiving', 'received', 'loading');
CREATE UNIQUE INDEX code_upload_same ON code_upload (offer, digest) WHERE digest IS NOT NULL;

-- What is not loaded yet, sealed: the bytes of a file while it is received, then its lines, a batch a row.
CREATE TABLE code_upload_part (
    upload uuid NOT NULL REFERENCES code_upload,
    number integer NOT NULL CHECK (number >= 1),
    sealed bytea NOT NULL,
    PRIMARY KEY (upload, number)
);

-- The lines that were not added, and why.
CREATE TABLE code_upload_fault (
    upload uuid NOT NULL REFERENCES code_upload,
    line integer NOT NULL CHECK (line >= 1),
    fault text NOT NULL CHECK (fault <> ''),
    PRIMARY KEY (upload, line)
);

-- The alarm of an offer's pool: `low` once no more than `alarm_at` codes are left, until there are more again.
CREATE TABLE code_pool (
    offer uuid PRIMARY KEY,
    publisher uuid NOT NULL,
    account uuid NOT NULL,               -- of the ledger: how many codes are left
    alarm_at integer NOT NULL DEFAULT 0 CHECK (alarm_at BETWEEN 0 AND 1000000),
    low boolean NOT NULL DEFAULT true,
    FOREIGN KEY (offer, publisher) REFERENCES offer (id, publisher)
);
CREATE INDEX code_pool_low ON code_pool (publisher) WHERE low;

-- A new table and not a changed one, so that nothing of the readable codes is left in its file.
ALTER TABLE pool_code RENAME TO pool_code_readable;
ALTER TABLE pool_code_readable RENAME CONSTRAINT pool_code_pkey TO pool_code_readable_pkey;
ALTER TABLE pool_code_readable RENAME CONSTRAINT pool_code_redemption_key TO pool_code_readable_redemption_key;
DROP INDEX pool_code_free;
CREATE TABLE pool_code (
    id uuid PRIMARY KEY,
    offer uuid NOT NULL REFERENCES offer,
    upload uuid NOT NULL REFERENCES code_upload,
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),   -- keyed hash of offer and code
    sealed bytea NOT NULL CHECK (length(sealed) > 29),             -- version, nonce and tag, and a code in it
    expires_at timestamptz,
    redemption uuid UNIQUE,              -- who has it; nobody's are free
    CONSTRAINT pool_code_once UNIQUE (offer, fingerprint)
);
CREATE INDEX pool_code_free ON pool_code (offer, expires_at, id) WHERE redemption IS NULL;
CREATE INDEX pool_code_expiring ON pool_code (expires_at, offer) WHERE redemption IS NULL AND expires_at IS NOT NULL;
CREATE INDEX pool_code_upload ON pool_code (upload) WHERE redemption IS NULL;

-- A code stays what it is; a free one is given out once or taken back, one that somebody has is kept.
CREATE FUNCTION pool_code_is_given_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a code is given out once' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER pool_code_is_given_once BEFORE UPDATE ON pool_code FOR EACH ROW
    WHEN (OLD.redemption IS NOT NULL
          OR (NEW.id, NEW.offer, NEW.upload, NEW.fingerprint, NEW.sealed, NEW.expires_at)
             IS DISTINCT FROM (OLD.id, OLD.offer, OLD.upload, OLD.fingerprint, OLD.sealed, OLD.expires_at))
    EXECUTE FUNCTION pool_code_is_given_once();
CREATE TRIGGER pool_code_of_somebody_is_kept BEFORE DELETE ON pool_code FOR EACH ROW
    WHEN (OLD.redemption IS NOT NULL) EXECUTE FUNCTION pool_code_is_given_once();
CREATE TRIGGER pool_code_is_kept BEFORE TRUNCATE ON pool_code FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
