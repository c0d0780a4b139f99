"""Where an offer is in its life, as it is shown: what is stored, and what time and stock make of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

Status = Literal["draft", "submitted", "approved", "rejected", "live", "paused", "ended"]
Shown = Literal["draft", "submitted", "approved", "rejected", "live", "paused", "ended", "sold_out"]

PUBLIC = ("approved", "live", "paused", "ended")


def shown_status(
    status: Status, *, starts_at: datetime | None, ends_at: datetime | None, now: datetime,
    stock_left: int | None = None,
) -> Shown:  # fmt: skip
    """The state that `status` is at `now`: the start instant is inside the window, the end instant is not.

    Nothing needs to run for an approved offer to become live, for a live one to end, or to be sold out.
    """
    if status not in {"approved", "live", "paused"}:
        return status
    if ends_at is not None and ends_at <= now:
        return "ended"
    if status == "paused":
        return "paused"
    if starts_at is not None and starts_at > now:
        return "approved"
    return "sold_out" if stock_left is not None and stock_left <= 0 else "live"
