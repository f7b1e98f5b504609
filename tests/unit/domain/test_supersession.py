"""Which Sessions of a Device count, and as what, where others stand in their place (rules A10 and B9)."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.sessions import DeviceSessions
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.cache.references import device_of, hub_of, superseded_by
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.lease import Lease
from cerebro.kube.status_writer import StatusWriter
from cerebro.resources import PEER, SESSION, Device
from support.events import Events
from support.tunnels import NoTunnels

M, N = "AA:00:00:00:00:01", "AA:00:00:00:00:02"
X, Y = "10.5.50.1", "10.5.50.2"
NEWER = "Gold"  # a type of a later release


class Agent:
    """The store of an agent and what it makes of the Sessions in it."""

    def __init__(self) -> None:
        self._versions = itertools.count(1)
        self.store = Store()
        self.context = AgentContext(
            api=cast(KubeApi, SimpleNamespace(clock_skew=None)),
            store=self.store,
            statuses=cast(StatusWriter, None),
            recorder=Events().as_recorder(),
            direct=cast(Lease, None),
            by_device=self.store.add_index(SESSION, device_of),
            superseding=self.store.add_index(SESSION, superseded_by),
            peers_by_hub=self.store.add_index(PEER, hub_of),
            windows=GrantWindows(),
            tunnels=NoTunnels(),
        )
        self.sessions = DeviceSessions(self.context, "ns", "d")

    def has(
        self, name: str, *, status: dict[str, Any] | None = None, **spec: Any
    ) -> None:
        meta = {
            "name": name,
            "namespace": "ns",
            "uid": name,
            "resourceVersion": str(next(self._versions)),
            "creationTimestamp": "2026-06-01T00:00:00Z",
        }
        body = {
            "metadata": meta,
            "spec": {"deviceRef": {"name": "d"}, "client": {"macAddress": M}}
            | spec,
            "status": status or {},
        }
        self.store.deliver(SESSION, "MODIFIED", body)

    def said_of(self, name: str) -> tuple[bool, str | None] | None:
        """Whether a Session counts as revoked, and for which MAC; None when it is not judged."""
        found = {one.name: one.spec for one in self.sessions.current().all()}
        return (
            (found[name].revoked, found[name].client.mac_address)
            if name in found
            else None
        )

    def frozen(self) -> frozenset[str]:
        device = Device.model_validate(
            {
                "metadata": {"name": "d", "namespace": "ns"},
                "spec": {
                    "hubRef": {"name": "h"},
                    "api": {"credentialsSecretRef": {"name": "s"}},
                },
            }
        )
        at = self.sessions.pass_context(device, resync=False)
        assert not at.frozen_all
        return at.frozen


def hour(number: int) -> str:
    return f"2026-06-01T{number:02}:00:00Z"


def test_a10_the_newest_superseding_session_stands_in_place() -> None:
    agent = Agent()
    agent.has("git", expiresAt="2030-01-01T00:00:00Z")
    assert agent.said_of("git") == (False, M)
    agent.has(
        "two",
        supersedes={"name": "git"},
        requestedAt=hour(1),
        revoked=True,
        client={"ipAddress": Y},
    )
    assert agent.said_of("git") == (True, None)
    agent.has(
        "one",
        supersedes={"name": "git"},
        requestedAt=hour(2),
        client={"macAddress": N},
    )
    assert agent.said_of("git") == (False, N)
    (git,) = [
        one for one in agent.sessions.current().all() if one.name == "git"
    ]
    assert git.spec.expires_at is None


def test_b9_a_superseding_session_that_cannot_be_read_gives_no_access_again() -> (
    None
):
    """A10: what it says is not known any more, so the one in whose place it stands is frozen as well."""
    agent = Agent()
    agent.has("git", status={"applied": {"macAddress": M, "ipAddress": X}})
    agent.has("stop", supersedes={"name": "git"}, revoked=True)
    assert agent.said_of("git") == (True, M)
    agent.has(
        "stop",
        supersedes={"name": "git"},
        revoked=True,
        type=NEWER,
        client={"macAddress": N},
    )
    assert agent.said_of("git") is None
    assert agent.frozen() == {M, N, X}
    agent.has("stop", supersedes={"name": "git"}, revoked=True)
    assert agent.said_of("git") == (True, M)
    assert agent.frozen() == frozenset()


@pytest.mark.parametrize(
    ("requested_at", "frozen"),
    [(hour(1), False), (hour(3), True), ("some day", True), (7, True)],
)
def test_b9_only_the_newest_superseding_session_freezes(
    requested_at: object, frozen: bool
) -> None:
    agent = Agent()
    agent.has("git", client={"macAddress": M})
    agent.has(
        "reads", supersedes={"name": "git"}, requestedAt=hour(2), revoked=True
    )
    agent.has(
        "newer",
        supersedes={"name": "git"},
        requestedAt=requested_at,
        type=NEWER,
    )
    assert agent.said_of("git") == (None if frozen else (True, M))


@pytest.mark.parametrize("reference", [{"name": 7}, "git", ["git"], None, {}])
def test_b9_a_reference_that_says_nothing_legible_names_nobody(
    reference: object,
) -> None:
    agent = Agent()
    agent.has("git")
    agent.has("stop", supersedes=reference, revoked=True, type=NEWER)
    assert agent.said_of("git") == (False, M)
