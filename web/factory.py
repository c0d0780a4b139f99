"""The web application: everything that all of its parts have in common, put together once."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
from litestar import Litestar
from litestar.config.compression import CompressionConfig
from litestar.config.csrf import CSRFConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.plugins import PluginProtocol
from litestar.stores.base import Store
from litestar.stores.memory import MemoryStore as LitestarMemoryStore
from litestar.stores.redis import RedisStore as LitestarRedisStore
from litestar.stores.registry import StoreRegistry
from litestar.template.config import TemplateConfig
from litestar.types import ControllerRouterHandler

from marketplace.identity.realname import HttpIdentityCheck, IdentityCheck, RealNames, SandboxIdentityCheck
from marketplace.identity.sealing import Seal
from marketplace.identity.sms import HttpSms, SandboxSms, SmsSender
from marketplace.identity.stores import EphemeralStore, open_store
from marketplace.settings import Settings
from merchants.seen import Seen
from web import access
from web.api import auth, health
from web.described import SchemaPlugin
from web.idempotency import idempotency_key
from web.incoming import BODY_LIMIT_BYTES, StrictRequest, finish, nul_refusing, timed
from web.kept import KeptAnswers, forget_what_changed, install
from web.live import UNCOMPRESSED, Streams
from web.problems import ErrorPage, render_problem
from web.throttle import Throttle

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


def create_web(
    settings: Settings,
    *,
    handlers: Sequence[ControllerRouterHandler] = (),
    lifespan: Sequence[Lifespan] = (),
    plugins: Sequence[PluginProtocol] = (),
    dependencies: Mapping[str, Any] | None = None,
    templates: TemplateConfig[Any] | None = None,
    error_page: ErrorPage | None = None,
    sms: SmsSender | None = None,
    identity: IdentityCheck | None = None,
    store: EphemeralStore | None = None,
    csrf_secret: str | None = None,
    person_key: str | None = None,
    https: bool = False,
    debug: bool = False,
) -> Litestar:
    """The application with `handlers` beside sign-in and health.

    `lifespan` opens what they need (the database above all). `error_page` renders failures of pages. `csrf_secret`
    and `person_key` must be the same in all processes of an installation, the latter for as long as its database lives;
    without them this process makes its own. `https` keeps cookies off plain connections.
    """
    store = store if store is not None else open_store(settings.redis_url)
    kept, seen = KeptAnswers(store), Seen()
    throttle = Throttle(store)
    client = httpx.AsyncClient()
    sms = sms or (HttpSms(settings.sms_url, client) if settings.sms_url else SandboxSms(store))
    identity = identity or (
        HttpIdentityCheck(settings.identity_url, client) if settings.identity_url else SandboxIdentityCheck()
    )
    provided = {
        **access.DEPENDENCIES,
        "idempotency_key": Provide(idempotency_key),
        "store": _given(store),
        "throttle": _given(throttle),
        "sms": _given(sms),
        "seal": _given(Seal(person_key or secrets.token_hex(32))),
        "real_names": _given(RealNames(identity, person_key or secrets.token_hex(32))),
        **(dependencies or {}),
    }
    app = Litestar(
        route_handlers=[*health.HANDLERS, *auth.HANDLERS, *handlers],
        dependencies=provided,
        lifespan=[_closing(store, client), *lifespan],
        plugins=list(plugins),
        state=State(
            {
                "settings": settings,
                "store": store,
                "kept": kept,
                "seen": seen,
                "streams": Streams(store),
                "throttle": throttle,
                "sms": sms,
                "identity": identity,
                "error_page": error_page,
            }
        ),
        request_class=StrictRequest,
        request_max_body_size=BODY_LIMIT_BYTES,
        middleware=[timed, nul_refusing],
        before_send=[forget_what_changed, finish],
        exception_handlers={Exception: render_problem},
        compression_config=CompressionConfig(
            backend="brotli", brotli_gzip_fallback=True, minimum_size=1024, exclude_opt_key=UNCOMPRESSED
        ),
        csrf_config=_csrf(csrf_secret, secure=https),
        openapi_config=_openapi(),
        stores=_stores(settings.redis_url),
        template_config=templates,
        logging_config=None,
        debug=debug,
    )
    install(app, kept, seen)
    return app


def _given(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False, use_cache=True)


def _closing(store: EphemeralStore, client: httpx.AsyncClient) -> Lifespan:
    @asynccontextmanager
    async def closing(_: Litestar) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await client.aclose()
            await store.close()

    return closing


def _stores(redis_url: str | None) -> StoreRegistry:
    """Litestar's own stores (its response cache), where the ephemeral store is too."""
    if redis_url is None:
        return StoreRegistry(default_factory=lambda _: LitestarMemoryStore())
    root = LitestarRedisStore.with_client(redis_url, namespace="chutan:litestar")

    def named(name: str) -> Store:
        return root.with_namespace(name)

    return StoreRegistry(default_factory=named)


def _csrf(secret: str | None, *, secure: bool) -> CSRFConfig:
    """Pages' forms carry a token; the API is called with a bearer token and has no use for it."""
    return CSRFConfig(
        secret=secret or secrets.token_urlsafe(32),
        cookie_name="chutan_csrf",
        header_name="X-CSRF-Token",
        cookie_secure=secure,
        cookie_samesite="lax",
        exclude=["^/api/", "^/oauth/", "^/registry/", "^/healthz", "^/readyz"],
    )


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="chutan 楚碳",
        version="1",
        description="Redeem personal carbon reductions for offers. Errors are problem documents (RFC 9457).",
        path="/schema",
        render_plugins=[SchemaPlugin(path=["/", "/openapi.json"])],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(type="http", scheme="bearer", description="Any role's token")
            }
        ),
        security=[{"bearer": []}],
    )


__all__ = ["Lifespan", "create_web"]
