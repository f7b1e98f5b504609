"""`cerebro plan`: prints what would be done to the routers of Devices in dry run. It writes nothing."""

from __future__ import annotations

from collections.abc import Callable

from cerebro.cli.cluster import Cluster, CommandError, model
from cerebro.resources import DEVICE, Device, find_condition, reasons

NOT_READY = 3
"""Exit status if a plan is not there."""


async def of_device(
    cluster: Cluster, name: str, tell: Callable[[str], None]
) -> list[str]:
    """Return the plan of one Device, a line each; `tell` is called with what a person should know besides.

    Raises KubeError and CommandError (exit status 3 where it has no plan).
    """
    device = await cluster.find(Device, name)
    if device is None:
        raise CommandError(
            f"there is no Device {name!r} in the namespace {cluster.namespace}: kubectl get devices lists them"
        )

    reason = why_no_plan(device)
    if reason is not None:
        raise CommandError(reason, status=NOT_READY)

    return plan_of(device, tell)


async def of_all(cluster: Cluster, tell: Callable[[str], None]) -> list[str]:
    """Return the plans of all Devices of the namespace, by name; `tell` is called with why a Device has none.

    Raises KubeError and CommandError.
    """
    devices = [
        model(Device, body)
        async for body in cluster.api.list_objects(DEVICE, cluster.namespace)
    ]

    if not devices:
        raise CommandError(
            f"there is no Device in the namespace {cluster.namespace}: name the namespace with -n"
        )

    lines: list[str] = []

    for device in sorted(devices, key=lambda each: each.name):
        reason = why_no_plan(device)
        if reason is None:
            lines += plan_of(device, tell)
        else:
            tell(reason)

    return lines


def why_no_plan(device: Device) -> str | None:
    """Return why a Device has no plan, and how to get one; None if it has one."""
    if not _in_dry_run(device):
        return (
            f"the Device {device.name} is not in dry run: nothing is planned for a person to see, changes are made. "
            f"To see them first: {_patch(device)}. From then on nothing is written to its router, "
            "so new Sessions wait and ended ones keep their access. The same holds for all Devices of an agent with "
            "CEREBRO_DRY_RUN=true"
        )

    if device.status.plan is None:
        return (
            f"the Device {device.name} has no status.plan yet: its agent has not compared the router"
            + _said(device)
        )

    return None


def plan_of(device: Device, tell: Callable[[str], None]) -> list[str]:
    """Return a plan as lines that can be pasted, after one with the Device's name."""
    plan = device.status.plan or []
    reachable = find_condition(device.status.conditions, "Reachable")

    if reachable is None or reachable.status != "True":
        tell(
            f"the router of the Device {device.name} does not answer now{_said(device)}. "
            "The plan is that of the last look"
        )

    head = f"# Device {device.name}, router {device.router_id}: "
    if not plan:
        return [head + "nothing would be changed"]

    count = sum(not line.startswith("#") for line in plan)

    return [head + f"lines to be run: {count}", *plan]


def _in_dry_run(device: Device) -> bool:
    """Return whether a Device is in dry run: by its own spec, or by its agent's setting, which only the agent knows."""
    if device.spec.dry_run:
        return True

    configured = find_condition(device.status.conditions, "Configured")

    return configured is not None and configured.reason == reasons.DRY_RUN


def _patch(device: Device) -> str:
    """Return the command that puts a Device into dry run."""
    return f'kubectl -n {device.namespace} patch device {device.name} --type=merge -p \'{{"spec":{{"dryRun":true}}}}\''


def _said(device: Device) -> str:
    """Return what the Device says of itself, after a colon; nothing if it says nothing."""
    ready = find_condition(device.status.conditions, "Ready")
    if ready is None:
        return ": is the agent running?"

    return f": {ready.reason}: {ready.message}"
