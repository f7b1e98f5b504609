"""Objects of our kinds as the API server has them, for Argo CD's tests. Pure."""

from typing import Any

from argocd.verdicts import Verdict

Manifest = dict[str, Any]

GENERATION = 2
_SINCE = "2030-01-31T12:00:00Z"

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
    status: Manifest = {"conditions": _conditions(verdict)}
    if verdict.phase is not None:
        status = {"phase": verdict.phase, **status}

    result = manifest(verdict.kind)
    result["status"] = {**status, **verdict.fields}

    return result


def is_ending(verdict: Verdict) -> bool:
    """Return whether a Session ended and is not off the router yet."""
    is_over = verdict.phase in ("Expired", "Revoked")
    is_off = verdict.status == "True" or "finished" in verdict.fields

    return verdict.kind == "Session" and is_over and not is_off


def message_of(reason: str) -> str:
    """Return the message that a condition has in the tests."""
    return f"the words of {reason}"


def condition(
    name: str, status: str, reason: str, generation: int = GENERATION
) -> Manifest:
    """Return a condition, observed of that generation."""
    return {
        "type": name,
        "status": status,
        "reason": reason,
        "message": message_of(reason),
        "observedGeneration": generation,
        "lastTransitionTime": _SINCE,
    }


def _conditions(verdict: Verdict) -> list[Manifest]:
    if is_ending(verdict):
        assert verdict.phase is not None
        return [
            condition("Enforced", verdict.status, verdict.reason),
            condition("Ready", "False", verdict.phase),
        ]

    return [condition("Ready", verdict.status, verdict.reason)]
