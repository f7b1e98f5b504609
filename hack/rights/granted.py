"""What each role grants, and why: what the roles in `deploy/` are compared
with, and `docs/rights.md` is made of. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

RELAY = "relay.cerebro.dev"
LEASES = "coordination.k8s.io"
EVENTS = "events.k8s.io"
STATUSES = (
    *("hubs/status", "peers/status", "devices/status"),
    *("sessions/status", "devicecommands/status"),
)

Right = tuple[str, str, str]
"""Group, resource with its subresource, verb."""


@dataclass(frozen=True)
class Grant:
    """Verbs on resources of a group; `names` are the only objects, if given."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str
    names: tuple[str, ...] = ()


OWN_NAMESPACE = Grant(
    "",
    ("namespaces",),
    ("get",),
    "its own: while that is being deleted, nothing is removed anywhere",
)
AGENT = (
    Grant(
        RELAY,
        ("hubs", "peers", "devices", "sessions"),
        ("list", "watch"),
        "what is asked for",
    ),
    Grant(
        RELAY,
        ("devicecommands",),
        ("get", "list", "watch"),
        "what is asked for; one that changed while it ran is read anew",
    ),
    Grant(RELAY, STATUSES, ("patch",), "what is so"),
    Grant(
        "",
        ("secrets",),
        ("get", "create"),
        "a login and a Hub's key are read by name; a Hub's key is made",
    ),
    Grant(
        LEASES,
        ("leases",),
        ("get", "create", "update"),
        "who carries a Hub; a sign of life for the operator",
    ),
    Grant(EVENTS, ("events",), ("create",), "what happened to an object"),
    OWN_NAMESPACE,
)
OPERATOR = (
    Grant(RELAY, ("hubs",), ("list", "watch", "patch"), "finalizers"),
    Grant(
        RELAY,
        ("devices",),
        ("get", "list", "watch", "patch"),
        "finalizers; whether a Device is really gone",
    ),
    Grant(
        RELAY,
        ("peers",),
        ("list", "watch", "create", "patch", "delete"),
        "the Peer of each Device; finalizers",
    ),
    Grant(
        RELAY,
        ("sessions",),
        ("get", "list", "watch", "delete"),
        "finished ones go after `ttlAfterFinished`",
    ),
    Grant(
        RELAY,
        ("devicecommands",),
        ("list", "watch", "delete"),
        "finished ones go after `ttlAfterFinished`",
    ),
    Grant(
        RELAY,
        STATUSES,
        ("patch",),
        "addresses; agents that are lost; Sessions and commands without a Device",
    ),
    Grant(
        LEASES,
        ("leases",),
        ("get", "create", "update"),
        "its own; those of agents are read by name",
    ),
    Grant(EVENTS, ("events",), ("create",), "what happened to an object"),
    OWN_NAMESPACE,
)
BRIDGE = (
    Grant(
        RELAY,
        ("sessions",),
        ("get", "list", "watch", "create", "patch"),
        "orders, and what they come to",
    ),
    Grant(
        RELAY,
        ("devices",),
        ("get", "list", "watch", "create", "patch", "delete"),
        "routers over HTTP; a policy keeps it from those of people",
    ),
    Grant(
        RELAY,
        ("devicecommands",),
        ("get", "list", "watch", "create", "delete"),
        "commands over HTTP; one that has not begun in time is taken back",
    ),
    Grant(
        RELAY,
        ("hubs",),
        ("get", "list"),
        "the key and the endpoint that a router must know",
    ),
    Grant(
        RELAY,
        ("peers",),
        ("get", "list", "watch", "patch"),
        "endpoint, keepalive and preshared key that a caller names",
    ),
    Grant(
        "",
        ("secrets",),
        ("create", "delete"),
        "credentials that come over HTTP; never read",
    ),
    Grant(
        LEASES,
        ("leases",),
        ("get", "update"),
        "of several bridges, which takes events and which records access",
        ("cerebro-bridge-poller", "cerebro-bridge-recorder"),
    ),
    Grant(
        LEASES,
        ("leases",),
        ("create",),
        "the same two: names cannot limit who may create",
    ),
    OWN_NAMESPACE,
)
ROLES = {
    "cerebro-agent": AGENT,
    "cerebro-operator": OPERATOR,
    "cerebro-bridge": BRIDGE,
}
"""By the name of the role."""


def rights(grants: Iterable[Grant]) -> set[Right]:
    """Return the rights that grants come to."""
    return {
        (grant.group, resource, verb)
        for grant in grants
        for resource in grant.resources
        for verb in grant.verbs
    }
