from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from marketplace.db import sql_migration

ID = "2026_11_24_0006_forecasts"
VERSION = "1.38.0"
DESCRIPTION = "forecasts of offers as they were submitted, and who was tried on an offer"


async def forwards() -> MigrationManager:
    return sql_migration(__file__, app_name="incentives", description=DESCRIPTION)
