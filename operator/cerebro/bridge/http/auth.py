"""Who may call: tokens by scope, compared in constant time, and which paths
need a signature (D5). No state.

The main token opens everything but the internal endpoints; each narrow token
opens its own. Old clients send a token in either of two headers.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from enum import Enum

from pydantic import SecretStr

from cerebro.bridge.errors import ApiError
from cerebro.bridge.settings import BridgeSettings
from cerebro.resources.addresses import parse_address, parse_network


class Access(Enum):
    """What a path requires of its caller."""

    OPEN = "open"
    """Nothing: probes send no headers."""
    TOKEN = "token"  # noqa: S105 a name
    """The main token."""
    METRICS = "metrics"
    """The main token, or the token for metrics."""
    LOCAL_METRICS = "local metrics"
    """The same; where no token for metrics is set, a caller on this host needs
    none.
    """
    HEALTH = "health"
    """The main token, or one of those for health and tools."""
    SIGNED = "signed"
    """The main token, and a signature."""
    TOOLS = "tools"
    """The main token or that for tools, and a signature: what only reads."""
    EXEC = "exec"
    """The main token or that for commands, and a signature."""
    KICK = "kick"
    """The main token or one of those for tools and commands, and a signature."""
    INTERNAL = "internal"
    """The internal token, or an address in the internal list."""

    @property
    def needs_signature(self) -> bool:
        """Whether a caller has to sign, unless a setting says otherwise."""
        return self in _SIGNED


_METRICS = frozenset({Access.METRICS, Access.LOCAL_METRICS})
_SIGNED = frozenset({Access.SIGNED, Access.TOOLS, Access.EXEC, Access.KICK})


class Tokens:
    """The tokens that open each kind of path."""

    def __init__(self, settings: BridgeSettings) -> None:
        main = settings.relay_token
        tools, commands = settings.relay_token_tools, settings.relay_token_exec
        self._by_access: dict[Access, tuple[bytes, ...]] = {
            Access.TOKEN: _bytes(main),
            Access.METRICS: _bytes(main, settings.metrics_token),
            Access.LOCAL_METRICS: _bytes(main, settings.metrics_token),
            Access.HEALTH: _bytes(main, settings.relay_token_health, tools),
            Access.SIGNED: _bytes(main),
            Access.TOOLS: _bytes(main, tools),
            Access.EXEC: _bytes(main, commands),
            Access.KICK: _bytes(main, tools, commands),
        }
        self._internal = _bytes(settings.relay_internal_token)
        self._internal_networks = [
            parse_network(network) for network in settings.internal_whitelist
        ]

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
        sent = _sent(headers, metrics=access in _METRICS)
        if not _any_equal(sent, accepted):
            raise ApiError(
                401,
                "UNAUTHORIZED",
                "a token is missing or wrong: send Authorization: Bearer, or x-relay-token",
            )

    def check_internal(
        self, headers: Mapping[str, str], address: str | None
    ) -> None:
        """Let through a caller of an internal endpoint, by its token or by its
        address.

        `address` is the caller's, None if it cannot be relied on: behind a
        proxy that no setting trusts every caller would have the proxy's.

        Raises ApiError 403 `forbidden`, and `internal_token_not_configured`
        where no token could open the endpoint.
        """
        if self.is_internal(headers) or self._is_listed(address):
            return

        if not self._internal:
            raise ApiError(
                403,
                "internal_token_not_configured",
                "RELAY_INTERNAL_TOKEN is not set, and this address is not in RELAY_INTERNAL_WHITELIST",
            )

        raise ApiError(
            403,
            "forbidden",
            "this endpoint is internal: send x-relay-internal-token",
        )

    def is_internal(self, headers: Mapping[str, str]) -> bool:
        """Return whether a caller sent the internal token; dashboards call the
        header `x-relay-internal`.
        """
        names = ("x-relay-internal-token", "x-relay-internal")
        sent = [headers.get(name, "") for name in names]

        return _any_equal(_encoded(sent), self._internal)

    def _is_listed(self, address: str | None) -> bool:
        """Return whether an address is in the internal list."""
        if address is None:
            return False

        try:
            parsed = parse_address(address)
        except ValueError:
            return False

        return any(parsed in network for network in self._internal_networks)


def _any_equal(sent: Sequence[bytes], accepted: Sequence[bytes]) -> bool:
    """Return whether one of the tokens was sent, after all were compared."""
    matches = [
        hmac.compare_digest(token, candidate)
        for token in sent
        for candidate in accepted
    ]

    return any(matches)


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

    return _encoded(sent)


def _encoded(sent: Sequence[str]) -> list[bytes]:
    """Return the bytes of the tokens that are not empty."""
    return [text.encode("latin-1", "replace") for text in sent if text]
