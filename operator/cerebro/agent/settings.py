"""Settings of `cerebro agent`."""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from cerebro.runtime.settings import (
    GrantSettings,
    InstallationSettings,
    LeaseSettings,
    ProbeSettings,
    Seconds,
    ServedNamespaces,
    TunnelSettings,
)

# The API server takes a DNS subdomain for the name of a Node.
_NODE_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?\Z")


class AgentSettings(
    ServedNamespaces,
    LeaseSettings,
    ProbeSettings,
    GrantSettings,
    InstallationSettings,
    TunnelSettings,
):
    """Settings of `cerebro agent`."""

    node_name: str = Field(
        default_factory=lambda: socket.gethostname().lower(),
        validate_default=True,
        description="Name of the Kubernetes node that this agent is on. Default: the host's name.",
    )
    dry_run: bool = Field(
        default=False,
        description="Treat all Devices as if they had `dryRun`, and Hubs as CEREBRO_WIREGUARD_DRY_RUN does: say in "
        "their statuses what would change, and write nothing to routers and WireGuard.",
    )
    wireguard_dry_run: bool = Field(
        default=False,
        description="Say in the status of each Hub what would change, and write nothing to its interface, routes and "
        "isolation.",
    )
    clock_skew_limit: Seconds = Field(
        default=60.0,
        description="Difference of our clock to the API server's above which nothing new is granted (A9).",
    )

    probe_socket: Path | None = Field(
        default=None,
        description="Unix socket on which the agent answers probes from its start, also while it stands by; none: it "
        "answers at CEREBRO_HEALTH_ADDRESS alone, which one agent of a node has at a time (E18).",
    )

    @field_validator("node_name")
    @classmethod
    def _node(cls, value: str) -> str:
        if not _NODE_NAME.match(value):
            raise ValueError(
                "must be the name of a node: lower-case letters, digits, '-' and '.', at most 253"
            )

        return value

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        """D4: the agent is in the host's network, where no NetworkPolicy
        stands before it.
        """

        if self.health_host == "localhost":
            return self

        try:
            address = ipaddress.ip_address(self.health_host)
        except ValueError:
            raise ValueError(
                "CEREBRO_HEALTH_ADDRESS: the agent's must be an IP address or localhost"
            ) from None

        if address.is_unspecified:
            raise ValueError(
                "CEREBRO_HEALTH_ADDRESS: the agent never listens on all addresses; name the node's"
            )

        if not address.is_loopback and self.health_token is None:
            raise ValueError(
                "CEREBRO_HEALTH_TOKEN: must be set when CEREBRO_HEALTH_ADDRESS is not loopback"
            )

        return self
