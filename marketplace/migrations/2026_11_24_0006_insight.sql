-- What happened when, by publisher: the counts of its dashboard ask for it.
CREATE INDEX redemption_publisher ON redemption (publisher, created_at);
CREATE INDEX redemption_given_back ON redemption (publisher, closed_at) WHERE status IN ('cancelled', 'expired');
CREATE INDEX verification_when ON verification (store, verified_at);
CREATE INDEX verification_reversed ON verification (store, reversed_at) WHERE reversed_at IS NOT NULL;

-- Whoever adds up the past takes what is twenty minutes old for settled, which is longer than a verification can be
-- reversed. What is written about a time before that is noted here, with that time, by the transaction that writes it:
-- by the database's clock at that moment, since the order of commits follows no clock of ours.
CREATE TABLE late_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    publisher uuid NOT NULL,
    since timestamptz NOT NULL
);
CREATE INDEX late_event_publisher ON late_event (publisher);

CREATE FUNCTION note_late_redemption() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO late_event (publisher, since)
    VALUES (NEW.publisher, CASE TG_OP WHEN 'INSERT' THEN NEW.created_at ELSE least(OLD.closed_at, NEW.closed_at) END);
    RETURN NULL;
END $$;
CREATE TRIGGER redemption_made_late AFTER INSERT ON redemption FOR EACH ROW
    WHEN (NEW.created_at < clock_timestamp() - interval '20 minutes')
    EXECUTE FUNCTION note_late_redemption();
CREATE TRIGGER redemption_closed_late AFTER UPDATE ON redemption FOR EACH ROW
    WHEN (least(OLD.closed_at, NEW.closed_at) < clock_timestamp() - interval '20 minutes')
    EXECUTE FUNCTION note_late_redemption();

CREATE FUNCTION note_late_verification() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO late_event (publisher, since) SELECT publisher, NEW.verified_at FROM store WHERE id = NEW.store;
    RETURN NULL;
END $$;
CREATE TRIGGER verification_made_late AFTER INSERT OR UPDATE ON verification FOR EACH ROW
    WHEN (NEW.verified_at < clock_timestamp() - interval '20 minutes')
    EXECUTE FUNCTION note_late_verification();
