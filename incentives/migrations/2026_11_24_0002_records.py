from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from marketplace.db import sql_migration

ID = "2026_11_24_0002_records"
VERSION = "1.38.0"
DESCRIPTION = "records of every shape, and one index for all that is asked of a resident's"


async def forwards() -> MigrationManager:
    return sql_migration(__file__, app_name="incentives", description=DESCRIPTION)
