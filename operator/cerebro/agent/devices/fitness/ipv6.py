"""What a person is told of IPv6 past the hotspot of a router. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cerebro.agent.devices.model import DeviceWarning
from cerebro.resources import Device


def ipv6_warnings(
    device: Device, leaks: Sequence[str]
) -> tuple[DeviceWarning, ...]:
    """Return a warning if IPv6 leads past the hotspots on some interfaces."""
    if not leaks:
        return ()

    rules = "; ".join(
        f"/ipv6/firewall/filter/add chain=forward in-interface={interface} action=reject"
        for interface in leaks
    )

    by_hand = f"shut it on the router, before any rule that accepts: {rules}"
    by_us = "or set spec.manageConfig: true, which does it"

    if shuts_ipv6(device):
        next_step = (
            f"spec.manageConfig is about to shut it; if it cannot, {by_hand}"
        )
    elif device.spec.manage_config:
        next_step = f"spec.manageConfig shuts it once the Device is neither paused nor in dry run; until then {by_hand}"
    elif device.spec.hub_ref is not None:
        next_step = f"{by_hand}; {by_us}"
    else:
        next_step = by_hand

    message = (
        f"phones behind the hotspot on {', '.join(leaks)} get IPv6 addresses, and a hotspot is for IPv4 only: "
        f"they are online without access. Next: {next_step}"
    )

    return (DeviceWarning("IPv6PastHotspot", message),)


def shuts_ipv6(device: Device) -> bool:
    """Return whether a rule of ours is written to the router."""
    spec = device.spec

    return spec.manage_config and not spec.dry_run and spec.paused == "None"
