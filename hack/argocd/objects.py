"""Objects of our kinds as the API server has them, for Argo CD's tests. Pure."""

from datetime import UTC, datetime
from typing import Any

from cerebro.domain.conditions import ConditionState, judgement
from cerebro.resources.verdicts import Verdict

Manifest = dict[str, Any]

GENERATION = 2
_SINCE = datetime(2030, 1, 31, 12, tzinfo=UTC)

_SPECS: dict[str, Manifest] = {
    "Hub": {"addresses": ["10.8.0.1/16"], "nodeName": "vps-1"},
    "Peer": {
        "hubRef": {"name": "main"},
        "publicKey": "mDDlYPqWlgXkF2gYdU1yEP1k4Fm0HJjWGcZWkTQ0rRs=",
        "allowedIPs": ["10.8.0.7/32"],
    },
    "Device": {
        "hubRef": {"name": "main"},
        "api": {"credentialsSecretRef": {"name": "router-7"}},
    },
    "Session": {
        "deviceRef": {"name": "router-7"},
        "client": {"macAddress": "AA:BB:CC:DD:EE:FF"},
        "orderID": "123",
    },
    "DeviceCommand": {
        "deviceRef": {"name": "router-7"},
        "sentences": [["/system/identity/print"]],
    },
}


def manifest(kind: str) -> Manifest:
    """Return an object that nobody has looked at."""
    return {
        "apiVersion": "relay.cerebro.dev/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": "example",
            "namespace": "cerebro",
            "generation": GENERATION,
        },
        "spec": dict(_SPECS[kind]),
    }


def in_state(verdict: Verdict) -> Manifest:
    """Return an object of that kind in that state."""
    kind = verdict.kind
    judged = judgement(kind, [], _states(verdict), GENERATION, _SINCE)
    phase = {} if verdict.phase is None else {"phase": verdict.phase}

    result = manifest(kind)
    result["status"] = {
        "observedGeneration": judged["observedGeneration"],
        **phase,
        "conditions": judged["conditions"],
    }

    return result


def is_ending(verdict: Verdict) -> bool:
    """Return whether a Session ended and is not off the router yet."""
    is_over = verdict.phase in ("Expired", "Revoked")
    is_off = verdict.status == "True" or verdict.reason == "DeviceGone"

    return verdict.kind == "Session" and is_over and not is_off


def message_of(reason: str) -> str:
    """Return the message that a condition has in the tests."""
    return f"the words of {reason}"


def _states(verdict: Verdict) -> dict[str, ConditionState]:
    reason = verdict.reason
    deciding = ConditionState(verdict.status, reason, message_of(reason))
    if not is_ending(verdict):
        return {"Ready": deciding}

    assert verdict.phase is not None
    ended = ConditionState("False", verdict.phase, message_of(verdict.phase))

    return {"Enforced": deciding, "Ready": ended}
