"""The tables of `merchants` as Piccolo's queries see them; the migrations beside hold their constraints."""

from __future__ import annotations

from piccolo.columns import UUID, Text, Timestamptz
from piccolo.table import Table


class Staff(Table, tablename="staff"):
    id = UUID(primary_key=True, default=None)
    publisher = UUID(default=None)
    login = Text(default=None)
    name = Text(default=None)
    password_hash = Text(default=None)
    role = Text(default=None)
    created_at = Timestamptz(default=None)
