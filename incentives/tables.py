"""The tables of `incentives` as Piccolo's queries see them; the migrations beside hold their constraints."""

from __future__ import annotations

from piccolo.columns import JSONB, UUID, BigInt, Date, Integer, Numeric, Text, Timestamptz
from piccolo.table import Table


class ActivityRecord(Table, tablename="activity_record"):
    id = UUID(primary_key=True, default=None)
    channel = Text(default=None)
    source_id = Text(default=None)
    resident = UUID(default=None)
    methodology = Text(default=None)
    methodology_version = Integer(default=None)
    factor = Text(default=None)
    started_at = Timestamptz(default=None)
    ended_at = Timestamptz(default=None)
    day = Date(default=None)
    quantity = Numeric(default=None)
    outcome = Text(default=None)
    amount_g = BigInt(default=None)
    received_at = Timestamptz(default=None)


class Programme(Table, tablename="programme"):
    key = Text(primary_key=True, default=None)
    name = Text(default=None)
    kind = Text(default=None)
    created_at = Timestamptz(default=None)


class ProgrammeMember(Table, tablename="programme_member"):
    id = UUID(primary_key=True, default=None)
    programme = Text(default=None)
    resident = UUID(default=None)
    joined_at = Timestamptz(default=None)
    ended_at = Timestamptz(null=True, default=None)
    ended_by = Text(null=True, default=None)


class OfferForecast(Table, tablename="offer_forecast"):
    offer_version = UUID(primary_key=True, default=None)
    offer = UUID(default=None)
    seed = BigInt(default=None)
    forecast = JSONB(default=None)
    created_at = Timestamptz(default=None)


class DryRun(Table, tablename="dry_run"):
    id = UUID(primary_key=True, default=None)
    operator = UUID(default=None)
    resident = UUID(default=None)
    offer = UUID(default=None)
    purpose = Text(default=None)
    created_at = Timestamptz(default=None)
