-- Who a resident is: persons, what happened to their accounts, and accounts that were closed.

-- A digest of the key under which persons are hashed: another key would take each of them for somebody new.
ALTER TABLE installation ADD COLUMN person_key_digest bytea CHECK (length(person_key_digest) = 32);

ALTER TABLE resident
    ADD COLUMN last_sign_in_at timestamptz,
    ADD COLUMN woken_at timestamptz,     -- the latest sign-in that came after a long silence
    ADD COLUMN closed_at timestamptz,    -- its phone went to the older account of the same person
    ADD CONSTRAINT resident_closed_is_nobodys CHECK (closed_at IS NULL OR (phone IS NULL AND person_hash IS NULL));

-- When they signed in was not kept until now, so that nobody's silence begins earlier.
UPDATE resident SET last_sign_in_at = now() WHERE phone IS NOT NULL;

CREATE TABLE identity_event (
    id uuid PRIMARY KEY,
    resident uuid NOT NULL REFERENCES resident,
    event text NOT NULL CHECK (event IN (
        'verified',    -- the account is a person's from now on
        'confirmed',   -- its person came back after a long silence
        'recovered',   -- its person brought another phone
        'disowned',    -- the phone's holder is another person: the phone was taken away
        'closed')),    -- its phone went to the person's older account
    created_at timestamptz NOT NULL
);
CREATE INDEX identity_event_resident ON identity_event (resident, id);
CREATE TRIGGER identity_event_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON identity_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A verified account stays its person's, and a closed one stays closed.
CREATE FUNCTION resident_guard_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.person_hash IS NOT NULL AND NEW.person_hash IS DISTINCT FROM OLD.person_hash THEN
        RAISE EXCEPTION 'resident % is somebody already', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'resident_person_stays';
    END IF;
    IF OLD.closed_at IS NOT NULL AND NEW.closed_at IS DISTINCT FROM OLD.closed_at THEN
        RAISE EXCEPTION 'resident % is closed', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'resident_closed_stays';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER resident_guard_person BEFORE UPDATE OF person_hash, closed_at ON resident
    FOR EACH ROW EXECUTE FUNCTION resident_guard_person();

-- Whoever is verified or closed has it in the trail when the transaction ends.
CREATE FUNCTION resident_has_a_trail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.person_hash IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM identity_event WHERE resident = NEW.id AND event = 'verified'))
        OR (NEW.closed_at IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM identity_event WHERE resident = NEW.id AND event = 'closed')) THEN
        RAISE EXCEPTION 'resident % changed without a trail', NEW.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'resident_has_a_trail';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER resident_has_a_trail AFTER INSERT OR UPDATE OF person_hash, closed_at ON resident
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.person_hash IS NOT NULL OR NEW.closed_at IS NOT NULL)
    EXECUTE FUNCTION resident_has_a_trail();

-- Nothing comes to a closed account. The foreign key's lock on the resident is waited for first, since triggers of one
-- kind fire by name ("RI_..." before these) and those of rows before those of statements.
CREATE FUNCTION resident_is_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM added a JOIN resident r ON r.id = a.resident WHERE r.closed_at IS NOT NULL) THEN
        RAISE EXCEPTION 'the account is closed'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'resident_is_open';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER lot_resident_is_open AFTER INSERT ON lot
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION resident_is_open();
CREATE TRIGGER channel_link_resident_is_open AFTER INSERT ON channel_link
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION resident_is_open();
