"""The tables of `merchants` as Piccolo's queries see them; the migrations beside hold their constraints."""

from __future__ import annotations

from piccolo.columns import UUID, BigInt, Bytea, Integer, SmallInt, Text, Timestamptz
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
