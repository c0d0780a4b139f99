"""The till: a code in, a big answer out, and a way back from a mistake."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect

from marketplace.errors import ChutanError, Invalid, NotFound
from marketplace.publishers import Till, tills
from marketplace.verifications import Verification, last_verification, reverse, verify
from merchants.publishing import require
from web.access import Staff
from web.pages.forms import AnyRequest, hundredths, idempotency_key, typed
from web.pages.rendering import back, page, when, words_of
from web.problems import problem_of
from web.throttle import Throttle

# What a cashier subtracts; a gift or a ticket is handed over, and its value is nobody's discount.
OFF_THE_BILL: Final = frozenset({"cash_coupon", "discount", "transit"})


@get("/publisher/till", include_in_schema=False)
async def till_page(request: AnyRequest, staff: NamedDependency[Staff]) -> Response[str]:
    """The till that was chosen; a choice of tills where there are several and none was chosen."""
    require(staff.role, "verify")
    till = await _chosen(staff, request.query_params.get("till", ""))
    done = None
    if till is not None:
        verification = _id(request.query_params.get("done", ""))
        done = await last_verification(till=till.id, verification=verification) if verification else None
    return await _till(request, staff, till, done=done)


@post("/publisher/till", include_in_schema=False)
async def check(
    request: AnyRequest, staff: NamedDependency[Staff], throttle: NamedDependency[Throttle]
) -> Response[Any]:
    """Verify what was typed or scanned."""
    require(staff.role, "verify")
    form = await typed(request)
    till = await _chosen(staff, form["till"])
    if till is None:
        raise NotFound
    shown = form["code"]
    scanned = shown.startswith("CT.")
    try:
        bill_fen = hundredths(form["bill"], field="bill_fen")
        key = idempotency_key(form, principal=f"staff:{staff.id}", operation="verify",
                              says=f"{till.id} {shown} {bill_fen}")  # fmt: skip
        async with throttle.guessing(till.id):
            verified = await verify(till=till.id, code=None if scanned else shown, token=shown if scanned else None,
                                    bill_fen=bill_fen, key=key)  # fmt: skip
    except ChutanError as refused:
        return await _till(request, staff, till, refusal=refused, typed={"code": shown, "bill": form["bill"]})
    return back(f"/publisher/till?till={till.id}&done={verified['id']}")


@post("/publisher/till/reverse", include_in_schema=False, status_code=303)
async def undo(request: AnyRequest, staff: NamedDependency[Staff]) -> Redirect:
    """Reverse a verification of this till's store."""
    require(staff.role, "verify")
    form = await typed(request)
    till, verification = await _chosen(staff, form["till"]), _id(form["verification"])
    if till is None or verification is None:
        raise NotFound
    key = idempotency_key(
        form, principal=f"staff:{staff.id}", operation="reverse", says=f"{till.id} {verification}"
    )
    place = f"/publisher/till?till={till.id}&done={verification}"
    try:
        await reverse(till=till.id, verification=verification, key=key)
    except ChutanError as refused:
        return back(place, refused=refused)
    return back(place)


async def _till(
    request: AnyRequest, staff: Staff, till: Till | None, *, done: Verification | None = None,
    refusal: ChutanError | None = None, typed: dict[str, str] | None = None,
) -> Response[str]:  # fmt: skip
    words = words_of(request)
    errors = words.errors(refusal.errors) if isinstance(refusal, Invalid) else {}
    last = await last_verification(till=till.id) if till is not None else None
    return await page(
        request, "publisher/till.html", area="publisher", status=problem_of(refusal).status if refusal else 200,
        till=till, tills=await tills(publisher=staff.publisher),
        done=_shown(done), last=_shown(last) if last and last.reversible else None,
        refusal=words.refusal(refusal) if refusal and not errors else None,
        errors=errors, typed=typed or {"code": "", "bill": ""},
    )  # fmt: skip


def _shown(verification: Verification | None) -> dict[str, Any] | None:
    if verification is None:
        return None
    return {"id": str(verification.id), "title": verification.title, "discount_fen": verification.discount_fen,
            "off_the_bill": verification.kind in OFF_THE_BILL,
            "at": when(verification.verified_at), "reversed": verification.reversed_at is not None}  # fmt: skip


async def _chosen(staff: Staff, till: str) -> Till | None:
    own = await tills(publisher=staff.publisher)
    if not till:
        return own[0] if len(own) == 1 else None
    found = [one for one in own if str(one.id) == till]
    if not found:
        raise NotFound
    return found[0]


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


HANDLERS = [till_page, check, undo]
