"""Applies a status of which several processes write parts.

By server-side apply a writer takes away only what it wrote itself. `Reconciling`
and `Stalled` belong to whoever writes Ready now: an agent, or the operator in
its place. What the writer before left of them is removed here, in a second
write that only a change of writers needs.
"""

from __future__ import annotations

from typing import Any

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import Invalid
from cerebro.resources import Kind
from cerebro.resources.conditions import ABNORMAL_TRUE

Manifest = dict[str, Any]


async def apply_status(
    api: KubeApi,
    kind: Kind,
    namespace: str,
    name: str,
    body: Manifest,
    *,
    field_manager: str,
) -> Manifest:
    """Apply `body`, which has the object's uid and its status; return the
    object as the API server has it then.

    If that status has Ready, the object keeps none of kstatus' conditions that
    the status lacks. Raises KubeError: Conflict also if somebody else changed
    the object between the two writes, and both are to be done anew.
    """

    async def apply() -> Manifest:
        return await api.apply(
            kind,
            namespace,
            name,
            body,
            field_manager=field_manager,
            subresource="status",
        )

    try:
        written = await apply()
    except Invalid:
        # The API server refuses what would be left of a condition that the
        # writer before has a part in.
        known = await api.get(kind, namespace, name)
        if not _leftovers(known, body["status"]):
            raise

        await _remove_leftovers(api, kind, known, body["status"])
        written = await apply()

    if not _leftovers(written, body["status"]):
        return written

    return await _remove_leftovers(api, kind, written, body["status"])


def _types(status: Manifest) -> set[str]:
    return {condition["type"] for condition in status.get("conditions") or []}


def _leftovers(known: Manifest, status: Manifest) -> set[str]:
    """Return which of kstatus' conditions an object has and must not have,
    given the status that was applied.
    """
    wanted = _types(status)
    if "Ready" not in wanted:
        return set()

    return (_types(known.get("status") or {}) & ABNORMAL_TRUE) - wanted


async def _remove_leftovers(
    api: KubeApi, kind: Kind, known: Manifest, status: Manifest
) -> Manifest:
    """Remove what is left over of an object in this version; return the object
    without it.
    """
    leftovers = _leftovers(known, status)
    metadata = known["metadata"]
    kept = [
        condition
        for condition in known["status"]["conditions"]
        if condition["type"] not in leftovers
    ]

    return await api.patch(
        kind,
        metadata["namespace"],
        metadata["name"],
        {
            "metadata": {"uid": metadata["uid"]},
            "status": {"conditions": kept},
        },
        subresource="status",
        resource_version=metadata["resourceVersion"],
    )
