"""Who may call: tokens by scope, compared in constant time, and which paths
need a signature (D5). No state.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from enum import Enum

from pydantic import SecretStr

from cerebro.bridge.errors import ApiError
from cerebro.bridge.settings import BridgeSettings


class Access(Enum):
    """What a path requires of its caller."""

    OPEN = "open"
    """Nothing: probes send no headers."""
    TOKEN = "token"  # noqa: S105 a name
    """The main token."""
    METRICS = "metrics"
    """The main token, or the token for metrics."""
    HEALTH = "health"
    """The main token, or one of those for health and tools."""
    SIGNED = "signed"
    """The main token, and a signature."""


class Tokens:
    """The tokens that open each kind of path."""

    def __init__(self, settings: BridgeSettings) -> None:
        main = settings.relay_token
        self._by_access: dict[Access, tuple[bytes, ...]] = {
            Access.TOKEN: _bytes(main),
            Access.METRICS: _bytes(main, settings.metrics_token),
            Access.HEALTH: _bytes(
                main, settings.relay_token_health, settings.relay_token_tools
            ),
            Access.SIGNED: _bytes(main),
        }

    def check(self, access: Access, headers: Mapping[str, str]) -> None:
        """Let through a caller who sent a token of this kind of path in any of
        the headers.

        `headers` have lower-case names. All tokens are compared, so the time
        that it takes says nothing about which was nearly right.

        Raises ApiError 401 `UNAUTHORIZED`.
        """

        if access is Access.OPEN:
            return

        accepted = self._by_access[access]
        sent = _sent(headers, metrics=access is Access.METRICS)
        matches = [
            hmac.compare_digest(token, candidate)
            for token in sent
            for candidate in accepted
        ]
        if not any(matches):
            raise ApiError(
                401,
                "UNAUTHORIZED",
                "a token is missing or wrong: send Authorization: Bearer, or x-relay-token",
            )


def _bytes(*tokens: SecretStr | None) -> tuple[bytes, ...]:
    """Return the tokens that are set."""
    texts = [token.get_secret_value() for token in tokens if token is not None]
    return tuple(text.encode() for text in texts if text)


def _sent(headers: Mapping[str, str], *, metrics: bool) -> list[bytes]:
    """Return the tokens that a caller sent; `x-metrics-token` counts on paths
    of metrics only.
    """

    sent = [headers.get("x-relay-token", "")]

    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        sent.append(bearer.strip())

    if metrics:
        sent.append(headers.get("x-metrics-token", ""))

    return [text.encode("latin-1", "replace") for text in sent if text]
