-- A sample of residents by a hash of their id: the first so many of this index.
CREATE INDEX resident_sample ON resident (uuid_hash(id)) WHERE closed_at IS NULL;

-- What was expected of a version of an offer's terms when it was submitted: kept as it was said.
CREATE TABLE offer_forecast (
    offer_version uuid PRIMARY KEY REFERENCES offer_version,
    offer uuid NOT NULL REFERENCES offer,
    seed bigint NOT NULL CHECK (seed >= 0),
    forecast jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX offer_forecast_offer ON offer_forecast (offer, created_at);
CREATE TRIGGER offer_forecast_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON offer_forecast
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Which operator asked whether which resident could take which offer, and why they had to know.
CREATE TABLE dry_run (
    id uuid PRIMARY KEY,
    operator uuid NOT NULL,
    resident uuid NOT NULL REFERENCES resident,
    offer uuid NOT NULL REFERENCES offer,
    purpose text NOT NULL CHECK (length(purpose) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL
);
CREATE INDEX dry_run_resident ON dry_run (resident, id);
CREATE TRIGGER dry_run_is_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON dry_run
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
