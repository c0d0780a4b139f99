"""The till: a code in, a big answer out, and a way back from a mistake. Whole without JavaScript.

With JavaScript the same page sends each code by itself to `check`, keeps what it could not send, and opens without a
network; web/assets/src/till.js is its other half.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect
from litestar.template.base import csrf_token

from marketplace import clock
from marketplace.coupons import looks_like_token
from marketplace.errors import ChutanError, FieldError, Invalid, NotFound
from marketplace.publishers import Till
from marketplace.till_day import Verification, last_verification
from marketplace.verifications import reverse, verify
from web.pages.cashier import Cashier, cashier, id_of
from web.pages.forms import AnyRequest, Typed, hundredths, idempotency_key, typed
from web.pages.rendering import back, page, when, words_of
from web.problems import problem_of
from web.throttle import Throttle


@get("/publisher/till", include_in_schema=False)
async def till_page(request: AnyRequest) -> Response[str]:
    """The till that was chosen; a choice of tills where there are several and none was chosen."""
    who = await cashier(request)
    till = who.till(request.query_params.get("till", ""))
    done = None
    if till is not None and (verification := id_of(request.query_params.get("done", ""))) is not None:
        done = await last_verification(till=till.id, verification=verification)
    return await _till(request, who, till, done=done)


@post("/publisher/till", include_in_schema=False)
async def check(request: AnyRequest, throttle: NamedDependency[Throttle]) -> Response[Any]:
    """Verify what was typed or scanned."""
    who = await cashier(request)
    form = await typed(request)
    till = who.chosen(form["till"])
    try:
        verified = await _verified(form, till, throttle)
    except ChutanError as refused:
        return await _till(
            request, who, till, refusal=refused, typed={"code": form["code"], "bill": form["bill"]}
        )
    return back(f"/publisher/till?till={till.id}&done={verified['id']}")


@post("/publisher/till/checks", include_in_schema=False, status_code=201)
async def check_by_script(request: AnyRequest, throttle: NamedDependency[Throttle]) -> dict[str, Any]:
    """Verify as `check` does, for a page that shows the answer itself; again with the same key, the same answer."""
    who = await cashier(request)
    form = await typed(request)
    till = who.chosen(form["till"])
    verified = await _verified(form, till, throttle)
    done = await last_verification(till=till.id, verification=UUID(verified["id"]))
    assert done is not None
    return {**shown(done), "server_ms": _now_ms()}


@get("/publisher/till/state", include_in_schema=False)
async def state(request: AnyRequest) -> dict[str, Any]:
    """What a page needs that was opened without a network: the server's time, and a token for what it sends."""
    await cashier(request)
    return {"server_ms": _now_ms(), "csrf": csrf_token({"request": request})}


@post("/publisher/till/reverse", include_in_schema=False, status_code=303)
async def undo(request: AnyRequest) -> Redirect:
    """Reverse a verification of this till's store."""
    who = await cashier(request)
    form = await typed(request)
    till, verification = who.chosen(form["till"]), id_of(form["verification"])
    if verification is None:
        raise NotFound
    key = idempotency_key(
        form, principal=f"till:{till.id}", operation="reverse", says=f"{till.id} {verification}"
    )
    place = f"/publisher/till?till={till.id}&done={verification}"
    try:
        await reverse(till=till.id, verification=verification, key=key)
    except ChutanError as refused:
        return back(place, refused=refused)
    return back(place)


async def _verified(form: Typed, till: Till, throttle: Throttle) -> dict[str, Any]:
    """The verification that `form` asks for. Its key is the till's, so that whoever signs in there can send it again.

    Raises as `verify`, and Refused `rate_limited`.
    """
    code = form["code"]
    scanned = looks_like_token(code)
    bill_fen = hundredths(form["bill"], field="bill_fen")
    key = idempotency_key(
        form, principal=f"till:{till.id}", operation="verify", says=f"{till.id} {code} {bill_fen}"
    )
    async with throttle.guessing(till.id):
        return await verify(till=till.id, code=None if scanned else code, token=code if scanned else None,
                            bill_fen=bill_fen, key=key, scanned_at=_instant(form["scanned_at"]))  # fmt: skip


def _instant(text: str) -> datetime | None:
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise Invalid(FieldError("scanned_at", "invalid"))
    return instant


def _now_ms() -> int:
    return int(clock.now().timestamp() * 1000)


async def _till(
    request: AnyRequest, who: Cashier, till: Till | None, *, done: Verification | None = None,
    refusal: ChutanError | None = None, typed: dict[str, str] | None = None,
) -> Response[str]:  # fmt: skip
    words = words_of(request)
    errors = words.errors(refusal.errors) if isinstance(refusal, Invalid) else {}
    last = await last_verification(till=till.id) if till is not None else None
    return await page(
        request, "publisher/till.html", area="publisher", status=problem_of(refusal).status if refusal else 200,
        till=till, tills=who.tills, may_manage=who.may_manage,
        done=shown(done) if done else None, last=shown(last) if last and last.reversible else None,
        refusal=words.refusal(refusal) if refusal and not errors else None,
        errors=errors, typed=typed or {"code": "", "bill": ""},
    )  # fmt: skip


def shown(verification: Verification) -> dict[str, Any]:
    """A verification in words and amounts."""
    one = verification
    return {"id": str(one.id), "title": one.title, "off_the_bill": one.off_the_bill, "bill_fen": one.bill_fen,
            "discount_fen": one.discount_fen, "pays_fen": one.pays_fen, "at": when(one.verified_at),
            "time": when(one.verified_at)[-5:], "reversed": one.reversed_at is not None,
            "reversible": one.reversible}  # fmt: skip


HANDLERS = [till_page, check, check_by_script, state, undo]
