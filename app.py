"""chutan: the command line, and the one place that wires the packages together."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from secrets import token_bytes, token_hex
from socket import socket
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import asyncpg
import click
import msgspec
import structlog
import uvicorn
from litestar import Litestar
from litestar.di import Provide
from litestar.types import ASGIApp
from piccolo.conf.apps import AppRegistry
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from uvicorn.supervisors import Multiprocess

from incentives import demonstration as riders
from incentives.channels import open_channel
from incentives.eligibility import RuleEligibility
from incentives.forecasts.kept import foresee_waiting
from incentives.imports import import_trips
from marketplace import audit as books
from marketplace import clock, db, expiry, ledger, settlement
from marketplace.campaigns.alarms import watch_budgets
from marketplace.campaigns.ending import return_what_came_back
from marketplace.embedded import embedded_postgres
from marketplace.errors import ChutanError, Invalid, NotFound
from marketplace.identity import demonstration
from marketplace.identity.oauth import new_secret, register_client
from marketplace.identity.operators import add_operator
from marketplace.identity.realname import SandboxIdentityCheck, is_the_key
from marketplace.identity.sms import SandboxSms
from marketplace.identity.tokens import Principal, issue_token
from marketplace.pools.loading import load_waiting
from marketplace.pools.sealing import is_the_key as is_the_key_of_codes
from marketplace.pools.sealing import use_key
from marketplace.pools.withdrawal import lapse_due
from marketplace.registry import EmbeddedRegistry, Registry
from marketplace.residents import linked
from marketplace.settings import Settings, SettingsError, load_settings
from marketplace.suspensions import give_back_due
from merchants import demonstration as shops
from merchants import rollup
from merchants.webhooks import worker as webhooks
from web import hot
from web.api import HANDLERS
from web.factory import Lifespan, create_web
from web.locale import text
from web.logs import configure_logging
from web.pages import error_page, page_handlers

APPS: Final = ["marketplace.piccolo_app", "merchants.piccolo_app", "incentives.piccolo_app"]
PERSON_KEY: Final = "person-key"
POOL_KEY: Final = "pool-key"
OPERATOR: Final = "demo-operator"
WORK_EVERY_SECONDS: Final = 30
LOAD_EVERY_SECONDS: Final = 1
WATCH_EVERY_SECONDS: Final = 5
FORESEE_EVERY_SECONDS: Final = 5
NO_DATABASE: Final = (
    asyncpg.PostgresConnectionError, asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError,
)  # fmt: skip
GC_THRESHOLDS: Final = (50_000, 20, 20)


# ---------------------------------------------------------------- the database of a command
@contextmanager
def database_url(settings: Settings) -> Any:
    """Where the database is: the one that was named, or the embedded one, running for as long as the block."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    with embedded_postgres(settings.home) as url:
        yield url


@asynccontextmanager
async def ready(url: str, settings: Settings, *, commands: bool = True) -> AsyncIterator[None]:
    """An open, migrated database, with the clock where the settings want it."""
    db.APP_REGISTRY.__init__(apps=APPS)  # type: ignore[misc]
    assert isinstance(db.APP_REGISTRY, AppRegistry)
    use_key(lambda: kept_secret(settings.home, POOL_KEY))
    async with db.opened(
        url,
        replica_url=settings.read_database_url,
        statement_timeout_ms=0 if commands else db.STATEMENT_TIMEOUT_MS,
    ):
        await db.migrate()
        # What is loaded stays, and a batch makes many objects but no cycles: collecting took a quarter of its time.
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        if settings.time_shift:
            if not await db.is_demonstration():
                raise SettingsError("CHUTAN_TIME_SHIFT works in a demonstration database only")
            clock.shift(settings.time_shift)
        yield


@asynccontextmanager
async def replica_alone(settings: Settings) -> AsyncIterator[None]:
    """The replica, open as the database: for a command that only reads, and is to cost the database nothing."""
    if settings.read_database_url is None:
        raise SettingsError("READ_DATABASE_URL is not set: there is no replica to read")
    async with db.opened(settings.read_database_url, statement_timeout_ms=0):
        yield


