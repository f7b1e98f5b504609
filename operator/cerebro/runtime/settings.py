"""Settings that several processes share, and how a process reads its own from
the environment, once at start.

The variable of a field is its name in capitals after the prefix CEREBRO_
(`node_name` is CEREBRO_NODE_NAME). Times are in seconds. A value that cannot
be used ends the start with a message that names the variable and never repeats
the value, which may be a secret. A variable that a process does not know is
ignored.

Each process has a `settings.py` of its own, composed of the classes here: it
accepts what it uses and nothing else. What concerns one Hub, Device or Session
is a field of that object and does not belong here.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "CEREBRO_"
NAMESPACE_FILE = Path(
    "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
)

_NAMESPACE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")

Seconds = Annotated[float, Field(gt=0, le=7 * 86400)]


class SettingsError(Exception):
    """A setting is missing or cannot be used; the message has one line for
    each, with its variable.
    """


class BasicSettings(BaseSettings):
    """Settings of every process."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least severity that is logged."
    )
    log_format: Literal["json", "console"] = Field(
        default="json",
        description="`json` for machines, one object a line; `console` for people.",
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value


class TunnelSettings(BasicSettings):
    """Settings of `cerebro tunnel`; the agent has them too, because it talks
    to that process.
    """

    run_folder: Path = Field(
        default=Path("/run/cerebro"),
        description="Folder of the socket on which `cerebro tunnel` takes requests for userspace interfaces (E2).",
    )
    wireguard_sockets: Path = Field(
        default=Path("/var/run/wireguard"),
        description="Folder in which wireguard-go puts its sockets; wireguard-go knows no other.",
    )


class KubernetesSettings(BasicSettings):
    """Settings of a process that watches the API server: agent, operator and
    bridge.
    """

    kubeconfig: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("CEREBRO_KUBECONFIG", "KUBECONFIG"),
        description="File that says where the API server is and who we are; none: the pod's service account.",
    )
    namespace: str = Field(
        default="",
        validate_default=True,
        description="Namespace of the installation: our Leases live there. Default: the pod's own.",
    )
    store_check_interval: Seconds = Field(
        default=120.0,
        description="Time between two comparisons of the store with the API server's list (E7).",
    )
    request_timeout: Seconds = Field(
        default=30.0,
        description="Deadline of one request to the API server; a shorter one finds a dead connection sooner.",
    )
    watch_timeout: Seconds = Field(
        default=240.0,
        description="Age at which the API server ends a watch and a new one goes on from there.",
    )
    backoff_ceiling: Seconds = Field(
        default=30.0,
        description="Longest wait between tries while the API server cannot be reached.",
    )
    drain_timeout: Seconds = Field(
        default=5.0,
        description="Time that work in hand gets to finish after SIGTERM (E14).",
    )

    @field_validator("namespace")
    @classmethod
    def _own_namespace(cls, value: str) -> str:
        if not value and NAMESPACE_FILE.is_file():
            value = NAMESPACE_FILE.read_text(encoding="ascii").strip()

        if not value:
            raise ValueError(
                "must be set outside of a pod: the namespace in which Cérebro is installed"
            )

        if not _NAMESPACE_NAME.match(value):
            raise ValueError(
                "must be the name of a namespace: lower-case letters, digits and '-', at most 63"
            )

        return value


