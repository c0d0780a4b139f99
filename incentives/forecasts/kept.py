"""The forecast that an offer was submitted with, kept so that what came of it can be held against it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import msgspec
import structlog

from incentives.forecasts.forecasting import Forecast, forecast
from marketplace import clock, db
from marketplace.errors import ChutanError, NotFound

_AT_ONCE: Final = 10


async def kept_forecast(offer: UUID, *, publisher: UUID | None = None) -> Forecast:
    """The latest forecast that `offer` was submitted with, by day. Raises NotFound: another's, or none was made."""
    row = await db.fetch_row(
        """SELECT f.forecast FROM offer_forecast f JOIN offer o ON o.id = f.offer
           WHERE f.offer = $1 AND ($2::uuid IS NULL OR o.publisher = $2) ORDER BY f.created_at DESC LIMIT 1""",
        offer, publisher,
    )  # fmt: skip
    if row is None:
        raise NotFound
    return msgspec.convert(row["forecast"], Forecast)


async def foresee_waiting() -> int:
    """Make the forecast of each offer that was submitted and has none yet; answers how many. One that cannot be made
    holds up no other, and is tried again the next time."""
    made = 0
    for row in await db.fetch(
        """SELECT o.id FROM offer o JOIN offer_version v ON v.offer = o.id AND v.number = o.version
           WHERE o.status = 'submitted' AND NOT EXISTS (SELECT 1 FROM offer_forecast f WHERE f.offer_version = v.id)
           ORDER BY o.id LIMIT $1""",
        _AT_ONCE,
    ):  # fmt: skip
        try:
            await keep(await forecast(row["id"]))
            made += 1
        except (ChutanError, OSError) as error:
            structlog.get_logger("forecasts").warning("forecast_failed", error=type(error).__name__)
    return made


async def keep(made: Forecast) -> None:
    """Keep a forecast of terms that have none: the first one stays."""
    await db.execute(
        """INSERT INTO offer_forecast (offer_version, offer, seed, forecast, created_at) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT DO NOTHING""",
        made.version, made.offer, made.seed, made, clock.now(),
    )  # fmt: skip


async def offer_title(offer: UUID, *, publisher: UUID | None = None) -> str:
    """What the offer is called, empty for a draft without a title. Raises NotFound: another's is not there."""
    row = await db.fetch_row(
        "SELECT title FROM offer WHERE id = $1 AND ($2::uuid IS NULL OR publisher = $2)", offer, publisher
    )
    if row is None:
        raise NotFound
    title: str = row["title"]
    return title
