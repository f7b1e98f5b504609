"""The last pass over the router of a Device that goes with `deletionPolicy:
Cleanup`: all our rows are removed.

Rule E13 does not hold it back: a person asked for exactly this.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.access.circumstances import policy_of
from cerebro.agent.devices.access.desired import PassContext
from cerebro.agent.devices.access.outcome import PassResult
from cerebro.agent.devices.access.reconcile import AccessReconciler
from cerebro.agent.devices.access.roster import Roster
from cerebro.domain.mass_removal import RemovalWindow
from cerebro.resources import Device
from cerebro.resources.naming import FINALIZER_CLEANUP
from cerebro.routeros.client.session import RouterSession

_ALL = 1_000_000_000
"""More clients than any router has: as many as a person may confirm."""


NextPass = Callable[
    [AccessReconciler, Roster, PassResult], Awaitable[PassResult]
]
"""A pass that follows one over access, and returns its result with its own."""


def wants_cleanup(device: Device) -> bool:
    """Return whether a Device is being deleted and waits for its rows to go."""
    meta = device.metadata

    if meta.deletion_timestamp is None:
        return False

    return (
        device.spec.deletion_policy == "Cleanup"
        and FINALIZER_CLEANUP in meta.finalizers
    )


async def clean_up(
    context: AgentContext,
    device: Device,
    session: RouterSession,
    then: NextPass,
) -> PassResult:
    """Remove every row with our marker; `settled` in the result means that
    none is left. `then` removes what is no row of access.

    In dry run rows from before stay, and the result has the plan that would
    remove them. Raises RouterError.
    """
    # No Session, in a complete store: the plan finds every row of ours to be
    # an orphan.
    at = PassContext(now=datetime.now(UTC), complete=True)

    reconciler = AccessReconciler(
        session=session,
        policy=policy_of(device, context.installation),
        at=at,
        dry_run=device.spec.dry_run,
        removals=RemovalWindow(settle=0.0),
        confirmed=_ALL,
        may_write=partial(context.still_acts, device, leased=True),
    )

    nobody = Roster()
    result = await reconciler.run(nobody, None)

    return await then(reconciler, nobody, result)
