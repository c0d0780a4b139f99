-- Limits on what a resident takes of several offers together.

CREATE TABLE shared_limit (
    id uuid PRIMARY KEY,
    publisher uuid REFERENCES publisher,  -- whose limit it is: a publisher's over its own offers,
    campaign uuid REFERENCES campaign,    -- or a campaign's over the offers that it pays for
    whole_campaign boolean NOT NULL,      -- over all of them, those to come too; else over those that are named
    name text NOT NULL CHECK (name <> ''),
    per_resident integer CHECK (per_resident >= 1),
    per_resident_per_day integer CHECK (per_resident_per_day >= 1),
    per_resident_per_week integer CHECK (per_resident_per_week >= 1),
    created_at timestamptz NOT NULL,
    ended_at timestamptz CHECK (ended_at >= created_at),
    CHECK ((publisher IS NULL) <> (campaign IS NULL)),
    CHECK (campaign IS NOT NULL OR NOT whole_campaign),
    CONSTRAINT shared_limit_limits
        CHECK (num_nonnulls(per_resident, per_resident_per_day, per_resident_per_week) >= 1)
);
CREATE INDEX shared_limit_publisher ON shared_limit (publisher, id) WHERE publisher IS NOT NULL;
CREATE INDEX shared_limit_campaign ON shared_limit (campaign, id) WHERE campaign IS NOT NULL;

CREATE TABLE shared_limit_offer (
    shared_limit uuid REFERENCES shared_limit,
    offer uuid REFERENCES offer,
    PRIMARY KEY (shared_limit, offer)
);
CREATE INDEX shared_limit_offer_offer ON shared_limit_offer (offer);

-- A redemption is built from the limits that its process knows of, and requires under the ledger's locks that they are
-- still those in force. Whoever changes a limit moves this number of every offer that it is, or was, over.
ALTER TABLE offer ADD COLUMN limits_revision integer NOT NULL DEFAULT 0;

CREATE FUNCTION campaign_of_offer(offer) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT v.terms #>> '{funding,campaign}' FROM offer_version v WHERE v.offer = $1.id AND v.number = $1.version
$$;

CREATE FUNCTION shared_limit_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE offer o SET limits_revision = o.limits_revision + 1
    WHERE o.id IN (SELECT m.offer FROM shared_limit_offer m WHERE m.shared_limit = NEW.id)
       OR (NEW.campaign IS NOT NULL AND campaign_of_offer(o) = NEW.campaign::text);
    RETURN NULL;
END $$;
CREATE TRIGGER shared_limit_changed AFTER INSERT OR UPDATE ON shared_limit
    FOR EACH ROW EXECUTE FUNCTION shared_limit_changed();

CREATE FUNCTION shared_limit_offer_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'DELETE' AND NOT EXISTS (
        SELECT 1 FROM shared_limit s JOIN offer o ON o.id = NEW.offer
        WHERE s.id = NEW.shared_limit
          AND (o.publisher = s.publisher OR campaign_of_offer(o) = s.campaign::text)
    ) THEN
        RAISE EXCEPTION 'offer % is not of whose limit it is put under', NEW.offer
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'shared_limit_offer_is_own';
    END IF;
    UPDATE offer o SET limits_revision = o.limits_revision + 1 WHERE o.id IN (NEW.offer, OLD.offer);
    RETURN NULL;
END $$;
CREATE TRIGGER shared_limit_offer_changed AFTER INSERT OR UPDATE OR DELETE ON shared_limit_offer
    FOR EACH ROW EXECUTE FUNCTION shared_limit_offer_changed();

-- Counters are named after a limit: it stays whose it is, and a limit that has ended has ended.
CREATE TRIGGER shared_limit_stays_whose_it_is BEFORE UPDATE ON shared_limit FOR EACH ROW
    WHEN ((NEW.id, NEW.publisher, NEW.campaign) IS DISTINCT FROM (OLD.id, OLD.publisher, OLD.campaign)
          OR OLD.ended_at IS NOT NULL)
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER shared_limit_is_kept BEFORE DELETE OR TRUNCATE ON shared_limit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
