"""Uploads: how a file of codes comes in, whole or piece by piece, and how far it has come since.

`receiving` → `received` → `loading` → `loaded`; `failed` when the file turned out to be none, `withdrawn` when its
publisher took it back. What is not loaded yet is kept sealed, so that any process can go on with it after any crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from marketplace import clock, db
from marketplace.errors import FieldError, Invalid, NotFound, Refused
from marketplace.ids import new_id
from marketplace.pools.files import MAX_FILE_BYTES
from marketplace.pools.lines import Line
from marketplace.pools.opening import open_pool
from marketplace.pools.sealing import content_digest, require_the_key, sealed, unsealed

Source = Literal["file", "pasted", "sent", "generated"]
State = Literal["receiving", "received", "loading", "loaded", "failed", "withdrawn"]
LINES_IN_A_PART: Final = 1_000
MAX_OPEN: Final = 10  # uploads of an offer that are not loaded yet
MAX_NAME: Final = 120
LONGEST_VALID_DAYS: Final = 3_660


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """How far an upload has come: `loaded` of its `lines`, of which so many were `added` and so many `refused`.

    `withdrawn` and `lapsed` of the codes added are out of the pool again. `fault` is why it `failed`.
    """

    id: UUID
    offer: UUID
    source: Source
    name: str
    state: State
    fault: str | None
    size_bytes: int
    received_bytes: int
    lines: int
    loaded: int
    added: int
    refused: int
    withdrawn: int
    lapsed: int
    expires_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    exported_at: datetime | None


class LineFault(msgspec.Struct, frozen=True):
    """A line that was not added, and why: `blank`, `invalid`, `repeated`, `formula` or `mangled`."""

    line: int
    fault: str


# ---------------------------------------------------------------- receiving
async def begin(
    *, publisher: UUID, offer: UUID, name: str, size_bytes: int, expires_on: date | None, actor: str
) -> Upload:
    """Begin an upload of `size_bytes`, which are sent with `receive`. Raises as `submit_file`."""
    if not 0 < size_bytes <= MAX_FILE_BYTES:
        raise Invalid(FieldError("size_bytes", "file_too_large" if size_bytes > 0 else "required"))
    expires_at = expires_at_of(expires_on)
    async with db.transaction():
        await open_pool(publisher=publisher, offer=offer)
        upload = await open_upload(
            publisher=publisher, offer=offer, source="file", state="receiving", name=name, size_bytes=size_bytes,
            expires_at=expires_at, actor=actor,
        )  # fmt: skip
        return await upload_of(publisher=publisher, upload=upload)


async def receive(*, publisher: UUID, upload: UUID, offset: int, piece: bytes) -> Upload:
    """Keep `piece`, which begins at `offset` of the file; with its last byte the upload is to be loaded.

    Raises NotFound; Refused `upload_offset_wrong`, with where to go on as `received_bytes`, and
    `upload_not_receiving`; Invalid.
    """
    async with db.transaction():
        await require_the_key()
        row = await db.fetch_row(
            """SELECT state, size_bytes, received_bytes FROM code_upload
               WHERE id = $1 AND publisher = $2 FOR NO KEY UPDATE""",
            upload, publisher,
        )  # fmt: skip
        if row is None:
            raise NotFound
        if row["state"] != "receiving":
            raise Refused("upload_not_receiving")
        if offset != row["received_bytes"]:
            raise Refused("upload_offset_wrong", received_bytes=row["received_bytes"])
        received = offset + len(piece)
        if not piece or received > row["size_bytes"]:
            raise Invalid(FieldError("", "out_of_range"))
        await keep_part(upload, offset + 1, piece)
        await db.execute(
            "UPDATE code_upload SET received_bytes = $2, state = $3 WHERE id = $1",
            upload, received, "received" if received == row["size_bytes"] else "receiving",
        )  # fmt: skip
        return await upload_of(publisher=publisher, upload=upload)


async def submit_file(
    *, publisher: UUID, offer: UUID, source: Source, name: str, content: bytes, lines: Sequence[Line],
    expires_on: date | None, actor: str,
) -> Upload:  # fmt: skip
    """An upload of the file `content`, read as `lines`, to be loaded; the upload that it was before if it was one.

    Raises NotFound, Refused (`offer_has_no_pool`, `too_many_uploads`), Invalid.
    """
    expires_at = expires_at_of(expires_on)
    async with db.transaction():
        await open_pool(publisher=publisher, offer=offer)
        digest = content_digest(offer, content)
        same = await known_as(offer, digest)
        if same is None:
            same = await open_upload(
                publisher=publisher, offer=offer, source=source, state="loading", name=name, size_bytes=len(content),
                expires_at=expires_at, actor=actor,
            )  # fmt: skip
            await keep_lines(same, lines, digest=digest)
        return await upload_of(publisher=publisher, upload=same)


async def open_upload(
    *, publisher: UUID, offer: UUID, source: Source, state: State, actor: str, name: str = "", size_bytes: int = 0,
    expires_at: datetime | None = None, lines: int = 0, prefix: str | None = None, length: int | None = None,
) -> UUID:  # fmt: skip
    """Note down an upload, in the open transaction and under the offer's lock. Raises Refused `too_many_uploads`."""
    await require_the_key()
    waiting = await db.fetch_value(
        """SELECT count(*) FROM code_upload
           WHERE offer = $1 AND state IN ('receiving', 'received', 'loading')""",
        offer,
    )
    if waiting >= MAX_OPEN:
        raise Refused("too_many_uploads")
    upload = new_id()
    shown = "".join(letter for letter in name if letter.isprintable())[:MAX_NAME]
    await db.execute(
        """INSERT INTO code_upload (id, offer, publisher, source, name, state, expires_at, size_bytes, received_bytes,
                                    lines, prefix, length, created_at, created_by)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)""",
        upload, offer, publisher, source, shown, state, expires_at, size_bytes,
        0 if state == "receiving" else size_bytes, lines, prefix, length, clock.now(), actor,
    )  # fmt: skip
    return upload


