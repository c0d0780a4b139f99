"""The pool of an offer of codes: how full it is, what fills it, and how far each upload has come."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date
from typing import Any, Final
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from marketplace import pools
from marketplace.errors import ChutanError, FieldError, Invalid
from marketplace.offers.catalogue import publisher_offer
from marketplace.offers.view import OfferView
from marketplace.pools.files import MAX_FILE_BYTES, read
from marketplace.pools.generation import LENGTHS, MAX_PREFIX, export
from marketplace.pools.loading import load
from merchants.publishing import may, require
from web.access import Staff
from web.csv_answer import csv_answer
from web.incoming import BODY_LIMIT_BYTES
from web.pages.forms import AnyRequest, Typed, idempotency_key, is_htmx, typed
from web.pages.rendering import Words, back, page, when_it_ends, words_of

SMALL: Final = 2_000  # lines that are loaded before the answer: whoever pastes a few sees them at once
FAULTS_SHOWN: Final = 100
_FORM_BYTES: Final = MAX_FILE_BYTES + BODY_LIMIT_BYTES  # a file that is too large is told so at its field
_MOVING: Final = frozenset({"received", "loading"})


@get("/publisher/offers/{offer_id:uuid}/codes", include_in_schema=False)
async def pool(request: AnyRequest, staff: NamedDependency[Staff], offer_id: FromPath[UUID]) -> Response[str]:
    """The pool, its uploads, and the ways to fill it."""
    require(staff.role, "read_offers")
    offer = await publisher_offer(publisher=staff.publisher, offer=offer_id)
    return await _pool_page(request, staff, offer)


@post(
    "/publisher/offers/{offer_id:uuid}/codes", include_in_schema=False, status_code=200,
    request_max_body_size=_FORM_BYTES,
)  # fmt: skip
async def fill(request: AnyRequest, staff: NamedDependency[Staff], offer_id: FromPath[UUID]) -> Response[Any]:
    """Upload a file or pasted lines, and go on to where they are seen to be loaded."""
    require(staff.role, "publish")
    form = await typed(request)
    offer = await publisher_offer(publisher=staff.publisher, offer=offer_id)
    file, name = await form.file("file"), form.file_name("file")
    field = "file" if file else "codes"
    try:
        expires_on = _day(form["expires_on"])
        content = file or form["codes"].encode()
        lines = await asyncio.to_thread(read, content, name=name)
        upload = await pools.submit_file(
            publisher=staff.publisher, offer=offer_id, source="file" if file else "pasted", name=name,
            content=content, lines=lines, expires_on=expires_on, actor=f"staff:{staff.id}",
        )  # fmt: skip
    except Invalid as wrong:
        errors = [FieldError(field if name == "file" else name, code) for name, code in wrong.errors]
        return await _pool_page(request, staff, offer, form=form, wrong=Invalid(*errors))
    except ChutanError as refused:
        return back(_place(offer_id), refused=refused)
    if upload.lines <= SMALL:
        await load(upload.id)
    return back(f"/publisher/uploads/{upload.id}")


@post("/publisher/offers/{offer_id:uuid}/codes/generate", include_in_schema=False)
async def generate(
    request: AnyRequest, staff: NamedDependency[Staff], offer_id: FromPath[UUID]
) -> Response[Any]:
    """Have codes made."""
    require(staff.role, "publish")
    form = await typed(request)
    offer = await publisher_offer(publisher=staff.publisher, offer=offer_id)
    says = "\n".join(form[name] for name in ("prefix", "length", "count", "expires_on"))
    try:
        upload = await pools.generate(
            publisher=staff.publisher, offer=offer_id, prefix=form["prefix"], length=_whole(form, "length"),
            count=_whole(form, "count"), expires_on=_day(form["expires_on"]), actor=f"staff:{staff.id}",
            key=idempotency_key(form, principal=f"staff:{staff.id}", operation="generate codes",
                                says=f"{offer_id}\n{says}"),
        )  # fmt: skip
    except Invalid as wrong:
        errors = [
            FieldError("made_expires_on" if name == "expires_on" else name, code)
            for name, code in wrong.errors
        ]
        return await _pool_page(request, staff, offer, form=form, wrong=Invalid(*errors))
    except ChutanError as refused:
        return back(_place(offer_id), refused=refused)
    if upload.lines <= SMALL:
        await load(upload.id)
    return back(f"/publisher/uploads/{upload.id}")


@post("/publisher/offers/{offer_id:uuid}/codes/alarm", include_in_schema=False)
async def alarm(
    request: AnyRequest, staff: NamedDependency[Staff], offer_id: FromPath[UUID]
) -> Response[Any]:
    """Say at how many codes left to be told."""
    require(staff.role, "publish")
    form = await typed(request)
    offer = await publisher_offer(publisher=staff.publisher, offer=offer_id)
    try:
        await pools.set_alarm(publisher=staff.publisher, offer=offer_id, alarm_at=_whole(form, "alarm_at"))
    except Invalid as wrong:
        return await _pool_page(request, staff, offer, form=form, wrong=wrong)
    except ChutanError as refused:
        return back(_place(offer_id), refused=refused)
    return back(_place(offer_id))


@get("/publisher/uploads/{upload_id:uuid}", include_in_schema=False)
async def progress(
    request: AnyRequest, staff: NamedDependency[Staff], upload_id: FromPath[UUID]
) -> Response[str]:
    """How far an upload has come; while it moves, the page asks again by itself. htmx gets the part alone."""
    require(staff.role, "read_offers")
    upload = await pools.upload_of(publisher=staff.publisher, upload=upload_id)
    offer = await publisher_offer(publisher=staff.publisher, offer=upload.offer)
    words = words_of(request)
    faults = await pools.faults_of(publisher=staff.publisher, upload=upload_id, limit=FAULTS_SHOWN)
    return await page(
        request, "parts/upload.html" if is_htmx(request) else "publisher/upload.html", area="publisher",
        offer_title=offer.title or words("offer.untitled"), place=_place(upload.offer),
        may_publish=may(staff.role, "publish"), upload=_shown(words, upload), moving=upload.state in _MOVING,
        faults=[(one.line, words(f"pool.refused.{one.fault}")) for one in faults],
        more=upload.refused - len(faults),
    )  # fmt: skip


@get("/publisher/uploads/{upload_id:uuid}/report", include_in_schema=False)
async def report(
    request: AnyRequest, staff: NamedDependency[Staff], upload_id: FromPath[UUID]
) -> Response[bytes]:
    """The lines that were not added, all of them, as a file."""
    require(staff.role, "read_offers")
    await pools.upload_of(publisher=staff.publisher, upload=upload_id)
    words = words_of(request)
    faults = await pools.faults_of(publisher=staff.publisher, upload=upload_id)
    return csv_answer(
        f"report-{upload_id}.csv", (words("upload.line"), words("upload.why")),
        [(one.line, words(f"pool.refused.{one.fault}")) for one in faults],
    )  # fmt: skip


@post("/publisher/uploads/{upload_id:uuid}/withdraw", include_in_schema=False, status_code=303)
async def withdraw(staff: NamedDependency[Staff], upload_id: FromPath[UUID]) -> Redirect:
    """Take back what nobody has of it."""
    require(staff.role, "publish")
    await pools.withdraw(publisher=staff.publisher, upload=upload_id)
    return back(f"/publisher/uploads/{upload_id}")


@post("/publisher/uploads/{upload_id:uuid}/export", include_in_schema=False, status_code=200)
async def hand_over(
    request: AnyRequest, staff: NamedDependency[Staff], upload_id: FromPath[UUID]
) -> Response[Any]:
    """Generated codes for the shop's own system: once."""
    require(staff.role, "publish")
    try:
        codes = await export(publisher=staff.publisher, upload=upload_id, actor=f"staff:{staff.id}")
    except ChutanError as refused:
        return back(f"/publisher/uploads/{upload_id}", refused=refused)
    return csv_answer(
        f"codes-{upload_id}.csv", (words_of(request)("upload.code"),), [(code,) for code in codes]
    )


