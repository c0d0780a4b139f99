-- Publishers that apply before they publish, and second factors of those who sign in by password.

-- A unified social credit code (GB 32100): the weighted sum of its characters, the check digit's too, is divisible by 31.
CREATE FUNCTION is_licence(number text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT number ~ '^[0-9]{8}[0-9A-HJ-NPQRTUWXY]{10}$' AND (
        SELECT sum(w.weight * (strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', substr(number, w.place::integer, 1)) - 1)) % 31 = 0
        FROM unnest(ARRAY[1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28, 1])
            WITH ORDINALITY AS w (weight, place))
$$;

ALTER TABLE publisher
    ADD COLUMN licence text CHECK (is_licence(licence)),  -- none: made by hand, before there were applications
    DROP CONSTRAINT publisher_status_check,
    ADD CONSTRAINT publisher_status_check CHECK (status IN ('applied', 'active', 'suspended', 'closed'));
CREATE UNIQUE INDEX publisher_licence ON publisher (licence) WHERE status <> 'closed';

CREATE FUNCTION publisher_guard_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.status, NEW.status) NOT IN (
        ('applied', 'active'), ('applied', 'closed'), ('active', 'suspended'), ('active', 'closed'),
        ('suspended', 'active'), ('suspended', 'closed')) THEN
        RAISE EXCEPTION 'publisher % does not go from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'publisher_guard_status';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER publisher_guard_status BEFORE UPDATE OF status ON publisher
    FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION publisher_guard_status();

-- ---------------------------------------------------------- second factors
-- Their holder is a person of a publisher's staff or an operator: the two tables of those who have a password.
CREATE TABLE totp (
    holder uuid PRIMARY KEY,
    role text NOT NULL CHECK (role IN ('staff', 'operator')),
    sealed_secret bytea NOT NULL CHECK (length(sealed_secret) > 28),
    last_step bigint NOT NULL,           -- the latest 30 seconds whose code was used: no code counts twice
    confirmed_at timestamptz NOT NULL
);
CREATE FUNCTION totp_step_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.last_step <= OLD.last_step THEN
        RAISE EXCEPTION 'this code was used'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'totp_step_goes_on';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER totp_step_goes_on BEFORE UPDATE ON totp FOR EACH ROW EXECUTE FUNCTION totp_step_goes_on();

CREATE TABLE recovery_code (
    hash bytea PRIMARY KEY CHECK (length(hash) = 32),
    holder uuid NOT NULL,
    role text NOT NULL CHECK (role IN ('staff', 'operator')),
    created_at timestamptz NOT NULL,
    used_at timestamptz CHECK (used_at >= created_at)
);
CREATE INDEX recovery_code_holder ON recovery_code (holder);
CREATE FUNCTION recovery_code_is_used_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'this code was used'
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'recovery_code_is_used_once';
END $$;
CREATE TRIGGER recovery_code_is_used_once BEFORE UPDATE ON recovery_code
    FOR EACH ROW WHEN (OLD.used_at IS NOT NULL) EXECUTE FUNCTION recovery_code_is_used_once();

CREATE TABLE passkey (
    id uuid PRIMARY KEY,
    holder uuid NOT NULL,
    role text NOT NULL CHECK (role IN ('staff', 'operator')),
    credential_id bytea NOT NULL UNIQUE CHECK (length(credential_id) BETWEEN 1 AND 1023),
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL CHECK (sign_count >= 0),
    site text NOT NULL CHECK (site <> ''),  -- the relying party's id: the name of the host that it was made for
    name text NOT NULL CHECK (name <> ''),
    created_at timestamptz NOT NULL,
    last_used_at timestamptz
);
CREATE INDEX passkey_holder ON passkey (holder, id);
