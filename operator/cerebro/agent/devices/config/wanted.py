"""What `spec.manageConfig` of a Device keeps on its router: the tunnel, and
what other fields ask for. Pure.
"""

from __future__ import annotations

from collections.abc import Callable

from cerebro.agent.devices.config.guard import retired_guard, wanted_guard
from cerebro.agent.devices.status import DeviceFindings
from cerebro.kube.cache.store import Store
from cerebro.resources import HUB, Device, Hub
from cerebro.routeros.bootstrap import NotReadyError, Tunnel, tunnel_of
from cerebro.routeros.configuration.desired import Configuration, Part
from cerebro.routeros.configuration.ipv6 import ipv6_part, no_ipv6_part


def wanted_configuration(
    device: Device,
    store: Store,
    installation: str,
    findings: DeviceFindings,
) -> Configuration:
    """Return what is to be on the router. While a fact of the tunnel is
    missing, that is left as it is and the rest is kept.

    A further part of the configuration is given to it here; `findings` say
    what is known of the router.
    """
    tunnel = _tunnel(device, store, installation)
    guard = wanted_guard(device, installation, findings)
    further = (*_ipv6(findings, installation), guard)

    if isinstance(tunnel, str):
        return Configuration(None, further, missing=tunnel)

    return Configuration(tunnel, further)


def _ipv6(findings: DeviceFindings, installation: str) -> tuple[Part, ...]:
    """Return the part that shuts IPv6 past the hotspot; none while it is not
    known where that is.
    """
    if findings.ipv6_to_shut is None:
        return ()

    return (ipv6_part(findings.ipv6_to_shut, installation),)


def retired_configuration(installation: str) -> Configuration:
    """Return what is to be on a router without manageConfig: the tunnel is
    left as it is, and each further part has no rows.
    """
    retired = tuple(part(installation) for part in _RETIRED)

    return Configuration(None, retired)


_RETIRED: tuple[Callable[[str], Part], ...] = (no_ipv6_part, retired_guard)
"""By installation, the further parts without their rows."""


def _tunnel(device: Device, store: Store, installation: str) -> Tunnel | str:
    """Return the router's end of its tunnel, or which fact is missing."""
    name = device.spec.hub_ref.name if device.spec.hub_ref else ""
    stored = store.get(HUB, device.namespace, name)
    hub = stored.read(Hub) if stored else None
    if hub is None:
        return f"the Hub {name} does not exist, or cannot be read"

    try:
        return tunnel_of(hub, device, installation=installation)
    except NotReadyError as error:
        return str(error)
