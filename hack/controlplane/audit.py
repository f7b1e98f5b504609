"""What the API server writes down of the calls of service accounts: its audit
log, without bodies.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts"]
- level: None
"""
_USER = "system:serviceaccount:"


@dataclass(frozen=True)
class Call:
    """What was called for, by which account, and the status of the answer."""

    namespace: str
    """The account's."""
    account: str
    verb: str
    group: str
    resource: str
    """With its subresource: `peers/status`."""
    name: str
    status: int
    target: str
    """The object's namespace."""


def flags(folder: Path) -> dict[str, str]:
    """Write the policy into `folder`; return the API server's flags for it
    and for a log there.
    """
    policy = folder / "audit-policy.yaml"
    policy.write_text(POLICY)
    return {
        "audit-policy-file": str(policy),
        "audit-log-path": str(log_of(folder)),
        "audit-log-mode": "blocking",
    }


def log_of(folder: Path) -> Path:
    """Return where the log of a control plane in `folder` is."""
    return folder / "audit.log"


def calls(log: Path) -> list[Call]:
    """Return the calls for resources in a log, as far as it is written: a
    call stands in it before its answer is sent.
    """
    lines = log.read_text().splitlines() if log.exists() else []
    events = [json.loads(line) for line in lines if line.endswith("}")]
    return [_call(event) for event in events if "objectRef" in event]


def _call(event: dict[str, Any]) -> Call:
    user = event["user"]["username"].removeprefix(_USER)
    namespace, _, account = user.partition(":")
    target = event["objectRef"]
    parts = [target["resource"], target.get("subresource")]
    return Call(
        namespace,
        account,
        event["verb"],
        target.get("apiGroup", ""),
        "/".join(part for part in parts if part),
        target.get("name", ""),
        event.get("responseStatus", {}).get("code", 0),
        target.get("namespace", ""),
    )
