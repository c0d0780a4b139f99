"""Signing in: residents by a one-time code, people with a password, channels, cash registers and banks by OAuth 2.0."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import unquote_plus
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, delete, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import JSONBody, URLEncodedBody
from litestar.types import ControllerRouterHandler
from msgspec import UNSET, UnsetType

from marketplace.errors import Invalid
from marketplace.identity import oauth, otp, persons, residents
from marketplace.identity.passwords import operator_sign_in
from marketplace.identity.phones import masked
from marketplace.identity.realname import RealNames, masked_name
from marketplace.identity.sms import SmsSender
from marketplace.identity.stores import EphemeralStore
from marketplace.identity.tokens import CLIENT_SESSION_TTL, Principal, Session, end_session
from merchants import api_clients
from merchants.staff import staff_sign_in
from web.access import bearer_token
from web.described import refusal
from web.problems import render_problem
from web.throttle import Throttle

AnyRequest = Request[Any, Any, Any]
Phone = Annotated[
    str, msgspec.Meta(max_length=32, description="A mobile number of mainland China, eleven digits")
]


class AskForCode(msgspec.Struct, forbid_unknown_fields=True):
    phone: Phone


class SignIn(msgspec.Struct, forbid_unknown_fields=True):
    phone: Phone
    code: Annotated[str, msgspec.Meta(max_length=32, description="The six digits that were sent")]


class PasswordSignIn(msgspec.Struct, forbid_unknown_fields=True):
    login: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Identity(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(max_length=100, description="As on the identity card")]
    id_number: Annotated[
        str, msgspec.Meta(max_length=64, description="The 18-digit resident identity number (GB 11643)")
    ]


class IdentityWithProof(Identity, forbid_unknown_fields=True):
    proof: Annotated[str, msgspec.Meta(max_length=128, description="As sign-in gave it")]


class CodeSent(msgspec.Struct):
    expires_in_seconds: int
    resend_after_seconds: int


class ResidentView(msgspec.Struct):
    id: UUID
    phone: str | None
    name: str | None
    city: str
    verified_at: datetime | None


class ResidentSession(msgspec.Struct):
    token: str
    expires_at: datetime
    resident: ResidentView


class PlainSession(msgspec.Struct):
    token: str
    expires_at: datetime


def address_of(request: AnyRequest) -> str:
    """The caller's network address, as the server sees it (it reads a proxy's headers only when told to)."""
    return request.client.host if request.client is not None else "local"


class AuthController(Controller):
    """Sign-in and sign-out."""

    path = "/api/v1/auth"
    tags = ["auth"]

    @post("/otp", status_code=202, summary="Send a one-time code")
    async def send_code(
        self, data: JSONBody[AskForCode], request: AnyRequest, store: NamedDependency[EphemeralStore],
        sms: NamedDependency[SmsSender],
    ) -> CodeSent:  # fmt: skip
        """The same answer whether the phone is known or not."""
        await otp.send_code(data.phone, address=address_of(request), store=store, sms=sms)
        return CodeSent(otp.CODE_TTL_SECONDS, otp.RESEND_SECONDS)

    @post("/sessions", summary="Sign in as a resident")
    async def sign_in(
        self, data: JSONBody[SignIn], request: AnyRequest, store: NamedDependency[EphemeralStore]
    ) -> ResidentSession:
        """The first sign-in with a phone makes the resident."""
        return session_view(
            *await residents.sign_in(data.phone, data.code, address=address_of(request), store=store)
        )

    @post("/identity", summary="Sign in as a resident after a long time")
    async def settle(
        self, data: JSONBody[IdentityWithProof], real_names: NamedDependency[RealNames],
        store: NamedDependency[EphemeralStore],
    ) -> ResidentSession:  # fmt: skip
        """What `identity_check_required` asks for; another person than the account's gets an account of their own."""
        return session_view(
            *await persons.settle(
                proof=data.proof, name=data.name, id_number=data.id_number, real_names=real_names, store=store
            )
        )

    @delete("/sessions", summary="End the present session")
    async def sign_out(
        self,
        request: AnyRequest,
        principal: NamedDependency[Principal],
        store: NamedDependency[EphemeralStore],
    ) -> None:
        """The token is refused from now on, a long-lived one too."""
        assert principal is not None
        await end_session(bearer_token(request) or "", store=store)

    @post("/staff-sessions", summary="Sign in as a publisher's staff")
    async def sign_in_staff(
        self, data: JSONBody[PasswordSignIn], request: AnyRequest, store: NamedDependency[EphemeralStore]
    ) -> PlainSession:
        """By login and password."""
        return _plain(
            await staff_sign_in(data.login, data.password, address=address_of(request), store=store)
        )

    @post("/operator-sessions", summary="Sign in as an operator")
    async def sign_in_operator(
        self, data: JSONBody[PasswordSignIn], request: AnyRequest, store: NamedDependency[EphemeralStore]
    ) -> PlainSession:
        """By login and password."""
        return _plain(
            await operator_sign_in(data.login, data.password, address=address_of(request), store=store)
        )


