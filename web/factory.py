"""The web application: everything that all of its parts have in common, put together once."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import httpx
import msgspec
import structlog
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

_PHONE: Final = re.compile(r"(?<![0-9])(1[3-9][0-9])[0-9]{4}([0-9]{4})(?![0-9])")
_ID_NUMBER: Final = re.compile(r"(?<![0-9])[0-9]{17}[0-9Xx](?![0-9])")
_SECRET_FIELDS: Final = frozenset({"token", "password", "secret", "authorization", "cookie"})


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


# -------------------------------------------------------------------------------- logging
def configure_logging(*, json: bool) -> None:
    """Structured lines on stdout, as JSON or for a terminal, without personal data."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            without_persons,
            *_rendering(json),
        ],
        cache_logger_on_first_use=True,
    )


def _rendering(json: bool) -> Iterable[Any]:
    if json:
        return (
            structlog.processors.format_exc_info,
            _masked_text,
            structlog.processors.JSONRenderer(serializer=_as_json),
        )
    # Plain tracebacks: the default ones show local variables, and with them names, numbers and passwords.
    return (structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),)


def _as_json(event: structlog.typing.EventDict, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


def without_persons(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A log processor: phones and identity numbers are masked, and fields that hold secrets are blanked."""
    if event["event"] == "request":  # one for every request, of nothing that a caller wrote
        return event
    for name, value in event.items():
        if name in _SECRET_FIELDS and isinstance(value, str):
            event[name] = "***"
        elif isinstance(value, str):
            event[name] = _masked(value)
    return event


def _masked_text(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if isinstance(event.get("exception"), str):
        event["exception"] = _masked(event["exception"])
    return event


def _masked(text: str) -> str:
    return _PHONE.sub(r"\1****\2", _ID_NUMBER.sub("***", text))


__all__ = ["Lifespan", "configure_logging", "create_web", "without_persons"]
