"""What a pass writes to an interface, in which order, and what an error in the middle leaves undone.

Node and API server are fakes; every write and every look whether we may write is one line of the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from cerebro.agent.hubs.keys import HubKeys
from cerebro.agent.hubs.model import HubDesired
from cerebro.agent.hubs.reconcile import HubOutcome, HubReconciler, NotNow
from cerebro.domain.conditions import Obstacle
from cerebro.domain.mass_removal import RemovalWindow
from cerebro.resources import Peer
from cerebro.wireguard import isolation
from cerebro.wireguard.backend import (
    IsolationNotAvailable,
    NotAvailable,
    PortInUse,
    WireGuardError,
)
from cerebro.wireguard.isolation import NftObject
from cerebro.wireguard.keys import derive_public_key, generate_private_key
from cerebro.wireguard.model import (
    ActualPeer,
    Interface,
    LinkChange,
    PeerChange,
)
from cerebro.wireguard.nft import Nft, NftError
from cerebro.wireguard.words import link_words, peer_words
from support.hub_node import Leases, Secrets, a_hub

PRIVATE = generate_private_key()
KEYS = {
    name: derive_public_key(generate_private_key())
    for name in ("device", "laptop", "gone")
}
NAMES = {key: name for name, key in KEYS.items()}


def peer(name: str, *allowed: str, device: bool = True) -> Peer:
    """Make a Peer whose key is noted in its status."""
    meta = {
        "name": name,
        "namespace": "ns",
        "uid": f"u-{name}",
        "generation": 1,
    }
    spec: dict[str, Any] = {
        "hubRef": {"name": "hub"},
        "publicKey": KEYS[name],
        "allowedIPs": list(allowed),
    }
    if device:
        spec["deviceRef"] = {"name": name}
    status = {"appliedPublicKey": KEYS[name]}
    return Peer.model_validate(
        {"metadata": meta, "spec": spec, "status": status}
    )


PEERS = [
    peer("device", "10.64.0.2/32", "192.168.7.0/24"),
    peer("laptop", "10.64.0.3/32", device=False),
]
EMPTY = Interface("wg0")
EQUAL = Interface(
    "wg0",
    PRIVATE,
    derive_public_key(PRIVATE),
    51820,
    1420,
    up=True,
    addresses=frozenset({"10.64.0.1/16"}),
    routes=frozenset({"192.168.7.0/24"}),
    peers={
        KEYS["device"]: ActualPeer(
            KEYS["device"], frozenset({"10.64.0.2/32", "192.168.7.0/24"})
        ),
        KEYS["laptop"]: ActualPeer(
            KEYS["laptop"], frozenset({"10.64.0.3/32"})
        ),
    },
)
DIFFERENT = replace(
    EQUAL,
    listen_port=1,
    mtu=1280,
    addresses=frozenset({"10.65.0.1/16", "10.66.0.1/16"}),
    routes=frozenset({"192.168.9.0/24"}),
    peers={
        KEYS["device"]: ActualPeer(
            KEYS["device"], frozenset({"10.64.0.2/32"})
        ),
        KEYS["gone"]: ActualPeer(KEYS["gone"], frozenset({"10.64.0.9/32"})),
    },
)


@dataclass
class Node:
    """A backend, nftables and the look whether we may write; `fails` says by name which call raises what."""

    actual: Interface | None
    fails: dict[str, Exception] = field(default_factory=dict)
    may_write: int = 1000
    """How many looks allow a write."""
    log: list[str] = field(default_factory=list)
    implementation = "Kernel"

    def check(self) -> None:
        self.log.append("check")
        self.may_write -= 1
        if self.may_write < 0:
            raise NotNow(Obstacle("NotCarried", "not now"))

    def note(self, call: str, *words: object) -> None:
        self.log.append(" ".join([call, *map(str, words)]))
        if call in self.fails:
            raise self.fails[call]

    def read(self, name: str) -> Interface | None:
        return self.actual

    def ensure(
        self, name: str, mtu: int, deadline: float | None = None
    ) -> None:
        self.note("ensure", mtu)
        self.actual = EMPTY

    def refresh(self, name: str, deadline: float | None) -> None:
        self.note("refresh")

    def set_device(
        self,
        name: str,
        *,
        private_key: str | None = None,
        listen_port: int | None = None,
    ) -> None:
        self.note(
            "device",
            "key" if private_key == PRIVATE else private_key,
            listen_port,
        )

    def set_peers(
        self, name: str, changes: Sequence[PeerChange]
    ) -> dict[str, str]:
        lines = [
            peer_words(replace(one, public_key=NAMES[one.public_key]))
            for one in changes
        ]
        self.note("peers", " / ".join(lines))
        return {}

    def set_link(self, name: str, change: LinkChange) -> dict[str, str]:
        self.note("link", " / ".join(link_words(change)))
        return {}

    def drop(self, name: str) -> None:
        raise AssertionError("no pass drops an interface")


class Tables(Nft):
    """The tables of a node, of which there are none yet."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def read(self, interface: str) -> list[NftObject] | None:
        self._node.note("read table")
        return None

    def apply(self, commands: Sequence[NftObject]) -> None:
        wanted = isolation.desired_table(
            "wg0", ["10.64.0.1/16"], ["10.64.0.3/32"]
        )
        whole = list(commands) == isolation.plan(wanted, None)
        self._node.note("write table", "whole" if whole else "another")

    def drop(self, interface: str) -> None:
        self._node.note("drop table")


