"""Signing in: residents by a code to their phone, staff and operators by a password. Every sign-in is a new session."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.response import Redirect

from marketplace.errors import ChutanError, Invalid, Refused
from marketplace.identity import persons
from marketplace.identity.otp import CODE_TTL_SECONDS, send_code
from marketplace.identity.passwords import operator_sign_in
from marketplace.identity.realname import RealNames
from marketplace.identity.recency import mark_recent
from marketplace.identity.residents import PROOF_TTL_SECONDS
from marketplace.identity.residents import sign_in as resident_sign_in
from marketplace.identity.second_step import PROOF_TTL_SECONDS as SECOND_STEP_SECONDS
from marketplace.identity.sms import SandboxSms, SmsSender
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import Session, end_session
from merchants.staff import Person, person_of, staff_sign_in
from web.pages.forms import AnyRequest, address_of, is_secure, local_place, typed
from web.pages.real_name import form_values, status_after
from web.pages.rendering import AREAS, back, page, viewer, words_of
from web.sessions import COOKIE, ended_cookie, session_cookie

PHONE_COOKIE = "chutan_phone"
PROOF_COOKIE = "chutan_proof"
SECOND_STEP_COOKIE = "chutan_second_step"


class PasswordSignIn(Protocol):
    """How staff and operators begin a session."""

    def __call__(
        self, login: str, password: str, /, *, address: str, store: EphemeralStore
    ) -> Awaitable[Session]: ...


@get("/sign-in", include_in_schema=False)
async def sign_in_form(request: AnyRequest, sms: NamedDependency[SmsSender]) -> Response[str]:
    """Ask for the phone, or, when a code is on its way to one, for the code."""
    phone = "" if "change" in request.query_params else request.cookies.get(PHONE_COOKIE, "")
    return await page(
        request, "sign_in.html",
        phone=phone, next=next_place(request.query_params.get("next", ""), "/"),
        sandbox_code=await sms.last_code(phone) if phone and isinstance(sms, SandboxSms) else None,
        wrong=_wrong(request),
    )  # fmt: skip


@post("/sign-in/code", include_in_schema=False, status_code=303)
async def send(
    request: AnyRequest, store: NamedDependency[EphemeralStore], sms: NamedDependency[SmsSender]
) -> Redirect:
    """Send a code to the phone that was typed."""
    form = await typed(request)
    phone, place = form["phone"], f"/sign-in?next={next_place(form['next'], '/')}"
    try:
        await send_code(phone, address=address_of(request), store=store, sms=sms)
    except Invalid:
        return back(place + "&wrong=phone")
    except Refused as refused:
        return back(place, refused=refused)
    return back(place, _kept(request, PHONE_COOKIE, phone, max_age=CODE_TTL_SECONDS))


@post("/sign-in", include_in_schema=False, status_code=303)
async def sign_in(request: AnyRequest, store: NamedDependency[EphemeralStore]) -> Redirect:
    """Sign the resident in by the code."""
    form = await typed(request)
    place = next_place(form["next"], "/")
    try:
        session, _ = await resident_sign_in(
            request.cookies.get(PHONE_COOKIE, ""), form["code"], address=address_of(request), store=store
        )
    except ChutanError as error:
        if error.code != "identity_check_required":
            return _refused(f"/sign-in?next={place}", error, wrong="code")
        proof = _kept(request, PROOF_COOKIE, error.facts["proof"], max_age=PROOF_TTL_SECONDS)
        return back(f"/sign-in/identity?next={place}", proof, _kept(request, PHONE_COOKIE, "", max_age=0))
    return await signed_in(request, session, store, place, _kept(request, PHONE_COOKIE, "", max_age=0))


@get("/sign-in/identity", include_in_schema=False)
async def identity_form(
    request: AnyRequest, real_names: NamedDependency[RealNames]
) -> Response[str] | Redirect:
    """Ask who it is, since the account was not signed in to for a long time."""
    if not request.cookies.get(PROOF_COOKIE):
        return back("/sign-in")
    place = next_place(request.query_params.get("next", ""), "/")
    return await page(request, "sign_in_identity.html", next=place, **form_values(request, real_names))


@post("/sign-in/identity", include_in_schema=False, status_code=303)
async def settle(
    request: AnyRequest, real_names: NamedDependency[RealNames], store: NamedDependency[EphemeralStore]
) -> Response[str] | Redirect:
    """Open the account to its own person, or another person's own account to them."""
    form = await typed(request)
    place = next_place(form["next"], "/")
    try:
        session, _ = await persons.settle(
            proof=request.cookies.get(PROOF_COOKIE, ""), name=form["name"], id_number=form["id_number"],
            real_names=real_names, store=store,
        )  # fmt: skip
    except ChutanError as error:
        if error.code == "unauthenticated":
            return back("/sign-in", _kept(request, PROOF_COOKIE, "", max_age=0), refused=error)
        return await page(
            request, "sign_in_identity.html", status=status_after(error), next=place,
            **form_values(request, real_names, form, error),
        )  # fmt: skip
    return await signed_in(request, session, store, place, _kept(request, PROOF_COOKIE, "", max_age=0))


