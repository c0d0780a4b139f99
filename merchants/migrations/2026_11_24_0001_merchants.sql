CREATE TABLE staff (
    id uuid PRIMARY KEY,
    publisher uuid NOT NULL REFERENCES publisher,
    login text NOT NULL UNIQUE CHECK (login <> ''),
    name text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'manager', 'cashier')),
    created_at timestamptz NOT NULL
);
CREATE INDEX staff_publisher ON staff (publisher);
