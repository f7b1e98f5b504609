"""The last pass over the router of a Device that goes with `deletionPolicy: Cleanup`: all our rows are removed.

Rule E13 does not hold it back: a person asked for exactly this.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from cerebro.agent.devices.access.desired import PassContext
from cerebro.agent.devices.access.outcome import PassResult
from cerebro.agent.devices.access.reconcile import AccessReconciler
from cerebro.resources import Device
from cerebro.resources.naming import FINALIZER_CLEANUP
from cerebro.routeros.access.model import AccessPolicy
from cerebro.routeros.client.session import RouterSession

_ALL = 1_000_000_000


def wants_cleanup(device: Device) -> bool:
    """Tell whether a Device is being deleted and waits for its rows to go."""
    meta = device.metadata
    asked = device.spec.deletion_policy == "Cleanup" and FINALIZER_CLEANUP in meta.finalizers
    return asked and meta.deletion_timestamp is not None


async def clean_up(
    session: RouterSession, policy: AccessPolicy, *, dry_run: bool, may_write: Callable[[], bool]
) -> PassResult:
    """Remove every row with our marker; `settled` in the outcome says that none is left.

    In dry run nothing is written, so nothing of ours is there. Raises RouterError.
    """
    if dry_run:
        return PassResult(settled=True)
    at = PassContext(now=datetime.now(UTC), complete=True)
    run = AccessReconciler(session=session, policy=policy, at=at, confirmed=_ALL, may_write=may_write)
    return await run.run([], None)