def resident_view(person: residents.Person) -> ResidentView:
    """A resident as they are shown to themselves: whoever looks over their shoulder learns little."""
    return ResidentView(
        person.id, masked(person.phone), masked_name(person.name), person.city, person.verified_at
    )


def session_view(session: Session, person: residents.Person) -> ResidentSession:
    """A resident's session that was just begun."""
    return ResidentSession(session.token, session.expires_at, resident_view(person))


def _plain(session: Session) -> PlainSession:
    return PlainSession(session.token, session.expires_at)


# ------------------------------------------------------------------------------- OAuth 2.0
class TokenRequest(msgspec.Struct):
    """RFC 6749 section 4.4.2 and RFC 7523 section 2.2; parameters that are not known are ignored."""

    grant_type: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    client_assertion_type: str | None = None
    client_assertion: str | None = None
    scope: str | None = None


class TokenAnswer(msgspec.Struct):
    access_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105  (the type's name)
    scope: str | UnsetType = UNSET


class TokenRefusal(msgspec.Struct):
    error: str


_OAUTH_STATUS: Final = {"invalid_client": 401}
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def _oauth_problem(request: AnyRequest, error: Exception) -> Response[Any]:
    """Client errors as RFC 6749 section 5.2 words them; what is no fault of the client's, as problems."""
    bad_input = isinstance(error, Invalid) or (isinstance(error, HTTPException) and error.status_code == 400)
    if not isinstance(error, oauth.OauthRefused) and not bad_input:
        return render_problem(request, error)
    code = error.code if isinstance(error, oauth.OauthRefused) else "invalid_request"
    status = _OAUTH_STATUS.get(code, 400)
    headers = _NO_STORE | ({"WWW-Authenticate": 'Basic realm="chutan"'} if status == 401 else {})
    return Response({"error": code}, status_code=status, headers=headers, media_type="application/json")


@post(
    "/oauth/token", status_code=200, tags=["auth"],
    summary="An access token for a channel, a cash register, a publisher's API client or a bank",
    exception_handlers={Exception: _oauth_problem}, opt=refusal(TokenRefusal),
)  # fmt: skip
async def token(
    data: URLEncodedBody[TokenRequest],
    request: AnyRequest,
    store: NamedDependency[EphemeralStore],
    throttle: NamedDependency[Throttle],
) -> Response[TokenAnswer]:
    """Grant `client_credentials`, by client_secret_basic, client_secret_post or private_key_jwt."""
    await throttle.count_token_request(address_of(request))
    if not data.grant_type:
        raise oauth.OauthRefused("invalid_request")
    if data.grant_type != "client_credentials":
        raise oauth.OauthRefused("unsupported_grant_type")
    # RFC 7523 wants the endpoint's own address as audience; the issuer's is what newer clients send.
    base = str(request.base_url).rstrip("/")
    session = await oauth.grant(
        _credentials(data, request.headers.get("authorization")),
        audiences=frozenset({f"{base}/oauth/token", base, f"{base}/"}),
        store=store,
    )
    seconds = int(CLIENT_SESSION_TTL.total_seconds())
    scope: str | UnsetType = UNSET
    if session.principal.role == "client":
        scope = await _scope_of(session.principal, data.scope)
    return Response(TokenAnswer(session.token, seconds, scope=scope), headers=_NO_STORE)


async def _scope_of(client: Principal, asked: str | None) -> str:
    """The scopes of a publisher's client, all of them whatever was asked for; not one that it does not have."""
    found = await api_clients.acting(client.id)
    if found is None:
        raise oauth.OauthRefused("invalid_client")
    if not set((asked or "").split()) <= found.scopes:
        raise oauth.OauthRefused("invalid_scope")
    return " ".join(sorted(found.scopes))


def _credentials(data: TokenRequest, authorization: str | None) -> oauth.ClientSecret | oauth.ClientAssertion:
    """The client's credentials, by exactly one of the ways."""
    ways = [authorization is not None, data.client_secret is not None, data.client_assertion is not None]
    if sum(ways) > 1:
        raise oauth.OauthRefused("invalid_request")
    if authorization is not None:
        return _basic(authorization)
    if data.client_assertion is not None:
        if data.client_assertion_type != oauth.ASSERTION_TYPE:
            raise oauth.OauthRefused("invalid_request")
        return oauth.ClientAssertion(data.client_assertion, data.client_id)
    if data.client_secret is not None and data.client_id is not None:
        return oauth.ClientSecret(data.client_id, data.client_secret)
    raise oauth.OauthRefused("invalid_client")


def _basic(authorization: str) -> oauth.ClientSecret:
    scheme, _, encoded = authorization.partition(" ")
    try:
        client_id, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise oauth.OauthRefused("invalid_client") from error
    if scheme.lower() != "basic" or not colon:
        raise oauth.OauthRefused("invalid_client")
    return oauth.ClientSecret(unquote_plus(client_id), unquote_plus(secret))


HANDLERS: Final[list[ControllerRouterHandler]] = [AuthController, token]
__all__ = [
    "HANDLERS",
    "Identity",
    "ResidentSession",
    "ResidentView",
    "address_of",
    "resident_view",
    "session_view",
]