def command(verb: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any, on_replica: bool = False) -> Any:
    """Run `verb` on the database, and turn what a user can mend into a line on stderr."""
    settings = given_settings()
    try:
        with nullcontext("") if on_replica else database_url(settings) as url:

            async def run() -> Any:
                async with replica_alone(settings) if on_replica else ready(url, settings):
                    return await verb(*arguments)

            return asyncio.run(run())
    except Invalid as invalid:
        wrong = (f"{error.field} {text('en', f'field.{error.code}')}" for error in invalid.errors)
        raise click.ClickException("; ".join(wrong)) from None
    except ChutanError as error:
        raise click.ClickException(text("en", f"problem.{error.code}.detail") or error.code) from None
    except (SettingsError, OSError, *NO_DATABASE) as error:
        raise click.ClickException(str(error)) from None


def given_settings() -> Settings:
    """The settings of a command; what is wrong in them is a line on stderr."""
    try:
        return load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def printed(answer: Any) -> None:
    """A command's answer, as JSON on stdout."""
    click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())


# ---------------------------------------------------------------- the application
def create_app(settings: Settings, url: str) -> ASGIApp:
    """The application on the database at `url`, with the worker that does what is due by time."""

    @asynccontextmanager
    async def running(app: Litestar) -> AsyncIterator[None]:
        async with ready(url, settings, commands=False), ledger.batching(), app.state.seen.flushing():
            await require_keys(settings)
            for adapter in (app.state.sms, app.state.identity):
                if isinstance(adapter, SandboxSms | SandboxIdentityCheck):
                    adapter.demonstration = await db.is_demonstration()
            registry = EmbeddedRegistry()
            workers = [
                asyncio.create_task(worker)
                for worker in (
                    again_and_again(lambda: work(registry), WORK_EVERY_SECONDS, "worker_failed"),
                    again_and_again(load_waiting, LOAD_EVERY_SECONDS, "loading_failed"),
                    again_and_again(watch_budgets, WATCH_EVERY_SECONDS, "watching_failed"),
                    again_and_again(foresee_waiting, FORESEE_EVERY_SECONDS, "forecasts_failed"),
                    webhooks.work(),
                )
            ]
            try:
                with when_told_to_stop(app.state.streams.end):
                    yield
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    return hot.served(wired(settings, lifespan=[running]), eligibility=RuleEligibility())


def wired(settings: Settings, *, lifespan: Sequence[Lifespan] = ()) -> Litestar:
    """The application on whatever database is open: the one place where ports meet their adapters."""
    return create_web(
        settings,
        handlers=[*HANDLERS, *page_handlers()],
        lifespan=lifespan,
        error_page=error_page,
        csrf_secret=kept_secret(settings.home, "forms-secret"),
        person_key=kept_secret(settings.home, PERSON_KEY),
        dependencies={"eligibility": _the(RuleEligibility()), "registry": _the(EmbeddedRegistry())},
    )


async def require_keys(settings: Settings) -> None:
    """Raises SettingsError when a key under CHUTAN_HOME is another than that of the database."""
    is_ours = {
        PERSON_KEY: await is_the_key(kept_secret(settings.home, PERSON_KEY)),
        POOL_KEY: await is_the_key_of_codes(),
    }
    for name, ours in is_ours.items():
        if not ours:
            raise SettingsError(
                f"{name} under CHUTAN_HOME is not the key of this database: bring the file that was there"
            )


def kept_secret(home: Path, name: str) -> str:
    """The secret `name` of this installation, made when it is first asked for: the same for all processes, and after a
    restart. It appears whole or not at all, whoever else makes it at the same time."""
    path = home / name
    home.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        fresh = home / f".{name}-{token_hex(8)}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(token_hex(32))
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_text()


def _the(adapter: object) -> Provide:
    return Provide(lambda: adapter, sync_to_thread=False, use_cache=True)


async def work(registry: Registry) -> None:
    """What is due by time: settlement behind the reversal window, expiry, and adding up."""
    await settlement.settle(registry, everything=False)
    await expiry.expire(registry)
    await give_back_due()
    await lapse_due()
    await rollup.fold()
    await return_what_came_back()


async def again_and_again(
    due: Callable[[], Coroutine[Any, Any, Any]], every_seconds: float, failure: str
) -> None:
    """Do what is `due`; whatever fails is logged as `failure`, and the next round is due all the same."""
    while True:
        try:
            await due()
        except Exception:
            structlog.get_logger("worker").exception(failure)
        await asyncio.sleep(every_seconds)


