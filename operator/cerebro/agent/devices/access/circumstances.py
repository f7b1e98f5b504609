"""What a pass over a Device's router has to know besides its Sessions: the
policy, the clock, who may write.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.access.contention import ContentionTracker
from cerebro.agent.devices.access.desired import PassContext
from cerebro.resources import SESSION, Device, reasons
from cerebro.routeros.access.model import AccessPolicy


def policy_of(device: Device, installation: str) -> AccessPolicy:
    """Return how the Device's Sessions become entries."""
    access = device.spec.access
    return AccessPolicy(
        access.address_list,
        access.binding_type,
        access.hotspot_server,
        installation,
    )


def circumstances(
    context: AgentContext,
    device: Device,
    contention: ContentionTracker,
    flows: Mapping[str, frozenset[str]],
    frozen: tuple[frozenset[str], bool],
    *,
    resync: bool,
) -> PassContext:
    """Return what holds now for a pass over the Device's router.

    `flows` are the connections at the end of clients' access, by `flows_key`;
    `frozen` is what `frozen_clients` returns. At a resync what somebody else
    keeps changing is tried too (B10).
    """
    frozen_names, frozen_all = frozen
    leased = context.may_write(device)
    contested = logged_in_again = frozenset[str]()
    if not resync:
        now = time.monotonic()
        contested = contention.contested(now)
        logged_in_again = contention.logged_in_again(now)

    return PassContext(
        now=datetime.now(UTC),
        windows=context.windows,
        clock_trusted=context.clock_trusted(),
        hold=_hold(device, leased=leased),
        passed_only=not leased,
        complete=context.store.complete(SESSION, device.namespace),
        contested=contested,
        logged_in_again=logged_in_again,
        frozen=frozen_names,
        frozen_all=frozen_all,
        flows=flows,
    )


def _hold(device: Device, *, leased: bool) -> str | None:
    """Return why nothing may be written for live clients; None if it may."""
    if device.spec.paused != "None":
        return reasons.PAUSED

    return None if leased else "NoLease"
