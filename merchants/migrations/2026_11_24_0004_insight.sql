-- How often an offer was shown in a list, and opened: counted without anybody's name, and good to a few seconds.
CREATE TABLE insight_seen (
    publisher uuid NOT NULL,
    hour timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
    offer uuid NOT NULL REFERENCES offer,
    exposures bigint NOT NULL CHECK (exposures >= 0),
    details bigint NOT NULL CHECK (details >= 0),
    PRIMARY KEY (publisher, hour, offer)
) WITH (fillfactor = 80);

-- What was redeemed and what became of it, added up until the horizon: see merchants/rollup.py.
CREATE TABLE insight_hour (
    publisher uuid NOT NULL,
    hour timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
    offer uuid NOT NULL,
    store uuid NOT NULL,                 -- all zeros: at no store
    redeemed integer NOT NULL CHECK (redeemed >= 0),
    fulfilled integer NOT NULL CHECK (fulfilled BETWEEN 0 AND redeemed),
    cancelled integer NOT NULL CHECK (cancelled >= 0),
    expired integer NOT NULL CHECK (expired >= 0),
    verified integer NOT NULL CHECK (verified >= 0),
    reversed integer NOT NULL CHECK (reversed >= 0),
    returned integer NOT NULL CHECK (returned BETWEEN 0 AND redeemed + verified),
    bill_fen bigint NOT NULL,            -- of verifications, less of reversals
    discount_fen bigint NOT NULL,        -- the same
    PRIMARY KEY (publisher, hour, offer, store)
) WITH (fillfactor = 80);

-- The same by the day as Shanghai counts it, for long periods.
CREATE TABLE insight_day (
    publisher uuid NOT NULL,
    day timestamptz NOT NULL CHECK (day = date_trunc('day', day, 'Asia/Shanghai')),
    offer uuid NOT NULL,
    store uuid NOT NULL,
    redeemed integer NOT NULL CHECK (redeemed >= 0),
    fulfilled integer NOT NULL CHECK (fulfilled BETWEEN 0 AND redeemed),
    cancelled integer NOT NULL CHECK (cancelled >= 0),
    expired integer NOT NULL CHECK (expired >= 0),
    verified integer NOT NULL CHECK (verified >= 0),
    reversed integer NOT NULL CHECK (reversed >= 0),
    returned integer NOT NULL CHECK (returned BETWEEN 0 AND redeemed + verified),
    bill_fen bigint NOT NULL,
    discount_fen bigint NOT NULL,
    PRIMARY KEY (publisher, day, offer, store)
) WITH (fillfactor = 80);

-- Until when all that happened is added up. What is to be next waits until every transaction has ended that might still
-- write about the time before `next_at`: those that had begun to write when it was set have numbers below `next_xid`.
CREATE TABLE insight_horizon (
    id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    folded_until timestamptz NOT NULL,
    next_at timestamptz CHECK (next_at > folded_until),
    next_xid xid8,
    CHECK ((next_at IS NULL) = (next_xid IS NULL))
);
