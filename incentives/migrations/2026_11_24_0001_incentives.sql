CREATE TABLE activity_record (
    id uuid PRIMARY KEY,
    channel text NOT NULL REFERENCES channel,
    source_id text NOT NULL CHECK (length(source_id) BETWEEN 1 AND 128),
    resident uuid NOT NULL REFERENCES resident,
    methodology text NOT NULL,
    methodology_version integer NOT NULL,
    factor text NOT NULL,                -- as it was applied, with its unit
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    day date NOT NULL,                   -- of started_at in the record's own time zone
    quantity numeric NOT NULL,           -- in the methodology's unit
    outcome text NOT NULL,               -- credited, capped, or why it was refused
    amount_g bigint NOT NULL CHECK (amount_g >= 0),
    received_at timestamptz NOT NULL,
    UNIQUE (channel, source_id),         -- one record of a channel pays once, for ever
    CHECK ((outcome IN ('credited', 'capped')) OR amount_g = 0)
);
CREATE INDEX activity_record_resident ON activity_record (resident, methodology, started_at);
CREATE INDEX activity_record_day ON activity_record (resident, methodology, day);
CREATE TRIGGER activity_record_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON activity_record
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
