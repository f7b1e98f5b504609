"""Rule E16: a peer that has to be made is dialled once where it was heard from last. Pure: no interface, no clock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cerebro.wireguard.model import ActualPeer, DesiredPeer, Interface
from cerebro.wireguard.plan import (
    DIAL_BACK_KEEPALIVE,
    plan_peers,
    remember_dialled,
)

NOW = 1_800_000_000.0
ADDRESS = frozenset({"10.64.0.2/32"})
HOME, SEEN, ROAMED = (
    ("192.0.2.1", 51820),
    ("198.51.100.7", 4242),
    ("203.0.113.9", 999),
)
WANT = DesiredPeer("a", ADDRESS, last_endpoint=SEEN)
DIALLED = ActualPeer(
    "a", ADDRESS, persistent_keepalive=DIAL_BACK_KEEPALIVE, endpoint=SEEN
)


def interface(*peers: ActualPeer) -> Interface:
    return Interface("wg0", peers={peer.public_key: peer for peer in peers})


def test_e16_a_peer_that_is_made_is_dialled_where_it_was_heard_from_last() -> (
    None
):
    """With a keepalive, as else WireGuard would have nothing to send there."""
    (change,) = plan_peers({"a": WANT}, interface(), now=NOW)
    assert change.endpoint == SEEN
    assert change.persistent_keepalive == DIAL_BACK_KEEPALIVE
    assert not change.update_only


def test_e16_what_the_spec_says_goes_before_what_was_heard() -> None:
    want = replace(WANT, endpoint=HOME)
    (change,) = plan_peers({"a": want}, interface(), now=NOW)
    assert (change.endpoint, change.persistent_keepalive) == (HOME, None)
    want = replace(WANT, persistent_keepalive=10)
    (change,) = plan_peers({"a": want}, interface(), now=NOW)
    assert (change.endpoint, change.persistent_keepalive) == (SEEN, 10)


def test_e16_it_goes_on_being_dialled_until_it_answers() -> None:
    """Whatever the wish for a keepalive is; the endpoint is neither taken away nor set again."""
    actual = interface(DIALLED)
    assert plan_peers({"a": WANT}, actual, dials_back=True, now=NOW) == []
    assert remember_dialled({}, {"a": WANT}, actual, []) == {}


@pytest.mark.parametrize("keepalive", [0, 10])
@pytest.mark.parametrize("why", ["it answered", "it has been silent for long"])
def test_e16_after_that_its_keepalive_is_what_the_spec_says(
    why: str, keepalive: int
) -> None:
    answered = why == "it answered"
    actual = replace(
        DIALLED,
        endpoint=ROAMED if answered else SEEN,
        last_handshake=NOW - 1 if answered else 0.0,
    )
    want = replace(WANT, persistent_keepalive=keepalive)
    (change,) = plan_peers(
        {"a": want}, interface(actual), dials_back=answered, now=NOW
    )
    assert change.update_only
    assert change.persistent_keepalive == keepalive
    assert change.endpoint is None
    after = replace(actual, persistent_keepalive=keepalive)
    assert (
        plan_peers({"a": want}, interface(after), dials_back=True, now=NOW)
        == []
    )


def test_e16_a_keepalive_by_hand_is_put_right_where_nobody_is_dialled_back() -> (
    None
):
    by_hand = replace(DIALLED, endpoint=None)
    want = replace(WANT, last_endpoint=None)
    (change,) = plan_peers(
        {"a": want}, interface(by_hand), dials_back=True, now=NOW
    )
    assert change.persistent_keepalive == 0
