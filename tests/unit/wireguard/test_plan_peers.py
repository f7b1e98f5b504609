"""The plan of peers, held against a reference of WireGuard's allowed addresses. Pure: no interface, no clock."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebro.wireguard.model import (
    ActualPeer,
    DesiredPeer,
    Endpoint,
    Interface,
    PeerChange,
)
from cerebro.wireguard.plan import plan_peers, remember_dialled
from support.wireguard_reference import ReferenceWireGuard

NOW = 1_800_000_000.0
HOME, AWAY, ELSEWHERE = (
    ("192.0.2.1", 51820),
    ("198.51.100.7", 4242),
    ("2001:db8::9", 51820),
)
KEYS = [f"key-{number}" for number in range(5)]
ADDRESSES = [f"10.0.0.{host}" for host in range(8)] + ["fd00::1", "fd00::2"]
NETWORKS = [
    *(f"{address}/32" for address in ADDRESSES[:8]),
    *(f"10.0.0.{host}/31" for host in (0, 2, 4, 6)),
    "10.0.0.0/30",
    "10.0.0.4/30",
    "0.0.0.0/0",
    "fd00::/64",
    "fd00::1/128",
]

shares = st.lists(
    st.none() | st.sampled_from(KEYS),
    min_size=len(NETWORKS),
    max_size=len(NETWORKS),
)
"""An owner, or none, for each network: what no two peers can then have both."""
present = st.sets(st.sampled_from(KEYS))
presharing = st.dictionaries(
    st.sampled_from(KEYS), st.sampled_from(["p1", "p2"])
)
keepalives = st.dictionaries(st.sampled_from(KEYS), st.sampled_from([15, 25]))
endpoints = st.dictionaries(
    st.sampled_from(KEYS), st.sampled_from([HOME, AWAY, ELSEWHERE])
)
ages = st.dictionaries(
    st.sampled_from(KEYS), st.sampled_from([1.0, 179.0, 181.0, 1e6])
)


def of(shares: list[str | None], key: str) -> frozenset[str]:
    return frozenset(
        network
        for network, owner in zip(NETWORKS, shares, strict=True)
        if owner == key
    )


@st.composite
def actual_peers(draw: st.DrawFn) -> dict[str, ActualPeer]:
    share = draw(shares)
    psk, pace, at, age = (
        draw(presharing),
        draw(keepalives),
        draw(endpoints),
        draw(ages),
    )
    return {
        key: ActualPeer(
            key,
            of(share, key),
            psk.get(key),
            pace.get(key, 0),
            at.get(key),
            NOW - age.get(key, NOW),
            7,
            8,
        )
        for key in sorted(draw(present))
    }


@st.composite
def desired_peers(draw: st.DrawFn) -> dict[str, DesiredPeer]:
    share, psk, pace, at = (
        draw(shares),
        draw(presharing),
        draw(keepalives),
        draw(endpoints),
    )
    return {
        key: DesiredPeer(
            key, of(share, key), psk.get(key), pace.get(key, 0), at.get(key)
        )
        for key in draw(st.permutations(sorted(draw(present))))
    }


@given(actual_peers(), desired_peers(), present, endpoints)
def test_a_plan_gives_what_is_desired_and_no_address_waits_for_its_owner(
    before: dict[str, ActualPeer],
    desired: dict[str, DesiredPeer],
    remove: set[str],
    dialled: dict[str, Endpoint],
) -> None:
    wireguard = ReferenceWireGuard.of(before.values())
    interface = wireguard.interface()
    changes = plan_peers(
        desired, interface, remove=remove, dialled=dialled, now=NOW
    )
    owned = {
        address
        for address in ADDRESSES
        if wireguard.owner(address) is not None
    }
    wanted = {
        network: key
        for key, want in desired.items()
        for network in want.allowed_ips
    }
    final = ReferenceWireGuard(owners=wanted)
    kept = {address for address in owned if final.owner(address) is not None}
    untouched = {
        key
        for key, peer in interface.peers.items()
        if key not in desired and key not in remove
    }

    for change in changes:
        wireguard.apply(change)
        assert all(wireguard.owner(address) is not None for address in kept)

    after = wireguard.interface()
    assert set(after.peers) == set(desired) | untouched
    for key, want in desired.items():
        found = after.peers[key]
        assert found.allowed_ips == want.allowed_ips
        assert found.preshared_key == want.preshared_key
        assert found.persistent_keepalive == want.persistent_keepalive
    assert not {change.public_key for change in changes} & untouched
    dialled = remember_dialled(dialled, desired, interface, changes)
    assert (
        plan_peers(desired, after, remove=remove, dialled=dialled, now=NOW)
        == []
    )


@given(actual_peers(), desired_peers(), present)
def test_a_network_is_never_without_an_owner_between_the_old_and_the_new_one(
    before: dict[str, ActualPeer],
    desired: dict[str, DesiredPeer],
    remove: set[str],
) -> None:
    """More than addresses: each network that is owned before and after has its old or its new owner throughout."""
    wireguard = ReferenceWireGuard.of(before.values())
    interface = wireguard.interface()
    had = dict(wireguard.owners)
    wanted = {
        network: key
        for key, want in desired.items()
        for network in want.allowed_ips
    }
    for change in plan_peers(desired, interface, remove=remove, now=NOW):
        wireguard.apply(change)
        for network in had.keys() & wanted.keys():
            assert wireguard.owners.get(network) in (
                had[network],
                wanted[network],
            )


@given(actual_peers(), desired_peers(), present)
def test_a_peer_that_does_not_differ_is_in_no_plan(
    before: dict[str, ActualPeer],
    desired: dict[str, DesiredPeer],
    remove: set[str],
) -> None:
    interface = ReferenceWireGuard.of(before.values()).interface()
    changed = {
        change.public_key
        for change in plan_peers(desired, interface, remove=remove, now=NOW)
    }
    for key, want in desired.items():
        found = interface.peers.get(key)
        if found is not None and want == DesiredPeer(
            key,
            found.allowed_ips,
            found.preshared_key,
            found.persistent_keepalive,
            want.endpoint and found.endpoint,
        ):
            assert key not in changed


def want(
    key: str,
    *allowed: str,
    endpoint: Endpoint | None = None,
    keepalive: int = 0,
) -> DesiredPeer:
    return DesiredPeer(
        key,
        frozenset(allowed),
        persistent_keepalive=keepalive,
        endpoint=endpoint,
    )


def have(
    key: str,
    *allowed: str,
    endpoint: Endpoint | None = AWAY,
    age: float = 10,
    pace: int = 0,
) -> ActualPeer:
    return ActualPeer(key, frozenset(allowed), None, pace, endpoint, NOW - age)


def plan(
    desired: list[DesiredPeer],
    actual: list[ActualPeer],
    *,
    remove: tuple[str, ...] = (),
    dialled: dict[str, Endpoint] | None = None,
) -> list[PeerChange]:
    interface = Interface(
        "wg0", peers={peer.public_key: peer for peer in actual}
    )
    wanted = {peer.public_key: peer for peer in desired}
    return plan_peers(
        wanted, interface, remove=remove, dialled=dialled, now=NOW
    )


def test_e8_a_rotated_key_takes_its_addresses_over_before_the_old_one_goes() -> (
    None
):
    changes = plan(
        [want("new", "10.0.0.2/32")],
        [have("old", "10.0.0.2/32")],
        remove=("old",),
    )
    assert changes == [
        PeerChange("new", allowed_ips=("10.0.0.2/32",)),
        PeerChange("old", remove=True),
    ]


def test_e8_a_key_that_is_desired_again_is_not_removed() -> None:
    assert (
        plan(
            [want("a", "10.0.0.2/32")],
            [have("a", "10.0.0.2/32")],
            remove=("a", "gone"),
        )
        == []
    )


def test_an_address_moves_in_the_one_message_that_adds_it() -> None:
    """A swap needs two messages, and neither peer is ever cleared."""
    changes = plan(
        [want("a", "10.0.0.3/32"), want("b", "10.0.0.2/32")],
        [have("a", "10.0.0.2/32"), have("b", "10.0.0.3/32")],
    )
    assert changes == [
        PeerChange("a", update_only=True, allowed_ips=("10.0.0.3/32",)),
        PeerChange("b", update_only=True, allowed_ips=("10.0.0.2/32",)),
    ]


def test_an_unknown_peer_loses_only_the_address_that_a_desired_one_needs() -> (
    None
):
    changes = plan(
        [want("a", "10.0.0.2/32")],
        [have("by-hand", "10.0.0.2/32", "10.9.0.0/24")],
    )
    assert [change.public_key for change in changes] == ["a"]


def test_an_address_that_nobody_takes_over_is_taken_off_last() -> None:
    changes = plan(
        [want("a", "10.0.0.0/31"), want("b", "10.0.0.2/31")],
        [have("a", "10.0.0.0/30", "10.0.0.0/31")],
    )
    assert changes == [
        PeerChange("b", allowed_ips=("10.0.0.2/31",)),
        PeerChange(
            "a",
            update_only=True,
            replace_allowed_ips=True,
            allowed_ips=("10.0.0.0/31",),
        ),
    ]


@pytest.mark.parametrize(
    ("wanted", "found", "dialled", "expected"),
    [
        pytest.param(
            None, have("a"), None, None, id="none is desired: it roams"
        ),
        pytest.param(
            HOME, have("a", endpoint=HOME), None, None, id="it is there"
        ),
        pytest.param(
            HOME, have("a"), HOME, None, id="roamed from where we dialled it"
        ),
        pytest.param(
            HOME,
            have("a", age=9999),
            HOME,
            None,
            id="roamed, and silent as nobody spoke",
        ),
        pytest.param(
            HOME,
            have("a", age=9999, pace=25),
            HOME,
            HOME,
            id="roamed, and keepalives find nobody",
        ),
        pytest.param(
            HOME,
            have("a", pace=25),
            HOME,
            None,
            id="roamed, and keepalives find it",
        ),
        pytest.param(
            ELSEWHERE,
            have("a"),
            HOME,
            ELSEWHERE,
            id="another one is desired now",
        ),
        pytest.param(
            HOME, have("a", age=180), None, None, id="unknown and live: left"
        ),
        pytest.param(
            HOME, have("a", age=181), None, HOME, id="unknown and dead: set"
        ),
        pytest.param(
            HOME, have("a", endpoint=None), HOME, HOME, id="it has none"
        ),
    ],
)
def test_an_endpoint_is_set_only_where_no_live_tunnel_roamed_to(
    wanted: Endpoint | None,
    found: ActualPeer,
    dialled: Endpoint | None,
    expected: Endpoint | None,
) -> None:
    peer = want("a", endpoint=wanted, keepalive=found.persistent_keepalive)
    changes = plan(
        [peer], [found], dialled={"a": dialled} if dialled else None
    )
    assert changes == (
        [PeerChange("a", update_only=True, endpoint=expected)]
        if expected
        else []
    )


def test_a_changed_endpoint_is_noticed_also_when_the_old_one_was_only_found() -> (
    None
):
    found = Interface("wg0", peers={"a": have("a", endpoint=HOME)})
    dialled = remember_dialled({}, {"a": want("a", endpoint=HOME)}, found, [])
    assert dialled == {"a": HOME}
    assert plan(
        [want("a", endpoint=ELSEWHERE)],
        [have("a", endpoint=HOME)],
        dialled=dialled,
    ) == [PeerChange("a", update_only=True, endpoint=ELSEWHERE)]


def test_a_refused_endpoint_is_not_remembered_and_one_that_is_not_desired_any_more_is_forgotten() -> (
    None
):
    interface = Interface("wg0", peers={"a": have("a"), "b": have("b")})
    desired = {"a": want("a", endpoint=HOME), "b": want("b")}
    assert remember_dialled({"b": HOME}, desired, interface, []) == {}


def test_preshared_key_and_keepalive_change_in_one_message_and_go_by_being_empty() -> (
    None
):
    wanted = replace(want("a", keepalive=25), preshared_key="p2")
    found = replace(have("a"), preshared_key="p1")
    assert plan([wanted], [found]) == [
        PeerChange(
            "a", update_only=True, preshared_key="p2", persistent_keepalive=25
        )
    ]
    assert plan([want("a")], [replace(found, persistent_keepalive=25)]) == [
        PeerChange(
            "a", update_only=True, preshared_key="", persistent_keepalive=0
        )
    ]


def test_a_peer_that_went_by_hand_meanwhile_is_not_made_again_in_part() -> (
    None
):
    wanted = [want("a", "10.0.0.2/32", "10.0.0.3/32", keepalive=25)]
    wireguard = ReferenceWireGuard()
    for change in plan(wanted, [have("a", "10.0.0.2/32", "10.0.0.9/32")]):
        wireguard.apply(change)
    assert wireguard.peers == {}
    for change in plan(wanted, []):
        wireguard.apply(change)
    assert (
        wireguard.interface().peers["a"].allowed_ips == wanted[0].allowed_ips
    )


def test_ten_thousand_peers_without_difference_make_no_plan() -> None:
    names = [
        (f"key-{n}", f"10.{n >> 8}.{n & 255}.1/32") for n in range(10_000)
    ]
    desired = {key: want(key, address) for key, address in names}
    interface = Interface(
        "wg0", peers={key: have(key, address) for key, address in names}
    )
    assert plan_peers(desired, interface, remove=["gone"], now=NOW) == []
    started = time.perf_counter()
    plan_peers(desired, interface, remove=["gone"], now=NOW)
    print(
        f"10,000 peers without difference: {(time.perf_counter() - started) * 1000:.1f} ms"
    )
