"""The PostgreSQL database of the backend, which the bridge may ask whether an
order was paid. The old relay's environment names, and ours for the query.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from cerebro.runtime.floors import Floor
from cerebro.runtime.settings import BasicSettings

QUERY_PARAMETERS = (
    "order_id",
    "router_id",
    "device_token",
    "mac",
    "ip",
)
"""What a query may name, as `%(order_id)s`; each is a text or NULL."""

_SHAPE = (
    "must be postgresql://user:password@host:port/database; a character such "
    "as @ or / in user or password is written as %40 or %2F"
)
_URL_OPTIONS = ("host", "options", "target_session_attrs")
"""What may follow a `?` in the URL and counts."""

_PERCENT = re.compile(r"%(?:%|\((?P<name>\w+)\)s|(?P<loose>.?))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """A database, and how to speak to it."""

    url: str = field(repr=False)
    """With user and password, and without options that libpq does not know."""

    tls: bool = True
    """Whether to speak TLS, and to verify the certificate and its name."""

    ca: Path | None = None
    """The file of the authorities to trust; None for the system's."""

    pool_size: int = 5
    """Connections at most."""

    idle_for: float = 30.0
    """Seconds after which a connection that nobody uses is closed."""


class DatabaseSettings(BasicSettings):
    """The settings of the order check."""

    database_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("RELAY_DATABASE_URL", "DATABASE_URL"),
        description="The PostgreSQL that CEREBRO_ORDER_QUERY asks; sslmode in it does not count.",
    )
    database_ssl: bool = Field(
        default=True,
        validation_alias="RELAY_DB_SSL",
        description="Speak TLS to the database, and verify its certificate and its name.",
    )
    database_ca: Path | None = Field(
        default=None,
        description="File of the authorities that the database is verified by. Default: the system's.",
    )
    database_pool_size: int = Field(
        default=5,
        ge=1,
        le=100,
        validation_alias="RELAY_DB_POOL_SIZE",
        description="Connections to the database at most.",
    )
    database_idle_ms: Annotated[int, Field(le=3_600_000), Floor(1_000)] = (
        Field(
            default=30_000,
            validation_alias="RELAY_DB_IDLE_MS",
            description="Time after which a connection to the database that nobody uses is closed.",
        )
    )
    order_query: str | None = Field(
        default=None,
        description="The query by which a paid order is checked before it is granted (A5); none: no check.",
    )
    order_query_timeout: float = Field(
        default=2.0,
        ge=0.1,
        le=3.0,
        description="Time in which the answer to CEREBRO_ORDER_QUERY has to come.",
    )
    order_query_away: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="While the database is away: `refuse` says 503 and tries on, `allow` grants unchecked.",
    )

    @field_validator("order_query_away", mode="before")
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _is_a_database(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _split_options(value.get_secret_value())

        return value

    @field_validator("order_query")
    @classmethod
    def _has_known_parameters(cls, value: str | None) -> str | None:
        if value is not None:
            _check_parameters(value)

        return value

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if self.order_query is None:
            return self

        if self.database_url is None:
            raise ValueError(
                "CEREBRO_ORDER_QUERY: needs RELAY_DATABASE_URL, the database to ask"
            )

        if self.database_ca is None:
            return self

        if not self.database_ssl:
            raise ValueError("CEREBRO_DATABASE_CA: needs RELAY_DB_SSL=true")

        if not self.database_ca.is_file():
            raise ValueError("CEREBRO_DATABASE_CA: must be a file that exists")

        return self

    @property
    def database(self) -> DatabaseAddress | None:
        """The database that the settings name, None if they name none."""
        if self.database_url is None:
            return None

        url, _ = _split_options(self.database_url.get_secret_value())

        return DatabaseAddress(
            url=url,
            tls=self.database_ssl,
            ca=self.database_ca,
            pool_size=self.database_pool_size,
            idle_for=self.database_idle_ms / 1000,
        )

    def database_warnings(self) -> list[str]:
        """Return what a careful operator would want to know at start."""
        if self.order_query is None:
            if self.database_url is None:
                return []

            return [
                "RELAY_DATABASE_URL, or DATABASE_URL, is ignored: CEREBRO_ORDER_QUERY is not set"
            ]

        warnings: list[str] = []
        if self.order_query_away == "allow":
            warnings.append(
                "CEREBRO_ORDER_QUERY_AWAY is allow: while the database is away nobody's payment is checked"
            )

        if not self.database_ssl:
            warnings.append(
                "RELAY_DB_SSL is off: who can change what the database answers is let in"
            )

        assert self.database_url is not None
        _, ignored = _split_options(self.database_url.get_secret_value())
        if ignored:
            warnings.append(
                f"RELAY_DATABASE_URL: these options do nothing: {', '.join(ignored)}"
            )

        return warnings


def _split_options(url: str) -> tuple[str, list[str]]:
    """Return a URL with the options that count, and the names of the others,
    which drivers of other languages have.

    Raises ValueError without the URL, which may have a password.
    """
    try:
        parts = urlsplit(url)
        options = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        raise ValueError(_SHAPE) from None

    if parts.scheme not in ("postgres", "postgresql") or parts.fragment:
        raise ValueError(_SHAPE)

    counting = [pair for pair in options if pair[0] in _URL_OPTIONS]
    ignored = [name for name, _ in options if name not in _URL_OPTIONS]
    if not parts.netloc and not counting:
        raise ValueError(_SHAPE)

    rest = parts._replace(query=urlencode(counting))

    return urlunsplit(rest), ignored


def _check_parameters(query: str) -> None:
    """Raise ValueError for a query that names what it does not get, or that
    does not name the order.
    """
    if not query.strip():
        raise ValueError("must be a query")

    named = set()
    for match in _PERCENT.finditer(query):
        if match["loose"] is not None:
            raise ValueError(
                "a percent sign that begins no parameter such as %(order_id)s is written twice, %%"
            )

        if match["name"] is not None:
            named.add(match["name"])

    unknown = sorted(named - set(QUERY_PARAMETERS))
    if unknown:
        raise ValueError(
            f"has no parameter {', '.join(unknown)}: there are {', '.join(QUERY_PARAMETERS)}"
        )

    if "order_id" not in named:
        raise ValueError(
            "must name %(order_id)s: else it says the same of every order"
        )
