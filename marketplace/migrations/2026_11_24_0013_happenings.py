from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from marketplace.db import sql_migration

ID = "2026_11_24_0013_happenings"
VERSION = "1.38.0"
DESCRIPTION = "what happened when, for whoever is told of it; publishers' API clients"


async def forwards() -> MigrationManager:
    return sql_migration(__file__, app_name="marketplace", description=DESCRIPTION)
