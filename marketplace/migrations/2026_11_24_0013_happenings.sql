-- What happened when: whoever is told of it later finds it in the rows themselves, so that the transactions in which it
-- happens write nothing for them.

-- By publisher and time, where no other index is so already.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_indexes WHERE tablename = 'redemption' AND indexdef LIKE '%(publisher, created_at)') THEN
        CREATE INDEX redemption_of_publisher ON redemption (publisher, created_at);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_indexes WHERE tablename = 'redemption' AND indexdef LIKE '%(publisher, closed_at)%') THEN
        CREATE INDEX redemption_closed ON redemption (publisher, closed_at) WHERE status IN ('cancelled', 'expired');
    END IF;
END $$;
CREATE INDEX offer_event_when ON offer_event (created_at);
CREATE INDEX publisher_event_when ON publisher_event (created_at);

-- The order of commits follows no clock of ours. Who writes about a time more than a minute ago, by the database's clock
-- at that moment, notes that time here: what is earlier than a minute, and of a transaction that has ended, is known then.
CREATE TABLE late_happening (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL
);
CREATE FUNCTION note_late_happening() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO late_happening (at) VALUES ((to_jsonb(NEW) ->> TG_ARGV[0])::timestamptz);
    RETURN NULL;
END $$;
CREATE TRIGGER redemption_happened_late AFTER INSERT ON redemption FOR EACH ROW
    WHEN (NEW.created_at < clock_timestamp() - interval '1 minute') EXECUTE FUNCTION note_late_happening('created_at');
CREATE TRIGGER redemption_closed_late_happening AFTER UPDATE ON redemption FOR EACH ROW
    WHEN (NEW.closed_at < clock_timestamp() - interval '1 minute') EXECUTE FUNCTION note_late_happening('closed_at');
CREATE TRIGGER verification_happened_late AFTER INSERT ON verification FOR EACH ROW
    WHEN (NEW.verified_at < clock_timestamp() - interval '1 minute') EXECUTE FUNCTION note_late_happening('verified_at');
CREATE TRIGGER verification_reversed_late AFTER UPDATE ON verification FOR EACH ROW
    WHEN (NEW.reversed_at < clock_timestamp() - interval '1 minute') EXECUTE FUNCTION note_late_happening('reversed_at');
CREATE TRIGGER offer_event_happened_late AFTER INSERT ON offer_event FOR EACH ROW
    WHEN (NEW.created_at < clock_timestamp() - interval '1 minute') EXECUTE FUNCTION note_late_happening('created_at');
CREATE TRIGGER publisher_event_happened_late AFTER INSERT ON publisher_event FOR EACH ROW
    WHEN (NEW.created_at < clock_timestamp() - interval '1 minute') EXECUTE FUNCTION note_late_happening('created_at');

-- A publisher's API client has a secret, as a cash register does.
ALTER TABLE oauth_client
    DROP CONSTRAINT oauth_client_role_check,
    ADD CONSTRAINT oauth_client_role_check CHECK (role IN ('channel', 'bank', 'till', 'client'));
