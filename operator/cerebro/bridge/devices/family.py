"""Puts together what the endpoints about routers need."""

from __future__ import annotations

from dataclasses import dataclass

from cerebro.bridge.devices.bindings import Bindings
from cerebro.bridge.devices.figures import AgentFigures
from cerebro.bridge.devices.registry import Registry
from cerebro.bridge.devices.routers import Routers
from cerebro.bridge.devices.secrets import DeviceSecrets
from cerebro.bridge.devices.tunnels import Tunnels
from cerebro.bridge.devices.wireguard import WireGuardView
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.settings import BridgeSettings
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi


@dataclass(frozen=True, slots=True)
class DeviceFamily:
    """The routers of one namespace."""

    tunnels: Tunnels
    routers: Routers
    bindings: Bindings
    wireguard: WireGuardView


def make_devices(
    api: KubeApi, store: Store, sessions: Sessions, settings: BridgeSettings
) -> DeviceFamily:
    """Return the parts, wired together."""
    registry = Registry(api, store, sessions, settings)
    secrets = DeviceSecrets(registry)
    tunnels = Tunnels(registry, secrets)
    token = settings.agent_metrics_token
    figures = AgentFigures(
        settings.agent_metrics,
        token.get_secret_value() if token else None,
        settings.namespace,
    )
    wireguard = WireGuardView(api, settings.namespace, figures)

    return DeviceFamily(
        tunnels,
        Routers(registry, secrets),
        Bindings(registry, tunnels, wireguard),
        wireguard,
    )
