"""The pages' session: a cookie that holds a session token, made anew at every sign-in.

A phone that was paired as a till has a cookie of its own, for the till's pages alone: whoever signs in on that phone
otherwise, as a resident too, does not end it.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Request
from litestar.datastructures import Cookie
from litestar.enums import HttpMethod

from marketplace import clock
from marketplace.identity.tokens import Session
from web.incoming import for_machines

COOKIE: Final = "chutan_session"
DEVICE_COOKIE: Final = "chutan_till"
DEVICE_PLACE: Final = "/publisher/till"


def session_cookie(session: Session, *, secure: bool) -> Cookie:
    """The cookie of a session that was just begun; `secure` when the page came over HTTPS."""
    left = int((session.expires_at - clock.now()).total_seconds())
    return Cookie(
        key=COOKIE, value=session.token, httponly=True, secure=secure, samesite="lax", path="/", max_age=left
    )


def ended_cookie(*, secure: bool) -> Cookie:
    """The cookie that forgets the session."""
    return Cookie(key=COOKIE, value="", httponly=True, secure=secure, samesite="lax", path="/", max_age=0)


def device_cookie(session: Session, *, secure: bool) -> Cookie:
    """The cookie of a phone that was just paired."""
    left = int((session.expires_at - clock.now()).total_seconds())
    return Cookie(
        key=DEVICE_COOKIE, value=session.token, httponly=True, secure=secure, samesite="lax", path=DEVICE_PLACE,
        max_age=left,
    )  # fmt: skip


def ended_device_cookie(*, secure: bool) -> Cookie:
    """The cookie that forgets the pairing."""
    return Cookie(
        key=DEVICE_COOKIE,
        value="",
        httponly=True,
        secure=secure,
        samesite="lax",
        path=DEVICE_PLACE,
        max_age=0,
    )


def session_token(request: Request[Any, Any, Any]) -> str | None:
    """The token in the session cookie, or in a paired phone's.

    Pages guard their forms by a CSRF token; the API has none, so that there the cookie counts for reading only.
    """
    reads = request.method in (HttpMethod.GET, HttpMethod.HEAD)
    if for_machines(request.scope["path"]) and not reads:
        return None
    return request.cookies.get(DEVICE_COOKIE) or request.cookies.get(COOKIE) or None


__all__ = ["COOKIE", "DEVICE_COOKIE", "DEVICE_PLACE", "device_cookie", "ended_cookie", "ended_device_cookie",
           "session_cookie", "session_token"]  # fmt: skip
