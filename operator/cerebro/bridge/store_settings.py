"""Where the bridge keeps what it must not lose: a file of its own, or a Redis
that several bridges share. The old relay's environment names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from cerebro.runtime.settings import BasicSettings

_DEFAULT_PORT = 6379
_SHAPE = (
    "must be redis://host:port/number, with rediss:// for TLS and "
    "user:password@ before the host where Redis wants them"
)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A Redis, and how to speak to it."""

    host: str
    port: int
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    tls: bool = False
    """Whether to speak TLS, and to verify the certificate and its name."""

    ca: Path | None = None
    """The file of the authorities to trust; None for the system's."""

    def __str__(self) -> str:
        """Return the address for people: without user and password."""
        scheme = "rediss" if self.tls else "redis"
        host = f"[{self.host}]" if ":" in self.host else self.host

        return f"{scheme}://{host}:{self.port}/{self.database}"


class StoreSettings(BasicSettings):
    """The settings of the bridge's store."""

    store_kind: Literal["file", "sqlite", "redis"] = Field(
        default="file",
        validation_alias="RELAY_STORE",
        description="Where tokens, nonces and orders are kept; `file` is `sqlite`.",
    )
    store: Path = Field(
        default=Path("data/relay.db"),
        description="SQLite file of tokens, nonces and the inbox; two bridges on a node may share it (E15).",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        validation_alias="REDIS_URL",
        description="The Redis of RELAY_STORE=redis. Default: made of REDIS_HOST and REDIS_PORT.",
    )
    redis_host: str = Field(
        default="127.0.0.1",
        validation_alias="REDIS_HOST",
        description="Host of the Redis, without REDIS_URL.",
    )
    redis_port: int = Field(
        default=_DEFAULT_PORT,
        ge=1,
        le=65535,
        validation_alias="REDIS_PORT",
        description="Port of the Redis, without REDIS_URL.",
    )
    redis_password: SecretStr | None = Field(
        default=None,
        validation_alias="REDIS_PASSWORD",
        description="Password of the Redis, where REDIS_URL has none.",
    )
    redis_ca: Path | None = Field(
        default=None,
        description="File of the authorities that a rediss:// Redis is verified by. Default: the system's.",
    )
    relay_namespace: str = Field(
        default="relay",
        pattern=r"^[A-Za-z0-9_.:-]{1,64}$",
        validation_alias="RELAY_NAMESPACE",
        description="Begin of all names in Redis: bridges with the same one share their store.",
    )

    @field_validator("store_kind", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("redis_url")
    @classmethod
    def _is_a_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _address(value.get_secret_value())

        return value

    @model_validator(mode="after")
    def _redis_can_be_verified(self) -> Self:
        if self.redis_ca is None or self.store_kind != "redis":
            return self

        if not self.redis.tls:
            raise ValueError(
                "CEREBRO_REDIS_CA: needs a REDIS_URL that begins with rediss://"
            )

        if not self.redis_ca.is_file():
            raise ValueError("CEREBRO_REDIS_CA: must be a file that exists")

        return self

    @property
    def redis(self) -> RedisAddress:
        """The Redis that the settings name."""
        password = self.redis_password
        secret = password.get_secret_value() if password else None
        if self.redis_url is None:
            return RedisAddress(
                self.redis_host, self.redis_port, password=secret
            )

        return _address(
            self.redis_url.get_secret_value(), secret, self.redis_ca
        )

    def store_warnings(self) -> list[str]:
        """Return what a careful operator would want to know at start."""
        if self.store_kind == "redis":
            return []

        return [
            f"{name} is ignored: RELAY_STORE is not redis"
            for name, given in (
                ("REDIS_URL", self.redis_url),
                ("REDIS_PASSWORD", self.redis_password),
            )
            if given is not None
        ]


def _address(
    url: str, password: str | None = None, ca: Path | None = None
) -> RedisAddress:
    """Return the Redis that a URL names; `password` counts where the URL has
    none.

    Raises ValueError without the URL, which may have a password.
    """
    parts = _split(url)
    number = parts.path.strip("/") or "0"
    if not number.isdecimal() or len(number) > 4:
        raise ValueError(_SHAPE)

    return RedisAddress(
        host=parts.hostname or "",
        port=_port(parts),
        database=int(number),
        username=unquote(parts.username or "") or None,
        password=unquote(parts.password or "") or password,
        tls=parts.scheme == "rediss",
        ca=ca,
    )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(_SHAPE) from None

    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError(_SHAPE)

    if parts.query or parts.fragment:
        raise ValueError(f"{_SHAPE}; nothing may follow")

    return parts


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or _DEFAULT_PORT
    except ValueError:
        raise ValueError(_SHAPE) from None
