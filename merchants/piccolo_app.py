"""The tables and migrations of `merchants`, for Piccolo."""

from __future__ import annotations

from pathlib import Path

from piccolo.conf.apps import AppConfig, table_finder

APP_CONFIG = AppConfig(
    app_name="merchants",
    migrations_folder_path=str(Path(__file__).parent / "migrations"),
    table_classes=table_finder(["merchants.tables"]),
    migration_dependencies=["marketplace.piccolo_app"],
)