@get("/publisher/sign-in", include_in_schema=False)
async def staff_form(request: AnyRequest) -> Response[str]:
    """Ask a publisher's staff for login and password."""
    return await _password_form(request, "publisher", "/publisher/offers")


@post("/publisher/sign-in", include_in_schema=False, status_code=303)
async def staff_signs_in(request: AnyRequest, store: NamedDependency[EphemeralStore]) -> Redirect:
    """Sign a member of staff in."""
    return await _by_password(request, store, staff_sign_in, area="publisher", home="/publisher/offers")


@get("/operator/sign-in", include_in_schema=False)
async def operator_form(request: AnyRequest) -> Response[str]:
    """Ask an operator for login and password."""
    return await _password_form(request, "operator", "/operator/approvals")


@post("/operator/sign-in", include_in_schema=False, status_code=303)
async def operator_signs_in(request: AnyRequest, store: NamedDependency[EphemeralStore]) -> Redirect:
    """Sign an operator in."""
    return await _by_password(request, store, operator_sign_in, area="operator", home="/operator/approvals")


async def _by_password(
    request: AnyRequest, store: EphemeralStore, sign_in: PasswordSignIn, *, area: str, home: str
) -> Redirect:
    """Sign somebody in by login and password, and lead them where they wanted to go."""
    form = await typed(request)
    place = next_place(form["next"], home)
    try:
        session = await sign_in(form["login"], form["password"], address=address_of(request), store=store)
    except ChutanError as error:
        if error.code == "second_factor_required":
            return back(
                f"/{area}/sign-in/second?next={place}", proof_cookie(request, error.facts["proof"], area=area)
            )
        return _refused(f"/{area}/sign-in?next={place}", error, wrong="password")
    return await signed_in(request, session, store, place)


@post("/sign-out", include_in_schema=False, status_code=303)
async def sign_out(request: AnyRequest, store: NamedDependency[EphemeralStore]) -> Redirect:
    """End the session, here and in the store."""
    await _end_earlier(request, store)
    return back("/", ended_cookie(secure=is_secure(request)))


async def _password_form(request: AnyRequest, area: str, place: str) -> Response[str]:
    words = words_of(request)
    return await page(
        request, "password.html", area=area, heading=words(f"sign_in.{area}"), action=AREAS[area],
        next=next_place(request.query_params.get("next", ""), place), wrong=_wrong(request),
    )  # fmt: skip


async def signed_in(
    request: AnyRequest, session: Session, store: EphemeralStore, place: str, *cookies: Cookie
) -> Redirect:
    """After a sign-in: the session of before is over, and the new one leads on to `place`."""
    await mark_recent(session.token, store=store)
    return await acting_by(request, session, store, place, *cookies)


async def acting_by(
    request: AnyRequest, session: Session, store: EphemeralStore, place: str, *cookies: Cookie
) -> Redirect:
    """On to `place` by another session, which is no new sign-in: the session of before is over."""
    await _end_earlier(request, store)
    return back(place, session_cookie(session, secure=is_secure(request)), *cookies)


async def person_here(request: AnyRequest) -> Person | None:
    """The person of the staff who is signed in, if one is."""
    principal = await viewer(request)
    return await person_of(principal.id) if principal is not None and principal.role == "staff" else None


async def _end_earlier(request: AnyRequest, store: EphemeralStore) -> None:
    token = request.cookies.get(COOKIE, "")
    if token.startswith("cs_"):
        await end_session(token, store=store)


def _refused(place: str, error: ChutanError, *, wrong: str) -> Redirect:
    if error.code in ("unauthenticated", "validation_failed"):
        return back(f"{place}&wrong={wrong}")
    return back(place, refused=error)


def _wrong(request: AnyRequest) -> str | None:
    given = request.query_params.get("wrong")
    return (
        words_of(request)(f"sign_in.wrong_{given}")
        if given in ("phone", "code", "password", "passkey")
        else None
    )


def next_place(given: str, otherwise: str) -> str:
    """Where somebody wanted to go, if it is a plain path of this site."""
    place = local_place(given, otherwise=otherwise)
    return otherwise if {"&", "#", "?"} & set(place) else place


def _kept(request: AnyRequest, key: str, value: str, *, max_age: int) -> Cookie:
    """A cookie from one step of signing in to the next."""
    return Cookie(key=key, value=value, httponly=True, samesite="lax", path="/sign-in",
                  secure=is_secure(request), max_age=max_age)  # fmt: skip


def proof_cookie(request: AnyRequest, proof: str, *, area: str, max_age: int = SECOND_STEP_SECONDS) -> Cookie:
    """The proof that stands for the password, from the first step of signing in to the second."""
    return Cookie(key=SECOND_STEP_COOKIE, value=proof, httponly=True, samesite="lax", path=AREAS[area],
                  secure=is_secure(request), max_age=max_age)  # fmt: skip


HANDLERS = [
    sign_in_form,
    send,
    sign_in,
    identity_form,
    settle,
    staff_form,
    staff_signs_in,
    operator_form,
    operator_signs_in,
    sign_out,
]
