"""Which properties of a router hold something secret. Pure."""

from __future__ import annotations

MASK = "***"
"""What stands in place of a value that is not shown."""

_PARTS = (
    "client-config",
    "client-qr",
    "passphrase",
    "password",
    "preshared-key",
    "private-key",
    "secret",
    "shared-key",
    "static-key",
    "token",
)
"""A property whose name has one of these holds something secret."""


def is_sensitive(name: str) -> bool:
    """Return whether a property of a router holds something secret."""
    lower = name.lower()

    return any(part in lower for part in _PARTS)