# ---------------------------------------------------------------- what is shown
async def _pool_page(
    request: AnyRequest, staff: Staff, offer: OfferView, *, form: Typed | None = None, wrong: Invalid | None = None
) -> Response[str]:  # fmt: skip
    words = words_of(request)
    found = await pools.pool_of(offer.id)
    uploads = await pools.uploads_of(publisher=staff.publisher, offer=offer.id, limit=50)
    return await page(
        request, "publisher/codes.html", area="publisher", status=400 if wrong else 200,
        offer_title=offer.title or words("offer.untitled"), offer_place=f"/publisher/offers/{offer.id}",
        place=_place(offer.id), is_code=offer.kind == "code",
        may_add=may(staff.role, "publish") and offer.status != "ended" and offer.kind == "code",
        pool=found, low=found.low and bool(uploads), uploads=[_shown(words, one) for one in uploads],
        typed=_typed(form, found), errors=words.errors(wrong.errors) if wrong else {},
        lengths=[(str(length), str(length)) for length in LENGTHS], max_prefix=MAX_PREFIX,
    )  # fmt: skip


def _typed(form: Typed | None, pool: pools.Pool) -> dict[str, str]:
    fields = {"codes": "", "expires_on": "", "prefix": "", "length": str(LENGTHS[0]), "count": "",
              "alarm_at": str(pool.alarm_at)}  # fmt: skip
    given = {} if form is None else form.values()
    return {name: given.get(name, value) for name, value in fields.items()}


def _shown(words: Words, upload: pools.Upload) -> Mapping[str, Any]:
    name = upload.name if upload.source == "file" and upload.name else words(f"upload.source.{upload.source}")
    return {
        "id": str(upload.id), "name": name, "state": upload.state, "state_words": words(f"upload.state.{upload.state}"),
        "lines": upload.lines, "loaded": upload.loaded, "added": upload.added, "refused": upload.refused,
        "out": upload.withdrawn + upload.lapsed, "created_at": upload.created_at,
        "expires": when_it_ends(upload.expires_at),
        "fault": words.errors([FieldError("file", upload.fault)])["file"] if upload.fault else None,
        "may_export": upload.source == "generated" and upload.exported_at is None and upload.state == "loaded",
        "exported_at": upload.exported_at,
        "may_withdraw": upload.state not in ("withdrawn", "failed"),
    }  # fmt: skip


def _place(offer: UUID) -> str:
    return f"/publisher/offers/{offer}/codes"


def _day(given: str) -> date | None:
    if not given:
        return None
    try:
        return date.fromisoformat(given)
    except ValueError as error:
        raise Invalid(FieldError("expires_on", "invalid")) from error


def _whole(form: Typed, field: str) -> int:
    given = form[field].replace(",", "").replace("，", "")
    if not given.isdecimal() or len(given) > 9:
        raise Invalid(FieldError(field, "not_whole" if given else "required"))
    return int(given)


HANDLERS = [pool, fill, generate, alarm, progress, report, withdraw, hand_over]
