"""WireGuard keys: making a pair, deriving, checking. Pure but for the randomness; never repeats a key's text."""

from __future__ import annotations

import base64
import binascii

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

LENGTH = 32


class InvalidKey(ValueError):
    """A text is no key; the message says why and what to write, and never holds the text."""


def generate_private_key() -> str:
    """Make a new private key, clamped as WireGuard keeps it, so that what an interface gives back is equal."""
    return _encode(_clamp(X25519PrivateKey.generate().private_bytes_raw()))


def derive_public_key(private_key: str) -> str:
    """Give the public key of a private one; raises InvalidKey."""
    private = _decode(private_key, "private key")
    return _encode(X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw())


def check_private_key(text: str) -> str:
    """Give a private key in the clamped form in which WireGuard keeps it; raises InvalidKey."""
    return _encode(_clamp(_decode(text, "private key")))


def check_key(text: str, what: str = "public key") -> str:
    """Give a public or preshared key without blanks around it; `what` names it in the message of InvalidKey."""
    return _encode(_decode(text, what))


def _decode(text: str, what: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (ValueError, binascii.Error):
        raise InvalidKey(f"the {what} is not base64: write it as wg prints it, 44 characters") from None
    if len(key) != LENGTH:
        raise InvalidKey(f"the {what} has {len(key)} bytes, not {LENGTH}: write it as wg prints it")
    if not any(key):
        raise InvalidKey(f"the {what} is all zero, which WireGuard takes as none: write a real one")
    return key


def _clamp(key: bytes) -> bytes:
    return bytes([key[0] & 248, *key[1:31], (key[31] & 127) | 64])


def _encode(key: bytes) -> str:
    return base64.b64encode(key).decode()
