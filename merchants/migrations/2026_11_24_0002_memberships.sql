-- A person of the staff may act for several publishers; a publisher applies before it publishes.

-- Sessions and tokens name a membership, so that those which are out keep the id that they know; the person gets another.
CREATE TABLE membership (
    id uuid PRIMARY KEY,
    staff uuid NOT NULL,
    publisher uuid NOT NULL REFERENCES publisher,
    role text NOT NULL CHECK (role IN ('owner', 'manager', 'cashier')),
    created_at timestamptz NOT NULL,
    chosen_at timestamptz,               -- when the person last chose to act for this publisher
    ended_at timestamptz CHECK (ended_at >= created_at)
);
INSERT INTO membership (id, staff, publisher, role, created_at) SELECT id, gen_random_uuid(), publisher, role, created_at FROM staff;
UPDATE staff s SET id = m.staff FROM membership m WHERE m.id = s.id;
ALTER TABLE staff DROP COLUMN publisher, DROP COLUMN role;
ALTER TABLE membership ADD FOREIGN KEY (staff) REFERENCES staff;
CREATE UNIQUE INDEX membership_once ON membership (staff, publisher) WHERE ended_at IS NULL;
CREATE INDEX membership_publisher ON membership (publisher, id);

-- A membership that has ended stays as it was, and a publisher that has an owner keeps one. The publisher's row is locked
-- first, so that two owners who step down at the same time do it one after the other.
CREATE FUNCTION membership_keeps_an_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.ended_at IS NOT NULL THEN
        RAISE EXCEPTION 'membership % has ended', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'membership_stays_ended';
    END IF;
    PERFORM 1 FROM publisher WHERE id = OLD.publisher FOR NO KEY UPDATE;
    IF OLD.role = 'owner' AND NOT EXISTS (
        SELECT 1 FROM membership WHERE publisher = OLD.publisher AND role = 'owner' AND ended_at IS NULL) THEN
        RAISE EXCEPTION 'publisher % would have no owner', OLD.publisher
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'membership_keeps_an_owner';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER membership_keeps_an_owner AFTER UPDATE OF role, publisher, ended_at OR DELETE ON membership
    FOR EACH ROW EXECUTE FUNCTION membership_keeps_an_owner();

-- A link to join, of which only a digest is kept.
CREATE TABLE invitation (
    id uuid PRIMARY KEY,
    publisher uuid NOT NULL REFERENCES publisher,
    role text NOT NULL CHECK (role IN ('owner', 'manager', 'cashier')),
    hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    invited_by uuid NOT NULL REFERENCES membership,
    note text NOT NULL DEFAULT '',       -- for whom, in the inviter's words
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    membership uuid UNIQUE REFERENCES membership,
    closed_at timestamptz,               -- accepted, or withdrawn
    CHECK (membership IS NULL OR closed_at < expires_at)
);
CREATE INDEX invitation_publisher ON invitation (publisher, id) WHERE closed_at IS NULL;
CREATE FUNCTION invitation_closes_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'invitation % is closed', OLD.id
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'invitation_closes_once';
END $$;
CREATE TRIGGER invitation_closes_once BEFORE UPDATE ON invitation
    FOR EACH ROW WHEN (OLD.closed_at IS NOT NULL) EXECUTE FUNCTION invitation_closes_once();

-- What a publisher asks for before it may publish; what it says of itself stands in the publisher's own row.
CREATE TABLE application (
    publisher uuid PRIMARY KEY REFERENCES publisher,
    state text NOT NULL CHECK (state IN ('submitted', 'returned', 'approved', 'rejected')),
    revision integer NOT NULL DEFAULT 1 CHECK (revision >= 1),  -- how often it was sent
    store uuid NOT NULL REFERENCES store,
    contact_name text NOT NULL CHECK (contact_name <> ''),
    contact_phone text NOT NULL CHECK (contact_phone ~ '^1[3-9][0-9]{9}$'),
    reason text,
    submitted_at timestamptz NOT NULL,
    decided_at timestamptz,
    CHECK ((state = 'submitted') = (decided_at IS NULL)),
    CHECK ((state IN ('returned', 'rejected')) = (reason IS NOT NULL))
);
CREATE INDEX application_waiting ON application (publisher) WHERE state = 'submitted';
CREATE FUNCTION application_guard_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.state, NEW.state) NOT IN (
        ('submitted', 'approved'), ('submitted', 'returned'), ('submitted', 'rejected'), ('returned', 'submitted')) THEN
        RAISE EXCEPTION 'application % does not go from % to %', OLD.publisher, OLD.state, NEW.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'application_guard_state';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER application_guard_state BEFORE UPDATE ON application
    FOR EACH ROW EXECUTE FUNCTION application_guard_state();

-- When the transaction ends the publisher is what its application was answered with.
CREATE FUNCTION application_agrees() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM application a JOIN publisher p ON p.id = a.publisher
        WHERE a.publisher = NEW.publisher AND (
            (a.state IN ('submitted', 'returned') AND p.status IN ('applied', 'closed'))
            OR (a.state = 'approved' AND p.status <> 'applied') OR (a.state = 'rejected' AND p.status = 'closed'))) THEN
        RAISE EXCEPTION 'publisher % is not what its application says', NEW.publisher
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'application_agrees';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER application_agrees AFTER INSERT OR UPDATE ON application
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION application_agrees();

CREATE TABLE application_event (
    id uuid PRIMARY KEY,
    publisher uuid NOT NULL REFERENCES application,
    event text NOT NULL CHECK (event IN ('submitted', 'approved', 'returned', 'rejected')),
    actor text NOT NULL,
    reason text,
    created_at timestamptz NOT NULL
);
CREATE INDEX application_event_publisher ON application_event (publisher, id);
CREATE TRIGGER application_event_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON application_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