def expires_at_of(expires_on: date | None) -> datetime | None:
    """24:00 of the day in Shanghai. Raises Invalid for a day that is over, or is none that codes run until."""
    if expires_on is None:
        return None
    today = clock.local_day(clock.now())
    if not 0 <= (expires_on - today).days <= LONGEST_VALID_DAYS:
        raise Invalid(FieldError("expires_on", "out_of_range"))
    return clock.end_of_day(expires_on)


# ---------------------------------------------------------------- what is kept of it
async def known_as(offer: UUID, digest: bytes) -> UUID | None:
    """The upload that brought the same content to the offer."""
    known: UUID | None = await db.fetch_value(
        "SELECT id FROM code_upload WHERE offer = $1 AND digest = $2", offer, digest
    )
    return known


async def keep_part(upload: UUID, number: int, content: bytes) -> None:
    """Seal a part of what is not loaded yet."""
    await db.execute(
        "INSERT INTO code_upload_part (upload, number, sealed) VALUES ($1, $2, $3)",
        upload, number, sealed(content, about=_about(upload, number)),
    )  # fmt: skip


async def keep_lines(upload: UUID, lines: Sequence[Line], *, digest: bytes) -> None:
    """Keep a file's lines to be loaded, batch by batch."""
    for number, first in enumerate(range(0, len(lines), LINES_IN_A_PART), start=1):
        await keep_part(upload, number, msgspec.json.encode(lines[first : first + LINES_IN_A_PART]))
    await db.execute(
        "UPDATE code_upload SET state = 'loading', lines = $2, digest = $3 WHERE id = $1",
        upload, len(lines), digest,
    )  # fmt: skip


async def first_part(upload: UUID) -> list[Line]:
    """Take the next lines to be loaded out of what is kept, in the open transaction; none are left when it is empty."""
    row = await db.fetch_row(
        """DELETE FROM code_upload_part WHERE upload = $1
             AND number = (SELECT min(number) FROM code_upload_part WHERE upload = $1)
           RETURNING number, sealed""",
        upload,
    )
    if row is None:
        return []
    return msgspec.json.decode(unsealed(row["sealed"], about=_about(upload, row["number"])), type=list[Line])


async def received_file(upload: UUID) -> bytes:
    """The file as it was received."""
    rows = await db.fetch(
        "SELECT number, sealed FROM code_upload_part WHERE upload = $1 ORDER BY number", upload
    )
    return b"".join(unsealed(row["sealed"], about=_about(upload, row["number"])) for row in rows)


def _about(upload: UUID, number: int) -> bytes:
    return b"part" + upload.bytes + number.to_bytes(4, "big")


# ---------------------------------------------------------------- reading
async def upload_of(*, publisher: UUID, upload: UUID) -> Upload:
    """An upload of `publisher`. Raises NotFound, for another's too."""
    row = await db.fetch_row("SELECT * FROM code_upload WHERE id = $1 AND publisher = $2", upload, publisher)
    if row is None:
        raise NotFound
    return _upload(row)


async def uploads_of(
    *, publisher: UUID, offer: UUID, limit: int = 20, before: UUID | None = None
) -> list[Upload]:
    """The uploads of an offer of `publisher`, newest first, before the one with the id `before`."""
    rows = await db.fetch(
        """SELECT * FROM code_upload
           WHERE offer = $1 AND publisher = $2 AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4""",
        offer, publisher, before, limit,
    )  # fmt: skip
    return [_upload(row) for row in rows]


def _upload(row: db.Row) -> Upload:
    return Upload(**{name: row[name] for name in Upload.__struct_fields__})


async def faults_of(*, publisher: UUID, upload: UUID, limit: int | None = None) -> list[LineFault]:
    """The lines that were not added, in order; the first `limit` of them."""
    rows = await db.fetch(
        """SELECT f.line, f.fault FROM code_upload_fault f JOIN code_upload u ON u.id = f.upload
           WHERE u.id = $1 AND u.publisher = $2 ORDER BY f.line LIMIT $3""",
        upload, publisher, limit,
    )  # fmt: skip
    return [LineFault(row["line"], row["fault"]) for row in rows]
