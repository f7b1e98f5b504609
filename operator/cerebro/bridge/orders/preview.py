"""What an order would do on an empty router, in words: the same pure plan that the agent follows (F6)."""

from __future__ import annotations

from datetime import datetime

from cerebro.bridge.intents import Client
from cerebro.resources import Device
from cerebro.routeros.access.model import AccessPolicy, DesiredAccess, Grant
from cerebro.routeros.access.plan import access_plan
from cerebro.routeros.access.result import describe
from cerebro.routeros.access.tables import Actual


def planned_commands(device: Device, client: Client, until: datetime | None, installation: str) -> list[str]:
    """Give the commands that would let this client in on this Device."""
    access = device.spec.access
    policy = AccessPolicy(access.address_list, access.binding_type, access.hotspot_server, installation)
    grant = Grant(client.mac, client.ip, until.timestamp() if until else None)
    return describe(list(access_plan(DesiredAccess(grants=(grant,)), Actual(), policy).commands()))
