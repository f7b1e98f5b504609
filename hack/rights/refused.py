"""What each account may not do, for example: asked of a real API server, and
shown on the page. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rights.granted import RELAY, STATUSES

Place = Literal["here", "elsewhere", "cluster"]
"""In the account's namespace, in another one, or in none."""

RBAC, CORE = "rbac.authorization.k8s.io", ""
READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete", "deletecollection")
ALL = (*READ, *WRITE)
AGENT, OPERATOR, BRIDGE = "cerebro-agent", "cerebro-operator", "cerebro-bridge"
ALL_ACCOUNTS = (AGENT, OPERATOR, BRIDGE)


@dataclass(frozen=True)
class Ask:
    """Verbs on resources of a group, asked for in one place."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    place: Place = "here"


@dataclass(frozen=True)
class Refusal:
    """What these accounts may not do, in words and as questions, and why."""

    accounts: tuple[str, ...]
    what: str
    why: str
    asks: tuple[Ask, ...]


_KINDS = ("hubs", "peers", "devices", "sessions", "devicecommands")

REFUSALS = (
    Refusal(
        ALL_ACCOUNTS,
        "read or change anything of ours in other namespaces",
        "two installations know nothing of each other",
        (
            Ask(RELAY, _KINDS, ALL, "elsewhere"),
            Ask(RELAY, STATUSES, ("get", "update", "patch"), "elsewhere"),
        ),
    ),
    Refusal(
        ALL_ACCOUNTS,
        "list or watch Secrets, change one, or read one in another namespace",
        "who takes a process must not get all passwords with it",
        (
            Ask(CORE, ("secrets",), ("list", "watch", "update", "patch")),
            Ask(CORE, ("secrets",), ALL, "elsewhere"),
        ),
    ),
    Refusal(
        (OPERATOR, BRIDGE),
        "read a Secret, even by its name",
        "they face the backend; passwords are the agent's business",
        (Ask(CORE, ("secrets",), ("get",)),),
    ),
    Refusal(
        (OPERATOR,),
        "where the bridge is apart: make or delete a Secret, make a Session, a Device or a command",
        "it ends what others asked for",
        (
            Ask(CORE, ("secrets",), ("create", "delete")),
            Ask(RELAY, ("sessions", "devices", "devicecommands"), ("create",)),
            Ask(RELAY, ("sessions",), ("patch",)),
            Ask(RELAY, ("devices",), ("delete",)),
        ),
    ),
    Refusal(
        (AGENT,),
        "make, change or delete an object of ours",
        "it says what is so, and asks for nothing; of objects it writes statuses",
        (Ask(RELAY, _KINDS, WRITE),),
    ),
    Refusal(
        (AGENT,),
        "delete a Secret",
        "the key of a Hub stays, whatever becomes of the Hub",
        (Ask(CORE, ("secrets",), ("delete",)),),
    ),
    Refusal(
        (BRIDGE,),
        "write a status, make or delete a Peer, or read another's Lease",
        "what is so is the agent's to say, and tunnels are the operator's to give",
        (
            Ask(RELAY, STATUSES, ("update", "patch")),
            Ask(RELAY, ("peers",), ("create", "delete")),
            Ask("coordination.k8s.io", ("leases",), ("get", "update")),
        ),
    ),
    Refusal(
        ALL_ACCOUNTS,
        "make or delete a Hub, or delete many objects at once",
        "a Hub is a person's; no mistake of ours deletes a collection",
        (
            Ask(RELAY, ("hubs",), ("create", "update", "delete")),
            Ask(RELAY, _KINDS, ("update", "deletecollection")),
        ),
    ),
    Refusal(
        ALL_ACCOUNTS,
        "make or change pods and what makes pods, or run commands in one",
        "a pod could mount any Secret of the namespace",
        (
            Ask(
                CORE,
                ("pods", "pods/exec", "pods/ephemeralcontainers"),
                ("create", "update", "patch"),
            ),
            Ask("apps", ("daemonsets", "deployments"), WRITE),
            Ask("batch", ("jobs", "cronjobs"), ("create",)),
        ),
    ),
    Refusal(
        ALL_ACCOUNTS,
        "read or change Nodes",
        "the agent knows its node's name from its pod",
        (
            Ask(CORE, ("nodes",), (*READ, *WRITE), "cluster"),
            Ask(CORE, ("nodes/proxy",), ("get", "create"), "cluster"),
        ),
    ),
    Refusal(
        ALL_ACCOUNTS,
        "give themselves or others more rights, or be somebody else",
        "a taken process stays what it is",
        (
            Ask(RBAC, ("roles", "rolebindings"), (*ALL, "bind", "escalate")),
            Ask(
                RBAC,
                ("clusterroles", "clusterrolebindings"),
                (*ALL, "bind", "escalate"),
                "cluster",
            ),
            Ask(CORE, ("serviceaccounts",), ("impersonate", "create")),
            Ask(CORE, ("serviceaccounts/token",), ("create",)),
            Ask(CORE, ("users", "groups"), ("impersonate",), "cluster"),
            Ask(
                "certificates.k8s.io",
                ("certificatesigningrequests",),
                ("create",),
                "cluster",
            ),
        ),
    ),
    Refusal(
        ALL_ACCOUNTS,
        "change CRDs, policies of admission or a namespace, or see another namespace",
        "they are what keeps the accounts in their place",
        (
            Ask(
                "apiextensions.k8s.io",
                ("customresourcedefinitions",),
                ALL,
                "cluster",
            ),
            Ask(
                "admissionregistration.k8s.io",
                (
                    "validatingadmissionpolicies",
                    "validatingadmissionpolicybindings",
                    "validatingwebhookconfigurations",
                ),
                ALL,
                "cluster",
            ),
            Ask(CORE, ("namespaces",), ("list", *WRITE), "cluster"),
            Ask(CORE, ("namespaces",), ("get",), "elsewhere"),
        ),
    ),
    Refusal(
        ALL_ACCOUNTS,
        "read ConfigMaps or Events, or delete a Lease",
        "nothing of ours needs it",
        (
            Ask(CORE, ("configmaps",), ALL),
            Ask("events.k8s.io", ("events",), (*READ, "delete")),
            Ask("coordination.k8s.io", ("leases",), ("list", "delete")),
        ),
    ),
)
