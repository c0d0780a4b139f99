"""One message over HTTP: signed, to an address that was judged, within 15 seconds, and little of the answer read."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from uuid import UUID

import httpx
import msgspec
from standardwebhooks import Webhook

from marketplace.errors import Invalid
from merchants.webhooks.addresses import AddressRefused, address_of, place_of

ANSWER_SECONDS: Final = 15
ANSWER_BYTES: Final = 256
_BODY_SECONDS: Final = 2
LONGEST_REST: Final = timedelta(hours=24)
_REST_STATUSES: Final = (429, 503)


class Outcome(msgspec.Struct, frozen=True):
    """What came of an attempt. It arrived where `fault` is None; `rest` is how long the endpoint wants none."""

    status: int | None
    fault: str | None
    duration_ms: int
    answer: str = ""
    rest: timedelta | None = None


def new_client() -> httpx.AsyncClient:
    """A client that follows nothing, asks no proxy and keeps no connection: one that is kept belongs to an address, and
    two names with one address would share it, whichever certificate was shown for it."""
    return httpx.AsyncClient(
        trust_env=False, follow_redirects=False, timeout=ANSWER_SECONDS,
        limits=httpx.Limits(max_keepalive_connections=0),
    )  # fmt: skip


def message_id(delivery: UUID) -> str:
    """The `webhook-id` of a message: the same however often it is sent."""
    return f"msg_{delivery.hex}"


def signed_headers(secrets: Sequence[str], *, message: str, at: datetime, body: str) -> dict[str, str]:
    """The headers of the specification, with a signature of each secret."""
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message, at, body) for secret in secrets),
    }


async def send(
    client: httpx.AsyncClient, url: str, *, headers: dict[str, str], body: str, loopback: bool, at: datetime
) -> Outcome:
    """Post `body` to `url` and say what came of it, whatever that is."""
    begun = time.monotonic()
    status, answer, rest = None, "", None
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            async with aclosing(await _posted(client, url, headers, body, loopback=loopback)) as response:
                status, answer = response.status_code, await _beginning(response)
                rest = _rest(response, at=at)
        fault = _fault(response)
    except Invalid as wrong:
        fault = wrong.errors[0].code
    except AddressRefused as refused:
        fault = refused.code
    except (TimeoutError, httpx.TimeoutException):
        fault = "timeout"
    except httpx.HTTPError as error:
        fault = "tls_failed" if _is_tls(error) else "connection_failed"
    return Outcome(status, fault, int((time.monotonic() - begun) * 1000), answer, rest)


async def _posted(
    client: httpx.AsyncClient, url: str, headers: dict[str, str], body: str, *, loopback: bool
) -> httpx.Response:
    place = place_of(url, loopback=loopback)
    address = await address_of(place)
    shown = f"[{place.host}]" if ":" in place.host else place.host
    default = 443 if place.scheme == "https" else 80
    request = client.build_request(
        "POST",
        f"{place.scheme}://{f'[{address}]' if ':' in address else address}:{place.port}{place.path}",
        content=body.encode(),
        headers={
            **headers, "host": shown if place.port == default else f"{shown}:{place.port}",
            "content-type": "application/json", "accept-encoding": "identity", "user-agent": "chutan-webhooks/1",
        },
        extensions={"sni_hostname": place.host},  # the certificate must be the name's, whatever we connect to
    )  # fmt: skip
    return await client.send(request, stream=True)


async def _beginning(response: httpx.Response) -> str:
    """The first bytes of the answer, as text that can be kept and shown. No more is read than the chunk they are in,
    and what is slow to come is left: the status says all that counts."""
    read = b""
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in response.aiter_raw():
                read += chunk
                if len(read) >= ANSWER_BYTES:
                    break
    text = read[:ANSWER_BYTES].decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _fault(response: httpx.Response) -> str | None:
    if response.is_success:
        return None
    return "redirected" if response.is_redirect else "refused"


def _rest(response: httpx.Response, *, at: datetime) -> timedelta | None:
    """How long `Retry-After` asks for patience, in seconds or by a date, within a day."""
    given = response.headers.get("retry-after", "").strip()
    if response.status_code not in _REST_STATUSES or not given:
        return None
    if given.isascii() and given.isdigit():
        rest = timedelta(seconds=min(int(given[:9]), 10**8))
    else:
        try:
            until = parsedate_to_datetime(given)
        except ValueError:
            return None
        rest = (until if until.tzinfo else until.replace(tzinfo=UTC)) - at
    return min(max(rest, timedelta()), LONGEST_REST)


def _is_tls(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


__all__ = ["ANSWER_BYTES", "ANSWER_SECONDS", "Outcome", "message_id", "new_client", "send", "signed_headers"]
