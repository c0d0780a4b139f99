from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from marketplace.db import sql_migration

ID = "2026_11_24_0014_supervision"
VERSION = "1.38.0"
DESCRIPTION = "suspensions, claw-backs, operators of a city and their deeds"


async def forwards() -> MigrationManager:
    return sql_migration(__file__, app_name="marketplace", description=DESCRIPTION)
