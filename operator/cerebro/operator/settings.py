"""Settings of `cerebro operator`."""

from __future__ import annotations

import socket

from pydantic import Field

from cerebro.runtime.settings import (
    GrantSettings,
    LeaseSettings,
    ProbeSettings,
    Seconds,
    ServedNamespaces,
)


class OperatorSettings(
    ServedNamespaces, LeaseSettings, ProbeSettings, GrantSettings
):
    """Settings of `cerebro operator`."""

    identity: str = Field(
        default_factory=lambda: socket.gethostname().lower(),
        max_length=253,
        description="Who holds the Lease `cerebro-operator`; differs between operators that run at once. "
        "Default: the host's name, which is the pod's.",
    )
    agent_lost_after: Seconds = Field(
        default=60.0,
        description="An agent whose Lease was not renewed for that long is lost (E12).",
    )
    agent_check_interval: Seconds = Field(
        default=10.0,
        description="Time between two looks at the agents' Leases (E12).",
    )
    orphan_interval: Seconds = Field(
        default=60.0,
        description="Time between two searches for Sessions and commands without a Device (E12).",
    )
    finalizer_timeout: Seconds = Field(
        default=3600.0,
        description="A deleted Peer, Device or Hub waits that long for its agent's clean-up, then it is let go.",
    )
    superseding_ttl: Seconds = Field(
        default=86400.0,
        description="A superseding Session goes that long after the superseded one was last seen (A10).",
    )