async def run(
    node: Node,
    *,
    dry_run: bool = False,
    own: frozenset[str] = frozenset(),
    **spec: Any,
) -> HubOutcome:
    hub = a_hub(
        nodeName="node", isolation=spec.pop("isolation", "Strict"), **spec
    )
    claim = Leases().claim()
    claim.follow(hub, "node")
    desired = HubDesired(
        hub,
        PEERS,
        node="node",
        complete=True,
        dry_run=dry_run,
        departed=frozenset({KEYS["gone"]}),
    )
    return await HubReconciler(
        HubKeys(Secrets(PRIVATE), lambda: None),  # type: ignore[arg-type]
        [node],  # type: ignore[list-item]
        Tables(node),
        desired,
        claim,
        node.check,
        lambda *_: None,
        carried=True,
        removals=RemovalWindow(settle=0.0),
        own_addresses=own,
        connected=lambda: [("eth0", "192.168.1.5/24")],
    ).run()


DEVICE = "device key 51820"
TABLE = ["read table", "write table whole"]
ADDED = "peers peer device: add; allow 10.64.0.2/32, 192.168.7.0/24 / peer laptop: add; allow 10.64.0.3/32"
LINK = "link MTU becomes 1420 / bring the interface up / add address 10.64.0.1/16 / add route 192.168.7.0/24"
CHANGED = "peers peer device: change; allow 192.168.7.0/24 / peer laptop: add; allow 10.64.0.3/32 / peer gone: remove"
LINK_CHANGED = (
    "link MTU becomes 1420 / add address 10.64.0.1/16 / remove address 10.65.0.1/16 / "
    "add route 192.168.7.0/24 / remove route 192.168.9.0/24"
)
OWN = frozenset({"10.65.0.1/16"})


def checked(*writes: str) -> list[str]:
    """Return the log of writes each of which has a look before it; a table is read in the same step."""
    log: list[str] = []
    for write in writes:
        log += [write] if write == TABLE[1] else ["check", write]
    return log


ORDERS: dict[str, tuple[Interface | None, dict[str, Any], list[str]]] = {
    "no interface": (
        None,
        {},
        checked("ensure 1420", DEVICE, *TABLE, ADDED, LINK),
    ),
    "an empty interface": (EMPTY, {}, checked(DEVICE, *TABLE, ADDED, LINK)),
    "an equal interface": (EQUAL, {}, checked(*TABLE)),
    "a different interface": (
        DIFFERENT,
        {"own": OWN},
        checked("device None 51820", *TABLE, CHANGED, LINK_CHANGED),
    ),
    "no isolation": (
        EMPTY,
        {"isolation": "None"},
        checked(DEVICE, "drop table", ADDED, LINK),
    ),
    "no routes of ours": (
        EQUAL,
        {"routes": "None"},
        checked(*TABLE, "link remove route 192.168.7.0/24"),
    ),
    "changes are paused": (
        DIFFERENT,
        {"paused": "Changes", "own": OWN},
        checked("peers peer gone: remove"),
    ),
    "all is paused": (DIFFERENT, {"paused": "All", "own": OWN}, []),
    "no interface, and paused": (None, {"paused": "Changes"}, []),
    # The recorder stands before the backend: only the looks are left.
    "dry run": (DIFFERENT, {"dry_run": True, "own": OWN}, ["check"] * 3),
    "dry run without an interface": (None, {"dry_run": True}, []),
}


@pytest.mark.parametrize(
    ("actual", "desired", "log"), ORDERS.values(), ids=ORDERS.keys()
)
async def test_what_a_pass_writes_and_in_which_order(
    actual: Interface | None, desired: dict[str, Any], log: list[str]
) -> None:
    node = Node(actual)
    await run(node, **desired)
    assert node.log == log


