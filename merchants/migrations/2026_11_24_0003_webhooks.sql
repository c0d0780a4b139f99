-- Where a publisher is told what happened, of which kinds, and the secrets that sign it.
CREATE TABLE webhook_endpoint (
    id uuid PRIMARY KEY,
    publisher uuid NOT NULL REFERENCES publisher,
    url text NOT NULL CHECK (url ~ '^https?://[!-~]+$' AND length(url) <= 500),
    description text NOT NULL CHECK (length(description) <= 100),
    events text[] NOT NULL CHECK (cardinality(events) >= 1),
    enabled boolean NOT NULL,
    disabled_because text CHECK (disabled_because IN ('gone', 'failing')),  -- none where its publisher did it
    secret bytea NOT NULL,               -- sealed, as the one before it, which signs too for a while
    old_secret bytea,
    old_secret_until timestamptz,
    created_at timestamptz NOT NULL,
    failing_since timestamptz,           -- of the first failure after which nothing arrived
    resting_until timestamptz,           -- it asked for patience
    leased_until timestamptz,            -- a process is at it
    lease integer NOT NULL DEFAULT 0,    -- which one: it fences late writes off
    deleted_at timestamptz CHECK (deleted_at >= created_at),
    CHECK ((old_secret IS NULL) = (old_secret_until IS NULL)),
    CHECK (NOT enabled OR (disabled_because IS NULL AND deleted_at IS NULL))
);
CREATE INDEX webhook_endpoint_publisher ON webhook_endpoint (publisher, id) WHERE deleted_at IS NULL;
CREATE FUNCTION webhook_endpoint_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.id, OLD.publisher, OLD.created_at) IS DISTINCT FROM (NEW.id, NEW.publisher, NEW.created_at)
        OR (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS DISTINCT FROM OLD.deleted_at) OR NEW.lease < OLD.lease THEN
        RAISE EXCEPTION 'webhook endpoint % stays whose it is', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'webhook_endpoint_stays';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER webhook_endpoint_guard BEFORE UPDATE ON webhook_endpoint
    FOR EACH ROW EXECUTE FUNCTION webhook_endpoint_guard();

-- What happened, once however often it is found.
CREATE TABLE webhook_event (
    id uuid PRIMARY KEY,
    publisher uuid NOT NULL REFERENCES publisher,
    kind text NOT NULL CHECK (kind <> ''),
    source uuid NOT NULL,                -- the row that it was found in
    facts jsonb NOT NULL,
    at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (source, kind)
);
CREATE INDEX webhook_event_publisher ON webhook_event (publisher, at);
CREATE INDEX webhook_event_age ON webhook_event (created_at);
CREATE TRIGGER webhook_event_is_immutable BEFORE UPDATE ON webhook_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- An event on its way to an endpoint: one of each pair, whose id is the message's, however often it is sent.
CREATE TABLE webhook_delivery (
    id uuid PRIMARY KEY,
    endpoint uuid NOT NULL REFERENCES webhook_endpoint,
    event uuid NOT NULL REFERENCES webhook_event ON DELETE CASCADE,
    state text NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    retries integer NOT NULL DEFAULT 0 CHECK (retries BETWEEN 0 AND attempts),  -- failures since it was last begun
    next_at timestamptz,
    created_at timestamptz NOT NULL,
    delivered_at timestamptz,
    UNIQUE (endpoint, event),
    CHECK ((state = 'waiting') = (next_at IS NOT NULL)),
    CHECK (state <> 'delivered' OR delivered_at IS NOT NULL)
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (endpoint, next_at) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_log ON webhook_delivery (endpoint, id);
CREATE INDEX webhook_delivery_event ON webhook_delivery (event);

CREATE TABLE webhook_attempt (
    delivery uuid NOT NULL REFERENCES webhook_delivery ON DELETE CASCADE,
    number integer NOT NULL CHECK (number >= 1),
    at timestamptz NOT NULL,
    duration_ms integer NOT NULL CHECK (duration_ms >= 0),
    status integer CHECK (status BETWEEN 100 AND 999),
    fault text CHECK (fault <> ''),      -- why it did not arrive
    answer text NOT NULL CHECK (length(answer) <= 256),
    PRIMARY KEY (delivery, number),
    CHECK (fault IS NOT NULL OR status BETWEEN 200 AND 299)
);
CREATE TRIGGER webhook_attempt_is_immutable BEFORE UPDATE ON webhook_attempt
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Until when all that happened is found, and until when it will be once every transaction below `next_xid` has ended.
CREATE TABLE webhook_horizon (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    found_until timestamptz NOT NULL,
    next_at timestamptz CHECK (next_at > found_until),
    next_xid xid8,
    CHECK ((next_at IS NULL) = (next_xid IS NULL))
);

-- Offers whose publisher was told that they are sold out, and that still are.
CREATE TABLE webhook_sold_out (
    offer uuid PRIMARY KEY REFERENCES offer
);

-- A program that acts for a publisher, as far as its scopes go.
CREATE TABLE api_client (
    id uuid PRIMARY KEY,
    publisher uuid NOT NULL REFERENCES publisher,
    name text NOT NULL CHECK (name <> '' AND length(name) <= 50),
    scopes text[] NOT NULL CHECK (
        cardinality(scopes) >= 1 AND scopes <@ ARRAY['offers:read', 'offers:write', 'insight:read', 'webhooks']),
    created_by text NOT NULL CHECK (created_by <> ''),
    created_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz CHECK (revoked_at >= created_at)
);
CREATE INDEX api_client_publisher ON api_client (publisher, id) WHERE revoked_at IS NULL;
CREATE FUNCTION api_client_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.id, OLD.publisher, OLD.scopes, OLD.created_by, OLD.created_at)
        IS DISTINCT FROM (NEW.id, NEW.publisher, NEW.scopes, NEW.created_by, NEW.created_at)
        OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at) THEN
        RAISE EXCEPTION 'API client % stays what it is', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'api_client_stays';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER api_client_guard BEFORE UPDATE ON api_client FOR EACH ROW EXECUTE FUNCTION api_client_guard();
CREATE TRIGGER api_client_is_kept BEFORE DELETE OR TRUNCATE ON api_client
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
