"""Where messages may be sent: by https, to addresses that anybody can reach, and nowhere inside.

A name is resolved here, and the connection goes to the address that was judged: whoever owns the name cannot answer
with another one in between (DNS rebinding). A name of which only some addresses are public is refused whole.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from marketplace.errors import FieldError, Invalid

MAX_URL: Final = 500
_VISIBLE: Final = re.compile(r"[!-~]+")
_NAME: Final = re.compile(
    r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]"
)
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# What `is_global` lets through, and nobody's server is reached by: addresses that carry or are translated to others.
_GLOBAL_6: Final = ipaddress.ip_network("2000::/3")
_NEVER: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments (RFC 6890)
        "192.88.99.0/24",  # 6to4 relays
        "168.63.129.16/32",  # a cloud's own host, from inside of it
        "2001::/23",  # protocol assignments, Teredo among them
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation (RFC 9637)
    )
)


class Place(NamedTuple):
    """A URL taken apart, ready to be connected to."""

    scheme: str
    host: str
    port: int
    path: str
    loopback: bool


class AddressRefused(Exception):
    """Nothing is sent there; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def place_of(url: str, *, loopback: bool) -> Place:
    """`url` if messages may be sent there by its looks. `loopback` lets through this machine (in a demonstration).

    Raises Invalid: `not_a_url`, `not_https`, `not_public`.
    """
    parts = _split(url)
    try:
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise Invalid(FieldError("url", "not_a_url")) from error
    if not host or parts.username is not None or parts.password is not None or parts.fragment or port == 0:
        raise Invalid(FieldError("url", "not_a_url"))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if loopback and host in _LOOPBACK and parts.scheme in ("http", "https"):
        return Place(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path, True)
    if parts.scheme != "https":
        raise Invalid(FieldError("url", "not_https"))
    literal = _literal(host)
    if literal is None and _NAME.fullmatch(host) is None:
        # A name without a dot is somebody's own network's; 127.1 and 0x7f000001 are addresses to some resolvers.
        raise Invalid(FieldError("url", "not_public"))
    if literal is not None and not is_public(literal):
        raise Invalid(FieldError("url", "not_public"))
    return Place("https", host, port or 443, path, False)


def _split(url: str) -> SplitResult:
    if len(url) > MAX_URL or _VISIBLE.fullmatch(url) is None or "\\" in url:
        raise Invalid(FieldError("url", "not_a_url" if url else "required"))
    try:
        return urlsplit(url)
    except ValueError as error:
        raise Invalid(FieldError("url", "not_a_url")) from error


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether `address` is one that anybody's server can have, by the registries of special addresses."""
    if isinstance(address, ipaddress.IPv6Address) and (address not in _GLOBAL_6 or address.scope_id):
        return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address.version == network.version and address in network for network in _NEVER)
    )


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, as this machine's resolver has them. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


async def address_of(place: Place) -> str:
    """The address to connect to. Raises AddressRefused (`unresolved`, `not_public`)."""
    literal = _literal(place.host)
    try:
        found = [str(literal)] if literal is not None else await resolve(place.host, place.port)
    except (OSError, UnicodeError) as error:
        raise AddressRefused("unresolved") from error
    if not found:
        raise AddressRefused("unresolved")
    addresses = [ipaddress.ip_address(one) for one in found]
    allowed = (lambda one: one.is_loopback) if place.loopback else is_public
    if not all(allowed(one) for one in addresses):
        raise AddressRefused("not_public")
    return str(addresses[0])


__all__ = ["AddressRefused", "Place", "address_of", "is_public", "place_of", "resolve"]
