-- What operators do about publishers, and the trail of who did it.

-- An operator of a city sees and decides what is of that city; one without a city, of the whole province.
ALTER TABLE operator
    ADD COLUMN city text CHECK (city ~ '^42[0-9]{4}$'),
    ADD COLUMN ended_at timestamptz CHECK (ended_at >= created_at);

-- Whoever was removed stays so, and somebody always has the province, where there was somebody. The table is locked, so
-- that two who step down at the same time do it one after the other; the verbs lock it first.
CREATE FUNCTION operator_keeps_the_province() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.ended_at IS NOT NULL THEN
        RAISE EXCEPTION 'operator % was removed', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'operator_stays_removed';
    END IF;
    LOCK TABLE operator IN SHARE ROW EXCLUSIVE MODE;
    IF OLD.city IS NULL AND NOT EXISTS (SELECT 1 FROM operator WHERE city IS NULL AND ended_at IS NULL) THEN
        RAISE EXCEPTION 'nobody would have the province'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'operator_keeps_the_province';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER operator_keeps_the_province AFTER UPDATE OF city, ended_at OR DELETE ON operator
    FOR EACH ROW EXECUTE FUNCTION operator_keeps_the_province();

-- Who did what, when and why: written in the transaction of the deed.
CREATE TABLE operator_deed (
    id uuid PRIMARY KEY,
    actor text NOT NULL CHECK (actor <> ''),
    deed text NOT NULL CHECK (deed ~ '^[a-z][a-z_]{2,39}$'),
    object_kind text NOT NULL CHECK (object_kind ~ '^[a-z][a-z_]{2,19}$'),
    object uuid NOT NULL,
    city text CHECK (city ~ '^42[0-9]{4}$'),  -- whose operators may read it; none: the province's alone
    reason text CHECK (reason <> ''),
    request_id text,                     -- none: done at the command line
    created_at timestamptz NOT NULL
);
CREATE INDEX operator_deed_object ON operator_deed (object, id);
CREATE INDEX operator_deed_city ON operator_deed (city, id);
CREATE TRIGGER operator_deed_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_deed
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ------------------------------------------------------------- suspensions
-- What becomes of the coupons out while a publisher is suspended: they stay good, or are given back. The second goes on
-- behind the suspension, until `gives_back_until` has passed and none is left.
ALTER TABLE publisher
    ADD COLUMN coupons_out text CHECK (coupons_out IN ('kept', 'given_back')),
    ADD COLUMN gives_back_until timestamptz,
    ADD CONSTRAINT publisher_coupons_out CHECK (coupons_out IS NULL OR status IN ('suspended', 'closed')),
    ADD CONSTRAINT publisher_gives_back CHECK (gives_back_until IS NULL OR coupons_out = 'given_back');
CREATE INDEX publisher_giving_back ON publisher (id) WHERE gives_back_until IS NOT NULL;

CREATE TABLE publisher_standing (
    id uuid PRIMARY KEY,
    publisher uuid NOT NULL REFERENCES publisher,
    event text NOT NULL CHECK (event IN ('suspended', 'reinstated', 'closed')),
    coupons_out text CHECK (coupons_out IN ('kept', 'given_back')),
    reason text NOT NULL CHECK (reason <> ''),
    actor text NOT NULL CHECK (actor <> ''),
    created_at timestamptz NOT NULL,
    CHECK ((event = 'suspended') = (coupons_out IS NOT NULL))
);
CREATE INDEX publisher_standing_publisher ON publisher_standing (publisher, id);
CREATE TRIGGER publisher_standing_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON publisher_standing
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What a resident is told about a coupon that somebody else ended.
CREATE TABLE holder_notice (
    redemption uuid PRIMARY KEY REFERENCES redemption,
    resident uuid NOT NULL REFERENCES resident,
    kind text NOT NULL CHECK (kind IN ('given_back', 'clawed_back')),
    amount_g bigint NOT NULL CHECK (amount_g >= 0),
    created_at timestamptz NOT NULL
);
CREATE INDEX holder_notice_resident ON holder_notice (resident, created_at);
CREATE TRIGGER holder_notice_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON holder_notice
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
