"""What is told of a Hub and its Peers by Events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cerebro.agent.hubs.peers.status import APPLIED, PeerReport
from cerebro.agent.hubs.peers.story import peer_news
from cerebro.agent.hubs.story import HubStory, drifted
from cerebro.domain.conditions import ConditionState
from cerebro.resources import Hub
from cerebro.wireguard.model import (
    ActualPeer,
    DesiredPeer,
    Interface,
    PeerChange,
)
from support.events import Events

UP = ("InterfaceUp", "True", "Up", "wg0 is up")
EQUAL = ("Ready", "True", "Equal", "the interface is as wanted")
ACCEPTED = ConditionState("True", "Accepted", "accepted")


def conditions(*states: tuple[str, ...]) -> list[dict[str, Any]]:
    names = ("type", "status", "reason", "message")
    when = {"lastTransitionTime": "2026-05-01T00:00:00Z"}
    return [dict(zip(names, state, strict=True)) | when for state in states]


def a_hub(node: str | None = None, *states: tuple[str, ...]) -> Hub:
    return Hub.model_validate(
        {
            "metadata": {"name": "hub", "namespace": "ns", "uid": "h"},
            "spec": {"addresses": ["10.64.0.1/16"], "interface": "wg0"},
            "status": {"nodeName": node, "conditions": conditions(*states)},
        }
    )


def told(hub: Hub, *statuses: tuple[tuple[str, ...], ...]) -> list[str]:
    events = Events()
    story = HubStory(events.as_recorder(), "n1")
    for states in statuses:
        status = {
            "implementation": "Kernel",
            "conditions": conditions(*states),
        }
        story.tell(hub, status)
    return events.posted


def test_an_interface_is_told_when_it_comes_up() -> None:
    down = ("InterfaceUp", "False", "PortInUse", "port 51820 is taken")
    trouble = ("Ready", "False", "PortInUse", "port 51820 is taken")
    assert told(a_hub(), (down, trouble), (UP, EQUAL), (UP, EQUAL)) == [
        "Hub/hub: PortInUse: port 51820 is taken",
        "Hub/hub: InterfaceUp: wg0 is up on node n1, implementation Kernel",
        "Hub/hub: Recovered: PortInUse is over: the interface is as wanted",
    ]


def test_a_restart_of_the_agent_tells_nothing_and_another_node_does() -> None:
    assert told(a_hub("n1", UP, EQUAL), (UP, EQUAL)) == []
    assert told(a_hub("n2", UP, EQUAL), (UP, EQUAL)) == [
        "Hub/hub: TakenOver: node n1 carries the Hub, in place of node n2",
        "Hub/hub: InterfaceUp: wg0 is up on node n1, implementation Kernel",
    ]


def test_only_what_nobody_asked_to_change_is_drift() -> None:
    networks = frozenset({"10.64.0.2/32"})
    asked = {key: DesiredPeer(key, networks) for key in "abcde"}
    before = {key: asked[key] for key in "abcd"}
    before["d"] = DesiredPeer("d", frozenset())
    peers = {key: ActualPeer(key, networks) for key in "bcde"}
    actual = Interface("wg0", peers=peers)
    changes = [
        PeerChange("a", allowed_ips=("10.64.0.2/32",)),
        PeerChange("b", endpoint=("192.0.2.1", 1)),
        PeerChange("c", persistent_keepalive=25),
        PeerChange("d", allowed_ips=("10.64.0.2/32",)),
        PeerChange("e", preshared_key="k"),
        PeerChange("unknown", remove=True),
    ]
    assert drifted(changes, before, asked, actual, ()) == 2, "a and c"
    assert drifted(changes, before, asked, actual, ("a",)) == 1
    assert drifted(changes, {}, asked, actual, ()) == 0, "the first pass"

    events = Events()
    story = HubStory(events.as_recorder(), "n1")
    story.repaired(a_hub(), 0)
    story.repaired(a_hub(), 2)
    assert events.posted == [
        "Hub/hub: DriftRepaired: 2 peers on wg0 were missing or changed; they were put right"
    ]


def a_report(accepted: ConditionState, applied: ConditionState) -> PeerReport:
    return PeerReport("k", "NeverConnected", None, accepted, applied, 1)


def test_a_peer_is_told_when_it_comes_and_when_it_is_refused() -> None:
    waits = ConditionState("False", "Applying", "being put there")
    conflict = ConditionState("False", "KeyInUse", "Peer p2 has the key")
    no = ConditionState("False", "NotAccepted", "so it is not there")
    new, on = a_report(ACCEPTED, waits), a_report(ACCEPTED, APPLIED)
    refused = a_report(conflict, no)

    assert peer_news(None, new) is None
    for before, report, reason in (
        (new, on, "Applied"),
        (None, on, "Applied"),
        (on, refused, "Refused"),
        (refused, on, "Applied"),
    ):
        news = peer_news(before, report)
        assert news is not None
        assert news[0].reason == reason

    lacks = replace(
        on, trouble=ConditionState("False", "RouteRefused", "no route")
    )
    news = peer_news(on, lacks)
    assert news is not None
    assert news[0].reason == "RouteRefused"

    assert peer_news(on, on) is None
    assert peer_news(refused, refused) is None


def test_the_troubles_of_the_hub_are_not_told_of_each_peer() -> None:
    gone = ConditionState("False", "PortInUse", "the Hub: port is taken")
    on = a_report(ACCEPTED, APPLIED)
    assert peer_news(on, a_report(ACCEPTED, gone)) is None
