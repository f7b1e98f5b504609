"""What an order would do on an empty router, in plain text: by the same plan
that the agent follows (F6). Pure.
"""

from __future__ import annotations

from datetime import datetime

from cerebro.bridge.intents import Client
from cerebro.resources import Device
from cerebro.routeros.access.model import AccessPolicy, DesiredAccess, Grant
from cerebro.routeros.access.plan import access_plan
from cerebro.routeros.access.result import describe
from cerebro.routeros.access.tables import Actual
from cerebro.routeros.access.user_model import (
    MASKED,
    ActualUsers,
    DesiredUsers,
    WantedUser,
)
from cerebro.routeros.access.users import user_plan


def planned_commands(
    device: Device, client: Client, until: datetime | None, installation: str
) -> list[str]:
    """Return the commands that would let this client in on this Device, until
    `until` (None: for ever).
    """

    access = device.spec.access
    policy = AccessPolicy(
        access.address_list,
        access.binding_type,
        access.hotspot_server,
        installation,
    )

    ends_at = until.timestamp() if until else None
    desired = DesiredAccess(grants=(Grant(client.mac, client.ip, ends_at),))
    plan = access_plan(desired, Actual(), policy)

    return describe(list(plan.commands()))


def planned_user(
    device: Device,
    name: str,
    profile: str | None,
    until: datetime | None,
    installation: str,
) -> list[str]:
    """Return the commands that would make this hotspot user on this Device,
    until `until` (None: for ever); its password is not shown.
    """
    wanted = WantedUser(
        name, profile, MASKED, until.timestamp() if until else None
    )
    plan = user_plan(
        DesiredUsers(wanted=(wanted,)),
        ActualUsers(),
        installation=installation,
        server=device.spec.access.hotspot_server,
    )

    return describe(list(plan.commands()))
