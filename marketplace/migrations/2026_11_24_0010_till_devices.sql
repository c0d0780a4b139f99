-- Tills that are a thing somebody can lose: a phone that was paired, a cash register with credentials of its own.

CREATE TABLE till_device (
    till uuid PRIMARY KEY REFERENCES till,
    kind text NOT NULL CHECK (kind IN ('phone', 'register')),
    added_by text NOT NULL CHECK (added_by <> ''),
    added_at timestamptz NOT NULL,
    last_seen_at timestamptz,
    revoked_at timestamptz CHECK (revoked_at >= added_at)
);

-- What was revoked stays so, and is no other thing than it was.
CREATE FUNCTION till_device_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.till, OLD.kind, OLD.added_by, OLD.added_at) IS DISTINCT FROM (NEW.till, NEW.kind, NEW.added_by, NEW.added_at)
        OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at) THEN
        RAISE EXCEPTION 'device % stays what it is', OLD.till
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'till_device_stays';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER till_device_guard BEFORE UPDATE ON till_device FOR EACH ROW EXECUTE FUNCTION till_device_guard();
CREATE TRIGGER till_device_is_kept BEFORE DELETE OR TRUNCATE ON till_device
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A cash register has a secret, as a channel does.
ALTER TABLE oauth_client
    DROP CONSTRAINT oauth_client_role_check,
    ADD CONSTRAINT oauth_client_role_check CHECK (role IN ('channel', 'bank', 'till'));

-- When a till without a network scanned what it sent later.
ALTER TABLE verification
    ADD COLUMN scanned_at timestamptz,
    ADD CONSTRAINT verification_scanned_lately
        CHECK (scanned_at BETWEEN verified_at - interval '1 day' AND verified_at);

-- A store's day at the till.
CREATE INDEX verification_day ON verification (store, verified_at);
