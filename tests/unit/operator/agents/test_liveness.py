"""When the operator calls an agent lost. Pure: times are numbers that the tests choose."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cerebro.domain.conditions import ConditionState, judgement
from cerebro.domain.leases import NO_LEASE
from cerebro.domain.ready_owner import says_lost
from cerebro.operator.agents.liveness import (
    LeaseAges,
    Life,
    is_news,
    lease_of,
    lost_state,
)
from cerebro.resources import Device, Hub, Peer

LEASE = "cerebro-agent-node-1"


def device(hub: str | None = None, **status: Any) -> Device:
    spec: dict[str, Any] = {
        "api": {"credentialsSecretRef": {"name": "c"}, "address": "10.0.0.1"}
    }
    if hub:
        spec["hubRef"] = {"name": hub}
    meta = {"name": "r1", "namespace": "ns", "generation": 3}
    return Device.model_validate(
        {"metadata": meta, "spec": spec, "status": status}
    )


def hub(**fields: Any) -> Hub:
    return Hub.model_validate(
        {
            "metadata": {"name": "hub", "namespace": "ns"},
            "spec": {
                "addresses": ["10.7.0.1/24"],
                "endpoint": "vpn.example.org:51820",
                **fields.pop("spec", {}),
            },
            "status": fields.pop("status", {}),
        }
    )


def said_of(item: Device, state: ConditionState) -> Device:
    """The Device once the operator has written that."""
    now = datetime.now(UTC)
    return device(
        **judgement(
            "Device", [], {"Ready": state}, item.metadata.generation, now
        )
    )


def test_e12_a_lease_that_is_renewed_is_alive_and_one_that_is_not_is_lost() -> (
    None
):
    ages = LeaseAges(limit=60)
    for now in range(0, 100, 10):
        ages.look({LEASE: str(now)}, now)
    assert ages.life(LEASE, 90) is Life.ALIVE
    ages.look({LEASE: "90"}, 149)
    assert ages.life(LEASE, 149) is Life.ALIVE
    assert ages.life(LEASE, 150) is Life.LOST
    ages.look({LEASE: "another"}, 151)
    assert ages.life(LEASE, 151) is Life.ALIVE


def test_e12_after_a_start_nothing_is_said_before_something_is_known() -> None:
    """A new operator neither calls an old Lease lost at once nor takes back what the last one said."""
    ages = LeaseAges(limit=60)
    ages.look({LEASE: "1"}, 1000)
    assert ages.life(LEASE, 1059) is Life.UNDECIDED
    assert ages.life(LEASE, 1060) is Life.LOST


def test_e12_an_outage_of_the_api_server_does_not_count() -> None:
    ages = LeaseAges(limit=60)
    ages.look({LEASE: "1"}, 0)
    ages.begin_anew(500)
    ages.look({LEASE: "1"}, 500)
    assert ages.life(LEASE, 559) is Life.UNDECIDED
    assert ages.life(LEASE, 560) is Life.LOST


def test_e12_a_missing_lease_ages_too_and_a_deleted_one_is_no_sign_of_life() -> (
    None
):
    ages = LeaseAges(limit=60)
    ages.look({LEASE: None}, 0)
    assert ages.life(LEASE, 60) is Life.LOST
    ages.look({LEASE: "1"}, 61)
    ages.look({LEASE: None}, 62)
    assert ages.life(LEASE, 63) is Life.UNDECIDED


def test_e12_who_owns_what() -> None:
    carried, claimed, free = (
        hub(status={"nodeName": "n2"}),
        hub(spec={"nodeName": "n1"}),
        hub(),
    )
    hubs = {("ns", "hub"): carried}
    peer = Peer.model_validate(
        {"metadata": {"namespace": "ns"}, "spec": _peer_spec()}
    )
    assert lease_of(device(), {}) == "cerebro-direct"
    assert lease_of(carried, {}) == "cerebro-agent-n2"
    assert lease_of(claimed, {}) == "cerebro-agent-n1"
    assert lease_of(free, {}) == NO_LEASE
    assert lease_of(device(hub="hub"), hubs) == "cerebro-agent-n2"
    assert lease_of(peer, hubs) == "cerebro-agent-n2"
    assert lease_of(device(hub="missing"), hubs) is None


def test_e12_it_is_said_once_for_each_generation() -> None:
    state = lost_state(device(), "node-1")
    assert (state.status, state.reason) == ("Unknown", "AgentLost")
    assert "node-1" in state.message
    told = said_of(device(), state)
    assert says_lost(told)
    assert not is_news(told, lost_state(told, "node-1"))
    assert is_news(device(), state)
    older = told.model_copy(deep=True)
    older.metadata.generation += 1
    assert is_news(older, state)


def test_e12_no_agent_ever_is_said_and_stays_said() -> None:
    first = lost_state(device(), None)
    assert "no agent has ever" in first.message
    told = said_of(device(), first)
    assert not is_news(told, lost_state(told, None))


def _peer_spec() -> dict[str, Any]:
    return {
        "hubRef": {"name": "hub"},
        "publicKey": "A" * 43 + "=",
        "allowedIPs": ["10.7.0.2/32"],
    }
