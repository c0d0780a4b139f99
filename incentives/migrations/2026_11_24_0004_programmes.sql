-- A city, an employer or an industry platform whose members can be told apart, and who they are.
CREATE TABLE programme (
    key text PRIMARY KEY CHECK (key ~ '^[a-z][a-z0-9-]{1,39}$'),
    name text NOT NULL CHECK (name <> ''),
    kind text NOT NULL CHECK (kind IN ('city', 'employer', 'industry')),
    created_at timestamptz NOT NULL
);

CREATE TABLE programme_member (
    id uuid PRIMARY KEY,
    programme text NOT NULL REFERENCES programme,
    resident uuid NOT NULL REFERENCES resident,
    joined_at timestamptz NOT NULL,
    ended_at timestamptz CHECK (ended_at >= joined_at),
    ended_by text CHECK (ended_by IN ('resident', 'operator')),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
CREATE UNIQUE INDEX programme_member_once ON programme_member (resident, programme) WHERE ended_at IS NULL;
CREATE INDEX programme_member_programme ON programme_member (programme);

-- A membership that ended stays ended; nothing else about one changes.
CREATE FUNCTION programme_member_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.ended_at IS NOT NULL OR (NEW.id, NEW.programme, NEW.resident, NEW.joined_at)
            IS DISTINCT FROM (OLD.id, OLD.programme, OLD.resident, OLD.joined_at) THEN
        RAISE EXCEPTION 'a membership ends once, and nothing else about it changes'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'programme_member_ends_once';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER programme_member_guard BEFORE UPDATE ON programme_member
    FOR EACH ROW EXECUTE FUNCTION programme_member_guard();
CREATE TRIGGER programme_member_is_kept BEFORE DELETE OR TRUNCATE ON programme_member
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER programme_member_resident_is_open AFTER INSERT ON programme_member
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION resident_is_open();
