"""Settings of `cerebro bridge`: the old relay's environment names where they
still mean the same, and ours.

Times whose names end in _MS are milliseconds, as they were. Variables of the
old relay about routers and WireGuard are fields of Device and Hub now, and not
here.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

from cerebro.bridge.audit_settings import AuditSettings
from cerebro.bridge.database_settings import DatabaseSettings
from cerebro.bridge.device_settings import DeviceSettings
from cerebro.bridge.feed_settings import FeedSettings
from cerebro.bridge.store_settings import StoreSettings
from cerebro.resources.addresses import parse_network
from cerebro.resources.session import MAX_TRIAL_MINUTES
from cerebro.resources.values import NAME_PATTERN
from cerebro.runtime.floors import Floor
from cerebro.runtime.settings import (
    GrantSettings,
    InstallationSettings,
    KubernetesSettings,
    LeaseSettings,
)

MAX_BODY = 64 * 1024
DEFAULT_CALLS_PER_ROUTER = 600

Window = Annotated[int, Field(le=3_600_000), Floor(1_000)]


class BridgeSettings(
    DatabaseSettings,
    FeedSettings,
    StoreSettings,
    AuditSettings,
    DeviceSettings,
    KubernetesSettings,
    LeaseSettings,
    GrantSettings,
    InstallationSettings,
):
    """The settings of `cerebro bridge`."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        validation_alias=AliasChoices("CEREBRO_LOG_LEVEL", "RELAY_LOG_LEVEL"),
        description="Least severity that is logged; the old relay's `warn` is WARNING.",
    )
    bind_host: str = Field(
        default="127.0.0.1",
        validation_alias="BIND_HOST",
        description="Address to listen on.",
    )
    port: int = Field(
        default=3001,
        ge=0,
        le=65535,
        validation_alias="PORT",
        description="Port to listen on; 0 takes a free one.",
    )
    hub: str | None = Field(
        default=None,
        pattern=NAME_PATTERN,
        description="The Hub of Devices that come over HTTP; none: the only Hub there is (F9).",
    )
    agent_metrics: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="URLs of agents' /metrics, separated by commas, for handshakes and traffic of peers; "
        "none: they are not known.",
    )
    agent_metrics_token: SecretStr | None = Field(
        default=None,
        description="Bearer token for them: CEREBRO_HEALTH_TOKEN of the agents.",
    )

    relay_token: SecretStr = Field(
        validation_alias="RELAY_TOKEN",
        min_length=1,
        description="The token that opens every endpoint.",
    )
    relay_token_tools: SecretStr | None = Field(
        default=None,
        validation_alias="RELAY_TOKEN_TOOLS",
        description="Opens ping, ARP and active clients, kicks and health too.",
    )
    relay_token_exec: SecretStr | None = Field(
        default=None,
        validation_alias="RELAY_TOKEN_EXEC",
        description="Opens exec and kicks too.",
    )
    relay_token_health: SecretStr | None = Field(
        default=None,
        validation_alias="RELAY_TOKEN_HEALTH",
        description="Opens health too.",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        validation_alias="METRICS_TOKEN",
        description="Opens metrics too, also as x-metrics-token; none: /metrics is open to programs on this host.",
    )
    relay_internal_token: SecretStr | None = Field(
        default=None,
        validation_alias="RELAY_INTERNAL_TOKEN",
        description="Opens /internal/*, and what operators see of identities.",
    )
    internal_whitelist: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        validation_alias="RELAY_INTERNAL_WHITELIST",
        description="Addresses or networks that need no internal token for /internal/*, separated by commas (F7).",
    )
    strict_security: bool = Field(
        default=False,
        validation_alias="RELAY_STRICT_SECURITY",
        description="Start only with RELAY_API_SECRET and RELAY_INTERNAL_TOKEN.",
    )
    relay_api_secret: SecretStr | None = Field(
        default=None,
        validation_alias="RELAY_API_SECRET",
        description="Key of the requests' HMAC. Required unless RELAY_ALLOW_UNSIGNED is `all`.",
    )
    allow_unsigned: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        validation_alias="RELAY_ALLOW_UNSIGNED",
        description="Paths that need no signature, separated by commas; `all` for every path (D5).",
    )
    allow_legacy_signatures: bool = Field(
        default=False,
        validation_alias="RELAY_ALLOW_LEGACY_SIGNATURES",
        description="Take signatures that do not bind method and path (forms C and D) too (D5).",
    )
    ts_skew_ms: Window = Field(
        default=120_000,
        validation_alias="RELAY_TS_SKEW_MS",
        description="How far a signed time may be from our clock: form A, and B without HMAC_WINDOW_MS.",
    )
    hmac_window_ms: Annotated[
        int | None, Field(le=3_600_000), Floor(1_000)
    ] = Field(
        default=None,
        validation_alias="HMAC_WINDOW_MS",
        description="The same for forms B and C. Default: RELAY_TS_SKEW_MS.",
    )
    nonce_ttl_ms: Annotated[int, Field(le=86_400_000), Floor(1_000)] = Field(
        default=300_000,
        validation_alias="RELAY_NONCE_TTL_MS",
        description="How long a nonce is remembered; at least twice the larger window, and raised to it.",
    )

    head_timeout: float = Field(
        default=5,
        ge=0.1,
        le=60,
        description="Seconds in which a request's head has to come, from the connection on.",
    )
    body_timeout: float = Field(
        default=5,
        ge=0.1,
        le=60,
        description="Seconds in which a request's body has to come, from its head on.",
    )
    max_connections: int = Field(
        default=512,
        ge=8,
        le=65_536,
        description="Open connections; for a further one that is closed which is longest without a request.",
    )
    refusal_limit: int = Field(
        default=60,
        ge=1,
        description="Calls per window from an address without a valid token; more of them are 429 (F7).",
    )
    rate_limit: int | None = Field(
        default=None,
        ge=1,
        validation_alias="RELAY_RATE_LIMIT",
        description="Calls per window. Unset: 600 signed ones for a router, 60 others for a client (F7).",
    )
    router_rate_limit: int | None = Field(
        default=None,
        ge=1,
        validation_alias="RATE_LIMIT_PER_ROUTER",
        description="Signed calls per window for a router; none: as RELAY_RATE_LIMIT says (F7).",
    )
    rate_window_ms: Window = Field(
        default=60_000,
        validation_alias="RELAY_RATE_WINDOW_MS",
        description="The window of RELAY_RATE_LIMIT and CEREBRO_REFUSAL_LIMIT.",
    )
    retry_cooldown_ms: Window = Field(
        default=30_000,
        validation_alias="RELAY_RETRY_NOW_COOLDOWN_MS",
        description="How often /relay/identity/retry-now is taken for a customer.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        validation_alias="RELAY_TRUSTED_PROXIES",
        description="Networks whose X-Forwarded-For is believed, separated by commas (F7).",
    )

    dry_run: bool = Field(
        default=False,
        validation_alias="RELAY_DRY_RUN",
        description="Answer, and change nothing (F6).",
    )
    trial_minutes: float = Field(
        default=5,
        gt=0,
        le=MAX_TRIAL_MINUTES,
        validation_alias="RELAY_TRIAL_MINUTES",
        description="Length of a trial that names none (A5).",
    )
    trials_per_day: int = Field(
        default=0,
        ge=0,
        description="Trials that a phone may have on a router in a day (UTC); 0: any number (A12).",
    )
    paid_minutes: float = Field(
        default=0,
        ge=0,
        le=525_600,
        validation_alias="RELAY_PAID_MINUTES",
        description="Length of a paid order that names none; 0: until it is revoked (A5).",
    )
    answer_timeout_ms: Annotated[int, Field(le=4_500), Floor(100)] = Field(
        default=4_000,
        validation_alias="RELAY_ANSWER_TIMEOUT_MS",
        description="The latest answer after a request's arrival; clients give up after 5 s (A7).",
    )
    service_version: str | None = Field(
        default=None,
        validation_alias="RELAY_VERSION",
        description="version in /relay/identity; none: that of RELAY_BUILD_VERSION.",
    )
    version: str | None = Field(
        default=None,
        validation_alias="RELAY_BUILD_VERSION",
        description="build.version in /relay/health.",
    )
    sha: str | None = Field(
        default=None,
        validation_alias="RELAY_BUILD_SHA",
        description="build.sha in /relay/health.",
    )

    @field_validator(
        "agent_metrics",
        "allow_unsigned",
        "internal_whitelist",
        "trusted_proxies",
        mode="before",
    )
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if not isinstance(value, str):
            return value

        parts = [part.strip() for part in value.split(",")]

        return tuple(part for part in parts if part)

    @field_validator("agent_metrics")
    @classmethod
    def _urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            if not re.fullmatch(r"https?://[^\s/]+/\S*", url):
                raise ValueError(
                    "must be URLs separated by commas, such as http://192.0.2.1:8080/metrics"
                )

        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _old_name_of_warning(cls, value: object) -> object:
        is_old = isinstance(value, str) and value.upper() == "WARN"
        return "WARNING" if is_old else value

    @field_validator("internal_whitelist", "trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(
                str(parse_network(part, strict=False)) for part in value
            )
        except ValueError:
            raise ValueError(
                "must be networks or addresses separated by commas, such as 10.0.0.0/8"
            ) from None

    @model_validator(mode="after")
    def _signed(self) -> Self:
        if not self.unsigned_everywhere and not self._secret_text():
            raise ValueError(
                "RELAY_API_SECRET: must be set, the key that requests are signed with; "
                "or RELAY_ALLOW_UNSIGNED=all to take requests that nobody signed"
            )

        if self.strict_security:
            self._require_strictly()

        return self

    def _require_strictly(self) -> None:
        """Raise ValueError for what a strict bridge does not start without."""
        if not self._secret_text():
            raise ValueError(
                "RELAY_API_SECRET: must be set, for RELAY_STRICT_SECURITY is"
            )

        token = self.relay_internal_token
        if token is None or not token.get_secret_value():
            raise ValueError(
                "RELAY_INTERNAL_TOKEN: must be set, for RELAY_STRICT_SECURITY is"
            )

    def _secret_text(self) -> str:
        return (
            self.relay_api_secret.get_secret_value()
            if self.relay_api_secret
            else ""
        )

    @property
    def secret(self) -> str | None:
        """The HMAC key, None if there is none."""
        return self._secret_text() or None

    @property
    def opens_metrics(self) -> bool:
        """Whether a program on this host needs no token for /metrics."""
        token = self.metrics_token
        has_token = token is not None and token.get_secret_value() != ""

        return not has_token and not self.strict_security

    @property
    def calls_per_router(self) -> int:
        """Signed calls of a window for a router (F7)."""
        return (
            self.router_rate_limit
            or self.rate_limit
            or DEFAULT_CALLS_PER_ROUTER
        )

    @property
    def unsigned_everywhere(self) -> bool:
        """Whether no path needs a signature."""
        return "all" in self.allow_unsigned

    @property
    def window_b_ms(self) -> int:
        """The clock window of forms B and C, in milliseconds on both sides."""
        return self.hmac_window_ms or self.ts_skew_ms

    @property
    def request_valid_for_ms(self) -> int:
        """For how many milliseconds after its arrival a signed request can be
        sent once more before its time refuses it.

        One that is dated ahead by a window stays valid for two windows.
        """
        return 2 * max(self.ts_skew_ms, self.window_b_ms)

    @property
    def nonce_memory_ms(self) -> int:
        """How long nonces are kept, in milliseconds."""
        return max(self.nonce_ttl_ms, self.request_valid_for_ms)

    def warnings(self) -> list[str]:
        """Return what a careful operator would want to know at start, a
        sentence each.
        """

        warnings = self.store_warnings()

        if self.nonce_memory_ms > self.nonce_ttl_ms:
            warnings.append(
                f"RELAY_NONCE_TTL_MS is raised to {self.nonce_memory_ms}: twice the clock window"
            )

        if self.paid_minutes == 0:
            warnings.append(
                "RELAY_PAID_MINUTES is not set: paid orders that name no end never end (A5)"
            )

        if self.allow_unsigned:
            warnings.append(
                "RELAY_ALLOW_UNSIGNED is set: who has a token needs no signature on those paths (D5)"
            )

        if self.allow_legacy_signatures:
            warnings.append(
                "RELAY_ALLOW_LEGACY_SIGNATURES is set: forms C and D do not bind method and path (D5)"
            )

        if self.dry_run:
            warnings.append("RELAY_DRY_RUN is set: no Session is made")

        return warnings + self.feed_warnings() + self.database_warnings()
