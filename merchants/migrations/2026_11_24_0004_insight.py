from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from marketplace.db import sql_migration

ID = "2026_11_24_0004_insight"
VERSION = "1.38.0"
DESCRIPTION = "what a publisher's offers brought, by the hour"


async def forwards() -> MigrationManager:
    return sql_migration(__file__, app_name="merchants", description=DESCRIPTION)