async def test_a_dry_run_tells_the_same_writes_in_the_same_order() -> None:
    outcome = await run(Node(DIFFERENT), dry_run=True, own=OWN)
    assert outcome.findings.plan is not None
    lines = [line.removeprefix("wg0: ") for line in outcome.findings.plan]
    for name, key in KEYS.items():
        lines = [line.replace(key, name) for line in lines]
    told = [
        "listen on port 51820",
        *CHANGED.removeprefix("peers ").split(" / "),
    ]
    assert lines == [*told, *LINK_CHANGED.removeprefix("link ").split(" / ")]
    assert outcome.own_addresses == OWN


async def test_a_dry_run_without_an_interface_tells_what_would_be_made() -> (
    None
):
    outcome = await run(Node(None), dry_run=True)
    assert outcome.findings.plan is not None
    lines = [line.removeprefix("wg0: ") for line in outcome.findings.plan]
    for name, key in KEYS.items():
        lines = [line.replace(key, name) for line in lines]
    made = ["make the interface, MTU 1420, listen on port 51820"]
    told = [
        *ADDED.removeprefix("peers ").split(" / "),
        *LINK.removeprefix("link ").split(" / "),
    ]
    assert lines == made + told


@pytest.mark.parametrize("looks", range(5))
async def test_e4_a_pass_ends_at_the_write_that_is_not_allowed_any_more(
    looks: int,
) -> None:
    whole = Node(DIFFERENT)
    await run(whole, own=OWN)
    node = Node(DIFFERENT, may_write=looks)
    if looks == whole.log.count("check"):
        await run(node, own=OWN)
    else:
        with pytest.raises(NotNow, match="not now"):
            await run(node, own=OWN)
    assert node.log == whole.log[: len(node.log)]
    assert node.log.count("check") == min(looks + 1, whole.log.count("check"))


FAILURES: dict[str, tuple[str, Exception, str, list[str], set[str]]] = {
    "the port": ("device", PortInUse("taken"), "ListenPortInUse", [], {"device", "gone"}),
    "the table is not read": (
        "read table", NftError("no answer"), "IsolationFailed", checked("device None 51820"), {"device", "gone"}
    ),
    "the table is not written": (
        "write table",
        IsolationNotAvailable("no module"),
        "IsolationNotAvailable",
        checked("device None 51820", "read table"),
        {"device", "gone"},
    ),
    "the peers": (
        "peers", WireGuardError("busy"), "WireGuardError", checked("device None 51820", *TABLE), {"device", "gone"}
    ),
    "the link": (
        "link",
        TimeoutError(),
        "NoAnswer",
        checked("device None 51820", *TABLE, CHANGED),
        {"device", "laptop"},
    ),
    "an error of ours": (
        "write table",
        KeyError("expr"),
        "InternalError",
        checked("device None 51820", "read table"),
        {"device", "gone"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("part", "error", "reason", "before", "present"),
    FAILURES.values(),
    ids=FAILURES.keys(),
)
async def test_no_part_comes_after_one_that_fails_and_what_was_read_counts(
    part: str,
    error: Exception,
    reason: str,
    before: list[str],
    present: set[str],
) -> None:
    """D3: no peer comes while the table is not right."""
    node = Node(DIFFERENT, {part: error})
    outcome = await run(node, own=OWN)
    written = [line for line in node.log if line != "check"]
    assert written[:-1] == [line for line in before if line != "check"]
    assert written[-1].startswith(part)
    assert outcome.findings.obstacle is not None
    assert outcome.findings.obstacle.reason == reason
    assert outcome.interface is DIFFERENT
    assert {NAMES[key] for key in outcome.present} == present
    assert (outcome.own_addresses, outcome.findings.warnings) == (OWN, ())


@pytest.mark.parametrize(
    ("actual", "error"),
    [
        (DIFFERENT, NotAvailable("no tunnel process")),
        (replace(DIFFERENT, up=False), WireGuardError("busy")),
    ],
    ids=["the interface is gone", "it never was up"],
)
async def test_a_failure_without_an_interface_that_is_up_ends_the_pass(
    actual: Interface, error: WireGuardError
) -> None:
    with pytest.raises(type(error), match=str(error)):
        await run(Node(actual, {"peers": error}), own=OWN)


async def test_addresses_that_are_not_ours_are_told_and_stay() -> None:
    outcome = await run(Node(DIFFERENT), own=OWN)
    assert [one.reason for one in outcome.findings.warnings] == [
        "ForeignAddress"
    ]
    assert "10.66.0.1/16" in outcome.findings.warnings[0].message
    assert outcome.own_addresses == {"10.64.0.1/16"}
    paused = await run(Node(DIFFERENT), own=OWN, paused="Changes")
    assert (paused.findings.warnings, paused.own_addresses) == ((), OWN)
