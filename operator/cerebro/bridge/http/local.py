"""Whether a request comes from a program on this host, and not through a proxy
on it. Pure.

What listens on loopback is mostly behind a proxy that brings everybody's
requests from there. So the address alone says nothing: every sign of a proxy
counts against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")
"""The headers in which proxies name the caller."""

_SIGNS = frozenset({*FORWARDED, "via", "x-client-ip", "x-original-uri"})
_SIGN_PREFIX = "x-forwarded-"
"""The headers that proxies add, and programs on this host do not."""

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""What a program on this host calls it."""


def comes_from_this_host(
    peer: str, http_version: str, headers: Mapping[str, str]
) -> bool:
    """Return whether a request surely shows no proxy, and its peer is
    loopback.

    `peer` is the address of the connection, empty if it has none; `headers`
    have lower-case names. HTTP/1.0 is what nginx speaks unless it is told
    otherwise, and a public name in `host` is what other proxies hand on.
    """
    if not _is_loopback(peer) or http_version == "1.0":
        return False

    if any(_is_sign(name) for name in headers):
        return False

    # A proxy closes the connection after each request, unless it is told to
    # keep it.
    if headers.get("connection", "").lower() == "close":
        return False

    return _without_port(headers.get("host", "")) in _LOCAL_NAMES


def _is_sign(name: str) -> bool:
    return name in _SIGNS or name.startswith(_SIGN_PREFIX)


def _is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False

    mapped = getattr(parsed, "ipv4_mapped", None)

    return (mapped or parsed).is_loopback


def _without_port(host: str) -> str:
    """Return the name or address of a `host` header, in lower case."""
    name, colon, port = host.lower().rpartition(":")
    has_port = bool(colon) and port.isdecimal()

    return name if has_port else host.lower()
