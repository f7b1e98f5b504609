"""Tunnels of an agent that carries no Hub."""

from __future__ import annotations

from cerebro.agent.tunnel_status import NOT_CARRIED
from cerebro.domain.conditions import ConditionState
from cerebro.resources import Device


class NoTunnels:
    """Stands in for what the loops of Hubs know; counts how often Devices were to be woken."""

    def __init__(self) -> None:
        self.woken = 0

    def owns(self, _namespace: str, _hub: str) -> bool:
        return False

    def serves(self, namespace: str, hub: str) -> bool:
        return self.owns(namespace, hub)

    def carries(self, _namespace: str, _hub: str) -> bool:
        return False

    def interface_to(self, _device: Device) -> str | None:
        return None

    def tunnel_up(self, _device: Device) -> ConditionState:
        return NOT_CARRIED

    def wake_devices(self, _namespace: str, _hub: str) -> None:
        self.woken += 1


class Carried(NoTunnels):
    """An agent that carries every Hub; all tunnels are up."""

    def owns(self, _namespace: str, _hub: str) -> bool:
        return True

    def carries(self, _namespace: str, _hub: str) -> bool:
        return True

    def tunnel_up(self, _device: Device) -> ConditionState:
        return ConditionState("True", "Online", "")
