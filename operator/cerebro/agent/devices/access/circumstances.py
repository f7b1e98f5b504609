"""What a pass over a Device's router has to know besides its Sessions: the policy, the clock, who may write."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.access.contention import ContentionTracker
from cerebro.agent.devices.access.desired import PassContext, frozen_clients
from cerebro.resources import SESSION, Device, reasons
from cerebro.routeros.access.model import AccessPolicy


def policy_of(device: Device, installation: str) -> AccessPolicy:
    """Return how the Device's Sessions become entries."""
    access = device.spec.access
    return AccessPolicy(access.address_list, access.binding_type, access.hotspot_server, installation)


def circumstances(
    context: AgentContext,
    device: Device,
    contest: ContentionTracker,
    flows: Mapping[str, frozenset[str]],
    *,
    resync: bool,
) -> PassContext:
    """Return what holds now; at a resync the rows that somebody else keeps changing are tried again (B10)."""
    frozen, frozen_all = frozen_clients(context.frozen_sessions_of(device.namespace, device.name))
    leased = context.may_write(device)
    hold = None if leased else "NoLease"
    if device.spec.paused != "None":
        hold = reasons.PAUSED
    return PassContext(
        now=datetime.now(UTC),
        windows=context.windows,
        clock_trusted=context.clock_trusted(),
        hold=hold,
        passed_only=not leased,
        complete=context.store.complete(SESSION, device.namespace),
        contested=frozenset() if resync else contest.contested(time.monotonic()),
        frozen=frozen,
        frozen_all=frozen_all,
        flows=flows,
    )
