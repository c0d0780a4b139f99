-- Campaigns that several pay for by shares, for a period, open to some publishers; their alarms and their trail.

ALTER TABLE campaign
    ADD COLUMN status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'paused', 'ended')),
    ADD COLUMN starts_at timestamptz,
    ADD COLUMN ends_at timestamptz,
    ADD COLUMN kinds text[] NOT NULL DEFAULT '{}' CHECK (kinds <@ ARRAY['merchant', 'venue', 'bank']),  -- none: all
    ADD COLUMN cities text[] NOT NULL DEFAULT '{}',                                                     -- none: all
    ADD COLUMN funded_at timestamptz,    -- money came in: from then on the shares stand
    ADD COLUMN alarm_percent smallint NOT NULL DEFAULT 0 CHECK (alarm_percent IN (0, 70, 90, 100)),  -- told last
    ADD CONSTRAINT campaign_period CHECK (ends_at > starts_at);

-- The publishers that may join by name; none: all of those kinds and cities.
CREATE TABLE campaign_publisher (
    campaign uuid REFERENCES campaign,
    publisher uuid REFERENCES publisher,
    PRIMARY KEY (campaign, publisher)
);

CREATE TABLE campaign_funder (
    id uuid PRIMARY KEY,
    campaign uuid NOT NULL REFERENCES campaign,
    position smallint NOT NULL CHECK (position >= 1),
    name text NOT NULL CHECK (name <> ''),
    kind text NOT NULL CHECK (kind IN ('province', 'city', 'merchant', 'bank', 'other')),
    share_bp integer NOT NULL CHECK (share_bp BETWEEN 1 AND 10000),
    UNIQUE (campaign, position),
    UNIQUE (campaign, name)
);
INSERT INTO campaign_funder (id, campaign, position, name, kind, share_bp)
SELECT gen_random_uuid(), id, 1, funder, 'other', 10000 FROM campaign;
UPDATE campaign c SET funded_at = c.created_at
WHERE EXISTS (SELECT 1 FROM ledger_transfer t WHERE t.credit = c.budget_account AND t.credit_limit IS NULL);
ALTER TABLE campaign DROP COLUMN funder;

-- Shares are of the whole, whenever a transaction is over.
CREATE FUNCTION campaign_shares_are_whole() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    whose uuid := CASE WHEN TG_TABLE_NAME = 'campaign' THEN (to_jsonb(NEW) ->> 'id')::uuid
                       ELSE (to_jsonb(coalesce(NEW, OLD)) ->> 'campaign')::uuid END;
BEGIN
    IF (SELECT coalesce(sum(share_bp), 0) FROM campaign_funder WHERE campaign = whose) <> 10000 THEN
        RAISE EXCEPTION 'the shares of campaign % are not of the whole', whose
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'campaign_shares_are_whole';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER campaign_shares_are_whole AFTER INSERT ON campaign
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION campaign_shares_are_whole();
CREATE CONSTRAINT TRIGGER campaign_shares_are_whole AFTER INSERT OR UPDATE OR DELETE ON campaign_funder
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION campaign_shares_are_whole();

-- Once money came in, who pays which share of it stands.
CREATE FUNCTION campaign_shares_stand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM campaign WHERE id = coalesce(NEW.campaign, OLD.campaign) AND funded_at IS NOT NULL) THEN
        RAISE EXCEPTION 'the shares of campaign % stand', coalesce(NEW.campaign, OLD.campaign)
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'campaign_shares_stand';
    END IF;
    RETURN coalesce(NEW, OLD);
END $$;
CREATE TRIGGER campaign_shares_stand BEFORE INSERT OR UPDATE OR DELETE ON campaign_funder
    FOR EACH ROW EXECUTE FUNCTION campaign_shares_stand();
CREATE TRIGGER campaign_funder_is_kept BEFORE TRUNCATE ON campaign_funder
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What has ended has ended, and a budget stays whose it is.
CREATE TRIGGER campaign_stays BEFORE UPDATE ON campaign FOR EACH ROW
    WHEN (OLD.status = 'ended' OR (OLD.funded_at IS NOT NULL AND NEW.funded_at IS DISTINCT FROM OLD.funded_at)
          OR (NEW.id, NEW.budget_account, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.budget_account, OLD.created_at))
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER campaign_is_kept BEFORE DELETE OR TRUNCATE ON campaign
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A redemption is built from how its process knows the campaign, and requires under the ledger's locks that this still
-- is so: the same number tells of it that tells of limits.
CREATE FUNCTION campaign_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE offer o SET limits_revision = o.limits_revision + 1 WHERE campaign_of_offer(o) = NEW.id::text;
    RETURN NULL;
END $$;
CREATE TRIGGER campaign_changed AFTER UPDATE ON campaign FOR EACH ROW
    WHEN ((NEW.status, NEW.starts_at, NEW.ends_at) IS DISTINCT FROM (OLD.status, OLD.starts_at, OLD.ends_at))
    EXECUTE FUNCTION campaign_changed();

-- What happened to a campaign, alarms too.
CREATE TABLE campaign_event (
    id uuid PRIMARY KEY,
    campaign uuid NOT NULL REFERENCES campaign,
    event text NOT NULL CHECK (event <> ''),
    actor text NOT NULL CHECK (actor <> ''),
    facts jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX campaign_event_campaign ON campaign_event (campaign, id);
CREATE TRIGGER campaign_event_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON campaign_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The most that one coupon of these terms can be worth; null where they set no bound.
CREATE FUNCTION face_value_fen(terms jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(terms #>> '{benefit,amount_fen}', terms #>> '{benefit,cap_fen}', terms #>> '{benefit,value_fen}',
                    terms #>> '{benefit,voucher_fen}')::bigint
$$;
