from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from marketplace.db import sql_migration

ID = "2026_11_24_0008_publishers"
VERSION = "1.38.0"
DESCRIPTION = "publishers that apply, and second factors"


async def forwards() -> MigrationManager:
    return sql_migration(__file__, app_name="marketplace", description=DESCRIPTION)
