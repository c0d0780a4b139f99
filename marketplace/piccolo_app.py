"""The tables and migrations of `marketplace`, for Piccolo."""

from __future__ import annotations

from pathlib import Path

from piccolo.conf.apps import AppConfig, table_finder

APP_CONFIG = AppConfig(
    app_name="marketplace",
    migrations_folder_path=str(Path(__file__).parent / "migrations"),
    table_classes=table_finder(["marketplace.tables"]),
    migration_dependencies=[],
)
