"""The tables of `merchants` as Piccolo's queries see them; the migrations beside hold their constraints."""

from __future__ import annotations

from piccolo.columns import JSONB, UUID, Array, BigInt, Boolean, Bytea, Integer, SmallInt, Text, Timestamptz
from piccolo.table import Table


class Staff(Table, tablename="staff"):
    id = UUID(primary_key=True, default=None)
    login = Text(default=None)
    name = Text(default=None)
    password_hash = Text(default=None)
    created_at = Timestamptz(default=None)


class Membership(Table, tablename="membership"):
    id = UUID(primary_key=True, default=None)
    staff = UUID(default=None)
    publisher = UUID(default=None)
    role = Text(default=None)
    created_at = Timestamptz(default=None)
    chosen_at = Timestamptz(null=True, default=None)
    ended_at = Timestamptz(null=True, default=None)


class Invitation(Table, tablename="invitation"):
    id = UUID(primary_key=True, default=None)
    publisher = UUID(default=None)
    role = Text(default=None)
    hash = Bytea(default=None)
    invited_by = UUID(default=None)
    note = Text(default=None)
    created_at = Timestamptz(default=None)
    expires_at = Timestamptz(default=None)
    membership = UUID(null=True, default=None)
    closed_at = Timestamptz(null=True, default=None)


class Application(Table, tablename="application"):
    publisher = UUID(primary_key=True, default=None)
    state = Text(default=None)
    revision = Integer(default=None)
    store = UUID(default=None)
    contact_name = Text(default=None)
    contact_phone = Text(default=None)
    reason = Text(null=True, default=None)
    submitted_at = Timestamptz(default=None)
    decided_at = Timestamptz(null=True, default=None)


class ApplicationEvent(Table, tablename="application_event"):
    id = UUID(primary_key=True, default=None)
    publisher = UUID(default=None)
    event = Text(default=None)
    actor = Text(default=None)
    reason = Text(null=True, default=None)
    created_at = Timestamptz(default=None)


class InsightSeen(Table, tablename="insight_seen"):
    publisher = UUID(primary_key=True, default=None)
    hour = Timestamptz(default=None)
    offer = UUID(default=None)
    exposures = BigInt(default=None)
    details = BigInt(default=None)


class InsightHour(Table, tablename="insight_hour"):
    publisher = UUID(primary_key=True, default=None)
    hour = Timestamptz(default=None)
    offer = UUID(default=None)
    store = UUID(default=None)
    redeemed = Integer(default=None)
    fulfilled = Integer(default=None)
    cancelled = Integer(default=None)
    expired = Integer(default=None)
    verified = Integer(default=None)
    reversed = Integer(default=None)
    returned = Integer(default=None)
    bill_fen = BigInt(default=None)
    discount_fen = BigInt(default=None)


class InsightDay(Table, tablename="insight_day"):
    publisher = UUID(primary_key=True, default=None)
    day = Timestamptz(default=None)
    offer = UUID(default=None)
    store = UUID(default=None)
    redeemed = Integer(default=None)
    fulfilled = Integer(default=None)
    cancelled = Integer(default=None)
    expired = Integer(default=None)
    verified = Integer(default=None)
    reversed = Integer(default=None)
    returned = Integer(default=None)
    bill_fen = BigInt(default=None)
    discount_fen = BigInt(default=None)


class InsightHorizon(Table, tablename="insight_horizon"):
    id = SmallInt(primary_key=True, default=None)
    folded_until = Timestamptz(default=None)
    next_at = Timestamptz(null=True, default=None)


class WebhookEndpoint(Table, tablename="webhook_endpoint"):
    id = UUID(primary_key=True, default=None)
    publisher = UUID(default=None)
    url = Text(default=None)
    description = Text(default=None)
    events = Array(base_column=Text(), default=None)
    enabled = Boolean(default=None)
    disabled_because = Text(null=True, default=None)
    secret = Bytea(default=None)
    old_secret = Bytea(null=True, default=None)
    old_secret_until = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=None)
    failing_since = Timestamptz(null=True, default=None)
    resting_until = Timestamptz(null=True, default=None)
    leased_until = Timestamptz(null=True, default=None)
    lease = Integer(default=None)
    deleted_at = Timestamptz(null=True, default=None)


class WebhookEvent(Table, tablename="webhook_event"):
    id = UUID(primary_key=True, default=None)
    publisher = UUID(default=None)
    kind = Text(default=None)
    source = UUID(default=None)
    facts = JSONB(default=None)
    at = Timestamptz(default=None)
    created_at = Timestamptz(default=None)


class WebhookDelivery(Table, tablename="webhook_delivery"):
    id = UUID(primary_key=True, default=None)
    endpoint = UUID(default=None)
    event = UUID(default=None)
    state = Text(default=None)
    attempts = Integer(default=None)
    retries = Integer(default=None)
    next_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(default=None)
    delivered_at = Timestamptz(null=True, default=None)


class WebhookAttempt(Table, tablename="webhook_attempt"):
    delivery = UUID(primary_key=True, default=None)
    number = Integer(default=None)
    at = Timestamptz(default=None)
    duration_ms = Integer(default=None)
    status = Integer(null=True, default=None)
    fault = Text(null=True, default=None)
    answer = Text(default=None)


class WebhookSoldOut(Table, tablename="webhook_sold_out"):
    offer = UUID(primary_key=True, default=None)


class ApiClient(Table, tablename="api_client"):
    id = UUID(primary_key=True, default=None)
    publisher = UUID(default=None)
    name = Text(default=None)
    scopes = Array(base_column=Text(), default=None)
    created_by = Text(default=None)
    created_at = Timestamptz(default=None)
    last_used_at = Timestamptz(null=True, default=None)
    revoked_at = Timestamptz(null=True, default=None)


class WebhookHorizon(Table, tablename="webhook_horizon"):
    one = Boolean(primary_key=True, default=None)
    found_until = Timestamptz(default=None)
    next_at = Timestamptz(null=True, default=None)
