"""The pages: server-rendered, and whole without JavaScript. A form posts, and is answered by 303 or by itself.

They ask the application for the dependencies `resident`, `staff`, `operator`, `store`, `sms`, `real_names`,
`throttle`, `eligibility` and `registry`, and for CSRF tokens; templates and static files they bring along.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from litestar.datastructures import CacheControlHeader
from litestar.response import Redirect
from litestar.static_files import create_static_files_router
from litestar.types import ControllerRouterHandler

from web.pages import (
    account,
    activities,
    application,
    applications,
    apply,
    campaign_limits,
    campaigns,
    clients,
    deeds,
    devices,
    forecast,
    insight,
    join,
    limits,
    mall,
    memberships,
    open_campaigns,
    operator,
    operators,
    organisations,
    pool,
    publisher,
    redemptions,
    rules,
    second_step,
    security,
    sign_in,
    stores,
    supervision,
    team,
    till,
    till_app,
    till_day,
    versions,
    wallet,
    webhook_log,
    webhooks,
    wizard,
)
from web.pages.rendering import AREAS, STATIC, render, words_of
from web.problems import ProblemText
from web.sessions import DEVICE_COOKIE, ended_cookie, ended_device_cookie

# Where somebody is led who may not use the console yet, or any more.
_ELSEWHERE = {"publisher_not_active": "/publisher/application", "no_organisation": "/publisher/organisations"}
_KEPT = CacheControlHeader(max_age=365 * 24 * 3600, public=True, immutable=True)


def page_handlers() -> list[ControllerRouterHandler]:
    """All pages, and `/static` with the front end: its files are named by their content, so that they keep."""
    STATIC.mkdir(exist_ok=True)
    parts = (
        mall, sign_in, second_step, account, wallet, activities, redemptions, pool, publisher, limits, rules, till,
        till_app, till_day, devices, insight, operator, apply, application, applications, organisations, team, join,
        stores, security, memberships, wizard, versions, webhooks, webhook_log, clients, campaigns, campaign_limits,
        open_campaigns, forecast, supervision, operators, deeds,
    )  # fmt: skip
    return [
        *(handler for part in parts for handler in part.HANDLERS),
        create_static_files_router(
            path="/static", directories=[STATIC], include_in_schema=False, cache_control=_KEPT
        ),
    ]


def error_page(request: Request[Any, Any, Any], problem: ProblemText) -> Response[Any]:
    """A failure as a page; who is not signed in is led to where that is done, and back afterwards."""
    path = request.scope["path"]
    area = next((name for name in ("publisher", "operator") if path.startswith(f"/{name}/")), "resident")
    if problem.code == "unauthenticated" and path != AREAS[area]:
        place = f"?next={path}" if request.method == "GET" else ""
        secure = request.url.scheme == "https"
        ended = ended_device_cookie if DEVICE_COOKIE in request.cookies else ended_cookie
        return Redirect(AREAS[area] + place, status_code=303, cookies=[ended(secure=secure)])
    elsewhere = f"/{area}/security" if problem.code == "sign_in_again" else _ELSEWHERE.get(problem.code, path)
    if elsewhere != path:
        return Redirect(elsewhere, status_code=303)
    return render(
        words_of(request), "error.html", area=area, path=path, status=problem.status, problem=problem, role=None,
        refused=None, csrf="", form_key="", sign_in=AREAS[area],
    )  # fmt: skip


__all__ = ["error_page", "page_handlers"]
