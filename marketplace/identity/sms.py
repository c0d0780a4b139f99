"""Text messages: the port, the gateway's adapter, and the sandbox that sends nothing."""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

import httpx
import structlog

from marketplace.errors import Unavailable
from marketplace.identity.stores import EphemeralStore

_log = structlog.get_logger(__name__)
_SHOWN_SECONDS: Final = 300


@runtime_checkable  # the web framework checks what it injects
class SmsSender(Protocol):
    """Sends a one-time code to a phone. Raises Unavailable when it cannot."""

    async def send_code(self, phone: str, code: str) -> None:
        """Send `code` to `phone` (eleven digits, mainland China)."""


class HttpSms:
    """A gateway that takes `{"phone", "template", "parameters"}` as JSON at one address."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url
        self._client = client

    async def send_code(self, phone: str, code: str) -> None:
        """Send `code`; one attempt of at most five seconds, since the person can ask again."""
        body = {"phone": phone, "template": "sign-in-code", "parameters": {"code": code}}
        try:
            answer = await self._client.post(self._url, json=body, timeout=5.0)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise Unavailable(what="sms") from error


class SandboxSms:
    """Sends nothing: keeps the last code of each phone for five minutes, for the sign-in page to show."""

    def __init__(self, store: EphemeralStore) -> None:
        self._store = store
        self.demonstration = True
        """Outside a demonstration nobody signs in by a code that everybody can read."""

    async def send_code(self, phone: str, code: str) -> None:
        """Keep `code`, and write it to the log, where whoever tries the demonstration finds it. Raises Unavailable."""
        if not self.demonstration:
            raise Unavailable(what="sms")
        await self._store.set(f"sandbox-sms:{phone}", code.encode(), ttl_seconds=_SHOWN_SECONDS)
        _log.info("sandbox_sms", phone=phone, sandbox_code=code)

    async def last_code(self, phone: str) -> str | None:
        """The code that was last sent to `phone`."""
        code = await self._store.get(f"sandbox-sms:{phone}")
        return code.decode() if code is not None else None


__all__ = ["HttpSms", "SandboxSms", "SmsSender"]
