from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from marketplace.db import sql_migration

ID = "2026_11_24_0003_webhooks"
VERSION = "1.38.0"
DESCRIPTION = "webhooks, and API clients of publishers"


async def forwards() -> MigrationManager:
    return sql_migration(__file__, app_name="merchants", description=DESCRIPTION)
