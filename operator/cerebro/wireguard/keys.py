"""WireGuard keys: making a pair, deriving, checking. Pure but for the
randomness.

Keys are text: base64 of 32 bytes, as `wg` prints them. No error and no log
ever repeats a key's text.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

LENGTH = 32
"""Bytes of a key."""


class InvalidKey(ValueError):
    """A text is no key; the message says why and what to write, and never
    holds the text.
    """


def generate_private_key() -> str:
    """Return a new private key.

    It is clamped as WireGuard keeps it, so that the key which an interface
    gives back is equal.
    """
    raw = X25519PrivateKey.generate().private_bytes_raw()

    return _encode(_clamp(raw))


def derive_public_key(private_key: str) -> str:
    """Return the public key of a private one. Raises InvalidKey."""
    raw = _decode(private_key, "private key")
    public = X25519PrivateKey.from_private_bytes(raw).public_key()

    return _encode(public.public_bytes_raw())


def check_private_key(text: str) -> str:
    """Return a private key in the clamped form in which WireGuard keeps it.
    Raises InvalidKey.
    """
    raw = _decode(text, "private key")

    return _encode(_clamp(raw))


def check_key(text: str, name: str = "public key") -> str:
    """Return a public or preshared key without the blanks around it.

    Raises InvalidKey, whose message calls the key by `name`.
    """
    return _encode(_decode(text, name))


def _decode(text: str, name: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (ValueError, binascii.Error):
        raise InvalidKey(
            f"the {name} is not base64: write it as wg prints it, 44 characters"
        ) from None

    if len(key) != LENGTH:
        raise InvalidKey(
            f"the {name} has {len(key)} bytes, not {LENGTH}: write it as wg prints it"
        )

    if not any(key):
        raise InvalidKey(
            f"the {name} is all zero, which WireGuard takes as none: write a real one"
        )

    return key


def _clamp(key: bytes) -> bytes:
    """Return a private key with the bits set that Curve25519 fixes (RFC 7748,
    section 5).
    """
    first = key[0] & 248
    last = (key[31] & 127) | 64

    return bytes([first, *key[1:31], last])


def _encode(key: bytes) -> str:
    return base64.b64encode(key).decode()