class ServedNamespaces(KubernetesSettings):
    """Which namespaces agent and operator serve."""

    namespaces: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        max_length=100,
        description="Namespaces that are served, separated by commas. Default: that of the installation.",
    )

    @field_validator("namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value

        names = (part.strip() for part in value.split(","))

        return tuple(dict.fromkeys(name for name in names if name))

    @field_validator("namespaces")
    @classmethod
    def _are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not _NAMESPACE_NAME.match(name):
                raise ValueError(
                    "must be names of namespaces separated by commas"
                )

        return value

    @model_validator(mode="after")
    def _own_namespace_by_default(self) -> Self:
        if not self.namespaces:
            self.namespaces = (self.namespace,)

        return self


class LeaseSettings(BasicSettings):
    """How agent and operator hold their Leases (E1)."""

    lease_duration: Seconds = Field(
        default=15.0,
        description="Time without renewal after which another may take a Lease of ours (E1).",
    )
    lease_renew_interval: Seconds = Field(
        default=5.0,
        description="Time between renewals of a Lease; at most half of CEREBRO_LEASE_DURATION.",
    )

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        if self.lease_renew_interval * 2 > self.lease_duration:
            raise ValueError(
                "CEREBRO_LEASE_RENEW_INTERVAL: must be at most half of CEREBRO_LEASE_DURATION, "
                "or one lost request loses the Lease"
            )

        return self


class ProbeSettings(BasicSettings):
    """Where agent and operator answer probes (E11); the bridge answers them on
    its own port.
    """

    health_address: str = Field(
        default="127.0.0.1:8080",
        description="host:port of the probes and of /metrics; port 0 takes a free one and logs it.",
    )
    health_token: SecretStr | None = Field(
        default=None,
        description="Bearer token that /metrics and the verbose pages ask for; none: no token.",
    )

    @field_validator("health_address")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise ValueError(
                "must be host:port, for example 127.0.0.1:8080 or [::1]:8080"
            )

        return value

    @property
    def health_host(self) -> str:
        """Host part of `health_address`, without the brackets of an IPv6
        address.
        """
        return self.health_address.rpartition(":")[0].strip("[]")

    @property
    def health_port(self) -> int:
        """Port part of `health_address`."""
        return int(self.health_address.rpartition(":")[2])

    @property
    def bearer_token(self) -> str | None:
        """The text of `health_token`, None without one."""
        return (
            None
            if self.health_token is None
            else self.health_token.get_secret_value()
        )


class GrantSettings(BasicSettings):
    """How long a Session may wait for its grant (A5). The agent fails it, the
    operator ends it without a Device, and the bridge writes it into
    `grantBefore`.
    """

    trial_grant_within: Seconds = Field(
        default=15 * 60.0,
        description="A Trial that is not on the router by then is Failed, and `grantBefore` of the bridge's "
        "Trials (A5).",
    )
    paid_grant_within: Seconds = Field(
        default=86400.0, description="The same for Paid Sessions (A5)."
    )


class InstallationSettings(BasicSettings):
    """How agent and bridge mark what is theirs on a router."""

    installation: str = Field(
        default="main",
        pattern=r"^[A-Za-z0-9_.-]{1,32}$",
        description="Name of this installation in comments on routers; rows of another are foreign (A3).",
    )


_AnySettings = TypeVar("_AnySettings", bound=BasicSettings)


def load(kind: type[_AnySettings]) -> _AnySettings:
    """Read the settings of a process from its environment.

    Raises SettingsError naming each variable at fault, with what it must be.
    """
    try:
        return kind()
    except ValidationError as error:
        lines = [
            _line(_named(kind, part["loc"]), part["msg"])
            for part in error.errors()
        ]

        raise SettingsError("\n".join(lines)) from None


def variable(field: str) -> str:
    """Return the environment variable of a field; a name that is a variable
    already stays.
    """
    return field if field.isupper() else PREFIX + field.upper()


def _named(kind: type[BasicSettings], location: tuple[int | str, ...]) -> str:
    """Return the field or variable at fault, an empty text if there is none.

    Of a field with several variables it is the one that is set and counts.
    """
    field = str(location[0]) if location else ""
    for candidate in kind.model_fields.values():
        alias = candidate.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else []
        if field in choices:
            given = (
                str(name) for name in choices if os.environ.get(str(name))
            )
            return next(given, field)

    return field


def _line(field: str, message: str) -> str:
    """Return the line for one fault; a fault between two settings names their
    variables itself.
    """
    message = message.removeprefix("Value error, ")

    return f"{variable(field)}: {message}" if field else message
