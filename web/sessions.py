"""The pages' session: a cookie that holds a session token, made anew at every sign-in."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request
from litestar.datastructures import Cookie
from litestar.enums import HttpMethod

from marketplace import clock
from marketplace.identity.tokens import Session
from web.incoming import for_machines

COOKIE: Final = "chutan_session"


def session_cookie(session: Session, *, secure: bool) -> Cookie:
    """The cookie of a session that was just begun; `secure` when the page came over HTTPS."""
    left = int((session.expires_at - clock.now()).total_seconds())
    return Cookie(
        key=COOKIE, value=session.token, httponly=True, secure=secure, samesite="lax", path="/", max_age=left
    )


def ended_cookie(*, secure: bool) -> Cookie:
    """The cookie that forgets the session."""
    return Cookie(key=COOKIE, value="", httponly=True, secure=secure, samesite="lax", path="/", max_age=0)


def session_token(request: Request[Any, Any, Any]) -> str | None:
    """The token in the session cookie.

    Pages guard their forms by a CSRF token; the API has none, so that there the cookie counts for reading only.
    """
    reads = request.method in (HttpMethod.GET, HttpMethod.HEAD)
    if for_machines(request.scope["path"]) and not reads:
        return None
    return request.cookies.get(COOKIE) or None


__all__ = ["COOKIE", "ended_cookie", "session_cookie", "session_token"]
