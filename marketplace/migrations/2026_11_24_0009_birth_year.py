from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from marketplace.db import sql_migration

ID = "2026_11_24_0009_birth_year"
VERSION = "1.38.0"
DESCRIPTION = "the year in which a verified resident was born"


async def forwards() -> MigrationManager:
    return sql_migration(__file__, app_name="marketplace", description=DESCRIPTION)
