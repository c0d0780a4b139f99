from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from marketplace.db import sql_migration

ID = "2026_11_24_0003_batches"
VERSION = "1.38.0"
DESCRIPTION = "groups in batches"


async def forwards() -> MigrationManager:
    return sql_migration(__file__, app_name="marketplace", description=DESCRIPTION)
