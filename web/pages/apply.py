"""Applying for a new publisher: the contact's phone is confirmed, then the form is filled in."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency

from marketplace.errors import ChutanError, FieldError, Invalid
from marketplace.identity.otp import CODE_TTL_SECONDS, send_code
from marketplace.identity.passwords import password_fault
from marketplace.identity.phones import masked
from marketplace.identity.sms import SandboxSms, SmsSender
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import Principal, begin_session
from merchants import intake, onboarding
from merchants.staff import Person, act_for
from web.pages.application_form import FIELDS, form_values, told
from web.pages.forms import AnyRequest, Typed, address_of, is_secure, typed
from web.pages.rendering import back, page, words_of
from web.pages.sign_in import acting_by, person_here, signed_in
from web.problems import problem_of

PHONE_COOKIE: Final = "chutan_apply_phone"
INTAKE_COOKIE: Final = "chutan_apply"


@get("/apply", include_in_schema=False)
async def form(
    request: AnyRequest, sms: NamedDependency[SmsSender], store: NamedDependency[EphemeralStore]
) -> Response[str]:
    """Ask for the phone, then for its code, then for all the rest."""
    known = await intake.kept(request.cookies.get(INTAKE_COOKIE, ""), store=store)
    if known is not None:
        return await _whole(request, known)
    phone = "" if "change" in request.query_params else request.cookies.get(PHONE_COOKIE, "")
    return await _phone(request, sms, phone)


@post("/apply/code", include_in_schema=False)
async def send(
    request: AnyRequest, store: NamedDependency[EphemeralStore], sms: NamedDependency[SmsSender]
) -> Response[Any]:
    """Send a code to the phone that was typed."""
    phone = (await typed(request))["phone"]
    try:
        await send_code(phone, address=address_of(request), store=store, sms=sms)
    except ChutanError as error:
        return await _phone(request, sms, "", typed=phone, error=error)
    return back("/apply", _cookie(request, PHONE_COOKIE, phone, max_age=CODE_TTL_SECONDS))


@post("/apply/phone", include_in_schema=False)
async def confirm(
    request: AnyRequest, store: NamedDependency[EphemeralStore], sms: NamedDependency[SmsSender]
) -> Response[Any]:
    """The code that was sent: from here on the phone is theirs."""
    phone, code = request.cookies.get(PHONE_COOKIE, ""), (await typed(request))["code"]
    try:
        token = await intake.begin(phone, code, address=address_of(request), store=store)
    except ChutanError as error:
        return await _phone(request, sms, phone, error=error)
    return back(
        "/apply",
        _cookie(request, INTAKE_COOKIE, token, max_age=intake.KEPT_SECONDS),
        _cookie(request, PHONE_COOKIE, "", max_age=0),
    )


@post("/apply", include_in_schema=False)
async def send_in(request: AnyRequest, store: NamedDependency[EphemeralStore]) -> Response[Any]:
    """Apply, and sign the owner in."""
    token = request.cookies.get(INTAKE_COOKIE, "")
    known = await intake.kept(token, store=store)
    if known is None:
        return back("/apply", _cookie(request, INTAKE_COOKIE, "", max_age=0))
    form, person = await typed(request), await person_here(request)
    if person is None and form["password"]:
        known = await intake.with_password(token, known, form["password"], store=store)
    fault = _password_fault(form, known, person)
    owner = person.id if person is not None else _account(form, known)
    try:
        if fault is not None:
            onboarding.checked_with_account(told(form), owner, fault)
        membership = await onboarding.apply(told(form), phone=known.phone, owner=owner)
    except Invalid as wrong:
        return await _whole(request, known, form=form, wrong=wrong)
    await intake.forget(token, store=store)
    gone = _cookie(request, INTAKE_COOKIE, "", max_age=0)
    if person is not None:
        session = await act_for(person=person.id, membership=membership, store=store)
        return await acting_by(request, session, store, "/publisher/application", gone)
    session = await begin_session(Principal("staff", str(membership)), store=store)
    return await signed_in(request, session, store, "/publisher/application", gone)


def _account(form: Typed, known: intake.Intake) -> onboarding.Owner:
    return onboarding.Owner(login=form["login"].lower(), password_hash=known.password_hash or "")


def _password_fault(form: Typed, known: intake.Intake, person: Person | None) -> FieldError | None:
    """What is wrong with the password, where one is needed or another was typed."""
    needed = person is None and (known.password_hash is None or form["password"] != "")
    return password_fault(form["password"]) if needed else None


async def _phone(
    request: AnyRequest, sms: SmsSender, phone: str, *, typed: str = "", error: ChutanError | None = None
) -> Response[str]:
    words = words_of(request)
    errors = words.errors(error.errors) if isinstance(error, Invalid) else {}
    return await page(
        request, "apply_phone.html", area="publisher", status=problem_of(error).status if error else 200,
        phone=phone, typed=typed, errors=errors,
        sandbox_code=await sms.last_code(phone) if phone and isinstance(sms, SandboxSms) else None,
        refused=words.refusal(error) if error and not errors else None,
    )  # fmt: skip


async def _whole(
    request: AnyRequest, known: intake.Intake, *, form: Typed | None = None, wrong: Invalid | None = None
) -> Response[str]:
    words, person = words_of(request), await person_here(request)
    fields = {name: form[name] for name in FIELDS} if form is not None else {}
    return await page(
        request, "apply.html", area="publisher", status=400 if wrong else 200,
        phone=masked(known.phone), person=person.name if person else None,
        login=form["login"] if form is not None else "", has_password=known.password_hash is not None,
        **form_values(words, fields, wrong),
    )  # fmt: skip


def _cookie(request: AnyRequest, key: str, value: str, *, max_age: int) -> Cookie:
    return Cookie(key=key, value=value, httponly=True, samesite="lax", path="/apply",
                  secure=is_secure(request), max_age=max_age)  # fmt: skip


HANDLERS = [form, send, confirm, send_in]
