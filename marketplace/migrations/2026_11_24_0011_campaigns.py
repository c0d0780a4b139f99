from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from marketplace.db import sql_migration

ID = "2026_11_24_0011_campaigns"
VERSION = "1.38.0"
DESCRIPTION = "campaigns of several funders, with a period, an end and alarms"


async def forwards() -> MigrationManager:
    return sql_migration(__file__, app_name="marketplace", description=DESCRIPTION)
