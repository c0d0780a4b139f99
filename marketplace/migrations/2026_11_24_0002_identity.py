from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from marketplace.db import sql_migration

ID = "2026_11_24_0002_identity"
VERSION = "1.38.0"
DESCRIPTION = "who a resident is"


async def forwards() -> MigrationManager:
    return sql_migration(__file__, app_name="marketplace", description=DESCRIPTION)