@contextmanager
def when_told_to_stop(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` as soon as the process is told to stop: uvicorn waits for answers to end, and streams have none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {stop: signal.getsignal(stop) for stop in (signal.SIGTERM, signal.SIGINT)}

    def told(stop: int, frame: Any) -> None:
        tell()
        handler = before[signal.Signals(stop)]
        if callable(handler):
            handler(stop, frame)

    for stop in before:
        signal.signal(stop, told)
    try:
        yield
    finally:
        for stop, handler in before.items():
            signal.signal(stop, handler)


class Server(uvicorn.Server):
    """uvicorn, saying in one line where it listens once it does."""

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            for server in self.servers:
                host, port = server.sockets[0].getsockname()[:2]
                click.echo(f"chutan is ready on http://{host}:{port}")


def app_of_worker() -> ASGIApp:
    """The application of one of several processes; its parent has told it where the database is."""
    settings = load_settings()
    assert settings.database_url is not None
    configure_logging(json=True)
    return create_app(settings, settings.database_url)


# ---------------------------------------------------------------- commands
@click.group()
def cli() -> None:
    """楚碳 chutan: the marketplace where residents of Hubei spend their carbon reductions."""


@cli.command()
@click.option("--host", help="default: HOST, or 127.0.0.1")
@click.option("--port", type=int, help="default: PORT, or 8000")
@click.option("--workers", type=int, help="default: WORKERS, or 1; more need REDIS_URL")
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Serve the API; migrates first if needed. SIGTERM answers what was accepted, then stops."""
    given = {"HOST": host, "PORT": port, "WORKERS": workers}
    environment = os.environ | {name: str(value) for name, value in given.items() if value is not None}
    try:
        settings = load_settings(environment)
        with database_url(settings) as url:
            config = uvicorn.Config(
                "app:app_of_worker" if settings.workers > 1 else create_app(settings, url),
                factory=settings.workers > 1, host=settings.host, port=settings.port, workers=settings.workers,
                http=hot.HotProtocol, log_config=None, access_log=False, server_header=False,
                timeout_graceful_shutdown=10,
            )  # fmt: skip
            for stop in (signal.SIGTERM, signal.SIGINT):  # uvicorn drains, then hands the signal back to us
                signal.signal(stop, lambda *_: sys.exit(0))
            if settings.workers == 1:
                configure_logging(json=not sys.stdout.isatty())
                Server(config).run()
                return
            os.environ |= environment | {"DATABASE_URL": url}
            asyncio.run(_migrated(url, settings))
            click.echo(
                f"chutan is starting {settings.workers} workers on http://{settings.host}:{settings.port}"
            )
            Multiprocess(config, [config.bind_socket()]).run()
    except (SettingsError, OSError) as error:
        raise click.ClickException(str(error)) from None


async def _migrated(url: str, settings: Settings) -> None:
    async with ready(url, settings):
        pass


@cli.command()
def migrate() -> None:
    """Bring the database up to date."""

    async def nothing() -> None:
        """`ready` has migrated already."""

    command(nothing)


@cli.command()
def demo() -> None:
    """Load the demonstration data, and print who can sign in where; again, it changes nothing."""
    command(load_demonstration)
    click.echo(sign_ins(base_url(given_settings())))


@cli.command("demo-credentials")
def demo_credentials() -> None:
    """Print the demonstration's sign-ins."""
    printed(command(credentials, base_url(given_settings())))


@cli.command("import-trips")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--channel", required=True, help="the channel whose records these are")
@click.option("--enrol", is_flag=True, help="make and link a resident for each unknown rider")
@click.option(
    "--timezone", default="Asia/Shanghai", show_default=True, help="the zone of times that name none"
)
def import_trips_command(file: Path, channel: str, enrol: bool, timezone: str) -> None:
    """Quantify and credit the bike trips of a CSV file."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise click.BadParameter(f"{timezone} is no time zone", param_hint="--timezone") from None
    bar = Progress(TextColumn("trips"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                   console=Console(stderr=True), disable=not sys.stderr.isatty())  # fmt: skip
    with bar:
        task = bar.add_task("trips", total=None)

        async def run() -> Any:
            try:
                return await import_trips(
                    file,
                    channel=channel,
                    enrol=enrol,
                    zone=zone,
                    progress=lambda done: bar.advance(task, done),
                )
            except NotFound:
                raise click.ClickException(f"there is no channel {channel}") from None

        report = command(run)
    for line, reason in report.faults:
        click.echo(f"line {line}: malformed: {reason}", err=True)
    printed(report.summary())


@cli.command("demo-token")
@click.option("--channel", required=True)
@click.option("--subject", required=True, help="the rider")
def demo_token(channel: str, subject: str) -> None:
    """Print a token of the resident that a rider was enrolled as (in a demonstration database only)."""

    async def run() -> dict[str, str]:
        if not await db.is_demonstration():
            raise click.ClickException("this is no demonstration database")
        resident = (await linked([subject], channel=channel)).get(subject)
        if resident is None:
            raise click.ClickException(f"nobody has linked {subject} of {channel}")
        token = await issue_token(Principal("resident", str(resident)), demonstration=True)
        return {"id": str(resident), "token": token}

    printed(command(run))


@cli.command("add-operator")
@click.option("--login", required=True)
@click.option("--name", required=True)
@click.option("--city", help="a division of Hubei (GB/T 2260), such as 420500; default: the whole province")
@click.password_option(help="asked for when it is not given; 11 characters or more")
def add_operator_command(login: str, name: str, city: str | None, password: str) -> None:
    """Let a person run this installation, or of it what is of a city."""
    printed({"id": str(command(lambda: add_operator(login=login, name=name, password=password, city=city)))})


@cli.command("add-channel")
@click.argument("key")
@click.option("--name", required=True, help="what residents know it as")
@click.option("--methodology", required=True, help="by which its records are quantified, such as bike-wuhan")
def add_channel_command(key: str, name: str, methodology: str) -> None:
    """Open a channel for activity records; prints its OAuth client, whose secret is shown this once."""

    async def run() -> dict[str, str]:
        await open_channel(key=key, name=name, methodology=methodology)
        secret = new_secret()
        await register_client(client_id=key, role="channel", subject=key, secret=secret)
        return {"key": key, "client_id": key, "client_secret": secret}

    printed(command(run))


@cli.command("settle")
def settle_command() -> None:
    """Settle every captured consumption now, which closes its reversal."""
    printed(command(lambda: settlement.settle(EmbeddedRegistry(), everything=True)))


@cli.command("expire")
def expire_command() -> None:
    """Expire the coupons, holds and lots that are due."""
    printed(command(lambda: expiry.expire(EmbeddedRegistry())))


@cli.command("audit")
@click.option("--replica", is_flag=True, help="read READ_DATABASE_URL, and leave the database alone")
def audit_command(replica: bool) -> None:
    """Check every invariant; exit with 1 when one does not hold."""
    result = command(books.audit, on_replica=replica)
    printed(result)
    sys.exit(0 if result.ok else 1)


# ---------------------------------------------------------------- the demonstration
async def load_demonstration() -> None:
    """Publishers, offers, channels, residents and an operator, made by the domain's own verbs; once."""
    if await db.is_demonstration():
        return
    if await db.fetch_value(
        "SELECT EXISTS (SELECT FROM resident) OR EXISTS (SELECT FROM publisher) OR EXISTS (SELECT FROM channel)"
    ):
        raise click.ClickException(
            "this database has data: the demonstration is for an empty one, and does not go on where it was broken off"
        )
    seed = token_bytes(32)
    await riders.load(seed)
    await shops.load(seed)
    operator = await add_operator(login=OPERATOR, name="演示运营员", password=shops.PASSWORD)
    await demonstration.issue(seed, "operator", operator)
    # Last: what was broken off is no demonstration, and is not taken for one the next time.
    await db.execute("UPDATE installation SET demonstration = true, seed = $1", seed)


def base_url(settings: Settings) -> str:
    """Where the server listens."""
    return f"http://{settings.host}:{settings.port}"


def sign_ins(base: str) -> str:
    """Who can sign in where on the demonstration at `base`, for people to read."""
    phones, logins = f"{riders.PHONES[0]} to {riders.PHONES[-1]}", ", ".join(shops.LOGINS)
    return f"""The demonstration is served at {base}
  residents   {base}/sign-in            phone {phones}; the page shows the code
  publishers  {base}/publisher/sign-in  {logins}; password {shops.PASSWORD}
  operator    {base}/operator/sign-in   {OPERATOR}; password {shops.PASSWORD}
  the API     {base}/schema             tokens: {sys.executable} app.py demo-credentials"""


async def credentials(base_url: str) -> dict[str, Any]:
    """The sign-ins of the demonstration, derived again from its seed."""
    seed = await db.fetch_value("SELECT seed FROM installation")
    if seed is None:
        raise click.ClickException(
            "this is no demonstration database: run `python app.py demo` on an empty one"
        )
    operator = await db.fetch_value("SELECT id FROM operator WHERE login = $1", OPERATOR)
    return {
        "base_url": base_url,
        **await riders.sign_ins(seed),
        **await shops.sign_ins(seed),
        "operator": {"token": demonstration.token_of(seed, "operator", operator)},
    }


if __name__ == "__main__":
    cli()
