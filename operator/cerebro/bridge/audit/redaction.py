"""Takes what is secret out of a request before it is shown to an auditor, at
every depth. Pure.

Passwords and keys are not shown at all. The token of a phone, which lets who
knows it ask for access, is shown as the begin of its SHA-256: equal tokens can
be recognised. MAC and address stay, for that is what an auditor asks for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

MASK = "***"

_SECRET_NAME = re.compile(
    r"(?i)pass|secret|signature|authorization|cookie|credential|preshared|psk|hmac|nonce"
    r"|(?:private|shared|static|api)[-_]?key|pwd"
)
_SECRET, _TOKEN = "secret", "token"
_LONGEST_NAME = 64
"""Characters of a name that is looked at: what has a longer one is masked."""

_TOKEN_NAME = re.compile(r"(?i)token|^sid$|^identity$")

_SECRET_WORD = re.compile(
    r"(?i)([\w-]*(?:pass|secret|token|psk|pwd|(?:private|shared|static|api|preshared)-key)[\w-]*\s*[=:]\s*)"
    r"(\"[^\"]*\"|'[^']*'|[^\s,;\"']+)"
)
"""A secret within a text, such as a sentence for a router: `password=x`."""

_HINT = re.compile(r"(?i)(?:pass|secret|token|psk|pwd|key)[\w-]*\s*[=:]")
"""What a text has that needs a closer look; none without one of these signs."""

_DEPTH = 8
"""Levels of objects and lists that are shown; what is deeper is masked."""
_ITEMS = 40
"""Members of an object or a list that are shown."""
_TEXT = 256
"""Characters of a text that are shown."""


def token_mark(token: str) -> str:
    """Return what stands for a phone's token: equal for equal tokens, and of
    no use to who reads it.
    """
    digest = hashlib.sha256(token.encode("utf-8", "surrogatepass"))

    return f"sha256:{digest.hexdigest()[:16]}"


def redacted(fields: Mapping[str, Any], depth: int = _DEPTH) -> dict[str, Any]:
    """Return an object without its secrets, and no longer than can be shown."""
    names = list(fields)
    shown: dict[str, Any] = {}
    for name in names[:_ITEMS]:
        shown_name, secrecy = _name(name)
        shown[shown_name] = _shown(secrecy, fields[name], depth)

    if len(names) > _ITEMS:
        shown["…"] = f"{len(names) - _ITEMS} more"

    return shown


def cut(text: str) -> str:
    """Return a text without secrets within it, and no longer than can be
    shown.
    """
    may_assign = "=" in text or ":" in text
    if may_assign and _HINT.search(text):
        text = _SECRET_WORD.sub(rf"\1{MASK}", text)

    return text if len(text) <= _TEXT else f"{text[:_TEXT]}…"


def _name(name: str) -> tuple[str, str]:
    """Return how a name is shown, and the secrecy of its values."""
    if len(name) > _LONGEST_NAME:
        return cut(name), _SECRET

    return _short_name(name)


@lru_cache(maxsize=1024)
def _short_name(name: str) -> tuple[str, str]:
    """Return the same of a name that comes again and again."""
    return cut(name), _secrecy(name)


def _shown(secrecy: str, value: Any, depth: int) -> Any:
    """Return what is shown of a value whose name has that secrecy."""
    if value is None or isinstance(value, bool):
        return value

    if secrecy == _SECRET:
        return MASK

    if secrecy == _TOKEN:
        return token_mark(value) if isinstance(value, str) else MASK

    if isinstance(value, str):
        return cut(value)

    if isinstance(value, int | float):
        return value

    return _shown_inside(secrecy, value, depth)


def _secrecy(name: str) -> str:
    """Return what a value with that name is: secret, a token, or neither."""
    if _SECRET_NAME.search(name):
        return _SECRET

    return _TOKEN if _TOKEN_NAME.search(name) else ""


def _shown_inside(secrecy: str, value: Any, depth: int) -> Any:
    """Return what is shown of an object or a list."""
    if depth <= 0:
        return MASK

    if isinstance(value, Mapping):
        return redacted(value, depth - 1)

    if not isinstance(value, list | tuple):
        return MASK

    items = [_shown(secrecy, item, depth - 1) for item in value[:_ITEMS]]
    if len(value) > _ITEMS:
        items.append(f"… {len(value) - _ITEMS} more")

    return items
