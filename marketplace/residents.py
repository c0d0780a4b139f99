"""Residents, and the channel accounts that are theirs by mandate."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID, uuid4

from marketplace import clock, db
from marketplace.errors import NotFound, Refused
from marketplace.ids import new_id


async def create_resident(*, phone: str | None = None, name: str | None = None, city: str = "420100") -> UUID:
    """A new resident, known to the registry under a pseudonym of their own."""
    resident = new_id()
    await db.execute(
        "INSERT INTO resident (id, phone, name, city, registry_account, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        resident, phone, name, city, uuid4(), clock.now(),
    )  # fmt: skip
    return resident


async def linked(riders: Collection[str], *, channel: str) -> dict[str, UUID]:
    """Whose the channel's subjects `riders` are; those nobody has linked are left out."""
    rows = await db.fetch(
        "SELECT subject, resident FROM channel_link WHERE channel = $1 AND subject = ANY($2) AND ended_at IS NULL",
        channel, list(riders),
    )  # fmt: skip
    return {row["subject"]: row["resident"] for row in rows}


async def enrol(riders: Collection[str], *, channel: str) -> dict[str, UUID]:
    """Like `linked`, after making a resident, linked, for each rider that has none."""
    async with db.transaction():
        await db.fetch("SELECT 1 FROM channel WHERE key = $1 FOR NO KEY UPDATE", channel)
        known = await linked(riders, channel=channel)
        unknown = sorted(set(riders) - set(known))
        made, now = [new_id() for _ in unknown], clock.now()
        await db.insert_many(
            "resident",
            ("id", "registry_account", "created_at"),
            [(resident, uuid4(), now) for resident in made],
        )
        await db.insert_many(
            "channel_link",
            ("id", "channel", "subject", "resident", "linked_at"),
            [
                (new_id(), channel, rider, resident, now)
                for rider, resident in zip(unknown, made, strict=True)
            ],
        )
        return known | dict(zip(unknown, made, strict=True))


async def link(*, resident: UUID, channel: str, subject: str) -> UUID:
    """Link a channel account to `resident` by mandate. Raises Refused `already_linked` when somebody has it,
    NotFound when there is no such channel or the resident's account is closed."""
    async with db.transaction():
        if await db.fetch_row("SELECT 1 FROM channel WHERE key = $1 FOR NO KEY UPDATE", channel) is None:
            raise NotFound
        if await linked([subject], channel=channel):
            raise Refused("already_linked")
        open_account = "SELECT 1 FROM resident WHERE id = $1 AND closed_at IS NULL FOR KEY SHARE"
        if await db.fetch_row(open_account, resident) is None:
            raise NotFound
        mandate = new_id()
        await db.execute(
            "INSERT INTO channel_link (id, channel, subject, resident, linked_at) VALUES ($1, $2, $3, $4, $5)",
            mandate, channel, subject, resident, clock.now(),
        )  # fmt: skip
        return mandate


async def end_link(*, resident: UUID, link: UUID) -> None:
    """End one mandate of `resident`; what it brought stays."""
    ended = await db.execute(
        """UPDATE channel_link SET ended_at = greatest($3, linked_at)  -- the clock may have been put back since
           WHERE id = $1 AND resident = $2 AND ended_at IS NULL""",
        link, resident, clock.now(),
    )  # fmt: skip
    if not ended:
        raise NotFound
